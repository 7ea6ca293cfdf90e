"""What an acquisition leaves in an image besides the patient: numbers that need no diagnosis."""

import io
import warnings
from collections.abc import Mapping
from types import MappingProxyType

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medseal.imaging.preprocess import to_grey

__all__ = [
    "TRACES",
    "Features",
    "block_edges",
    "border",
    "file_header",
    "file_size",
    "histogram",
    "texture",
    "unused_levels",
]

Features = NDArray[np.float32]

# Name of a trace, and what it looks at, as the report says it.
TRACES: Mapping[str, str] = MappingProxyType(
    {
        "file header": "width, height, colour mode, format, compression tables, metadata blocks",
        "file size": "bytes, bytes a pixel, and against the same picture compressed anew",
        "border": "the outer twentieth of the picture: grey values, padding, corners",
        "texture": "sharpness by frequency, noise, compression blocks, used grey levels",
        "histogram": "share of each grey value and colour in the whole picture",
    }
)
_MODES = ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16")
_FORMATS = ("JPEG", "PNG", "TIFF")
_QUALITY = 90
_SIDE = 64
_RING = 3
_SEGMENTS = 8
_CROP = 512
_BANDS = 24
_BLOCK = 8
_DARK, _BRIGHT = 3, 252
_LEVELS = 256
_TINY = 1e-6
_QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_COLOUR = (_SIDE, _SIDE, 3)
# Hues of OpenCV, two degrees each.
_HUES = 180


def file_header(data: bytes | None, shape: tuple[int, int]) -> Features:
    """Return what the head of a file says about how it was made.

    Parameters
    ----------
    data
        The file; None for images inside an archive.
    shape
        Rows and columns.

    Returns
    -------
    ndarray
        float32, the same length for all files.
    """
    rows, columns = shape
    values = [np.log(rows), np.log(columns), np.log(rows / columns)]
    mode, kind, tables, info = "", "", [], {}
    if data is not None:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with Image.open(io.BytesIO(data)) as picture:
                    mode, kind, info = picture.mode, picture.format or "", dict(picture.info)
                    tables = list(getattr(picture, "quantization", {}).values())
        except OSError:
            # DICOM and NIfTI: the decoder has read them, Pillow does not know them.
            kind = "other"
    values += [float(mode == name) for name in _MODES]
    values += [float(kind == name) for name in _FORMATS]
    values += [np.log1p(sum(table)) for table in tables[:2]] + [0.0] * (2 - min(2, len(tables)))
    values += [float(tables[0][0]) if tables else 0.0, float(len(tables))]
    values += [float(bool(info.get(name))) for name in ("progressive", "exif", "icc_profile")]
    values += [float(name in info) for name in ("jfif", "adobe", "comment", "dpi", "gamma")]
    density = info.get("dpi") or info.get("jfif_density") or (0, 0)
    values += [float(np.log1p(abs(float(density[0])))), _subsampling(data, kind)]
    return np.array(values, dtype=np.float32)


def _subsampling(data: bytes | None, kind: str) -> float:
    """Return the sampling factors of the first component of a JPEG file, or 0."""
    if data is None or kind != "JPEG":
        return 0.0
    for marker in (b"\xff\xc0", b"\xff\xc1", b"\xff\xc2"):
        # Frame header: length 2, precision 1, rows 2, columns 2, components 1, id 1, factors 1.
        place = data.find(marker)
        if 0 < place < len(data) - 12:
            return float(data[place + 11])
    return 0.0


def file_size(data: bytes | None, display: NDArray[np.uint8]) -> Features:
    """Return how many bytes a file takes, alone and against its picture as JPEG of quality 90."""
    if data is None:
        return np.zeros(3, dtype=np.float32)
    pixels = display.shape[0] * display.shape[1]
    done, again = cv2.imencode(".jpg", display, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    anew = len(again) if done else len(data)
    ratios = [len(data), len(data) / pixels, len(data) / anew]
    return np.log(np.array(ratios, dtype=np.float64)).astype(np.float32)


def border(display: NDArray[np.uint8]) -> Features:
    """Return grey values, padding and corner colours of the edge of a picture."""
    grey = to_grey(display)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    sides = (small[:_RING], small[-_RING:], small[:, :_RING].T, small[:, -_RING:].T)
    values: list[float] = []
    for side in sides:
        pieces = side.reshape(_RING, _SEGMENTS, -1)
        values += pieces.mean(axis=(0, 2)).tolist() + pieces.std(axis=(0, 2)).tolist()
    rows, columns = max(1, grey.shape[0] // 20), max(1, grey.shape[1] // 20)
    edge = np.concatenate(
        [
            part.ravel()
            for part in (grey[:rows], grey[-rows:], grey[:, :columns], grey[:, -columns:])
        ]
    )
    values += [float((edge < _DARK).mean()), float((edge > _BRIGHT).mean())]
    for axis in (0, 1):
        varied = np.flatnonzero(np.ptp(grey.astype(np.int16), axis=axis) > _DARK)
        size = grey.shape[1 - axis]
        first, last = (varied[0], varied[-1]) if len(varied) else (size, -1)
        values += [first / size, (size - 1 - last) / size]
    colour = display.reshape(*grey.shape, -1)
    for strip in (colour[:rows], colour[-rows:]):
        for corner in (strip[:, :columns], strip[:, -columns:]):
            values += np.broadcast_to(corner.reshape(-1, colour.shape[2]).mean(axis=0), 3).tolist()
    return np.array(values, dtype=np.float32)


def texture(display: NDArray[np.uint8]) -> Features:
    """Return spectrum, noise, block edges and used grey levels, all without regard to place."""
    grey = _at_least(to_grey(display))
    rows, columns = (min(_CROP, size) for size in grey.shape)
    top, left = (grey.shape[0] - rows) // 2, (grey.shape[1] - columns) // 2
    crop = grey[top : top + rows, left : left + columns].astype(np.float32)
    values = _spectrum(crop)
    diagonal = crop[:-1, :-1] - crop[1:, :-1] - crop[:-1, 1:] + crop[1:, 1:]
    spread = float(crop.std()) + _TINY
    values += [float(np.log(np.median(np.abs(diagonal)) + 0.1)), float((diagonal == 0).mean())]
    laplacian = cv2.Laplacian(crop, cv2.CV_32F)
    values += [
        float(np.log(laplacian.std() + _TINY)),
        float(np.log(laplacian.std() / spread + _TINY)),
    ]
    values += [*block_edges(grey), unused_levels(grey)]
    return np.array(values, dtype=np.float32)


def _at_least(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture that is at least two blocks wide and high, the edge repeated."""
    rows, columns = (max(0, 2 * _BLOCK - size) for size in grey.shape)
    padded: NDArray[np.uint8] = np.pad(grey, ((0, rows), (0, columns)), mode="edge")
    return padded


def block_edges(grey: NDArray[np.uint8]) -> tuple[float, float]:
    """Return how much steeper the edges of 8x8 blocks are than the rest, as a logarithm.

    Between rows and between columns; about 0 for pictures that were never compressed as JPEG.
    """
    grey = _at_least(grey)
    found = []
    for axis in (0, 1):
        steps = np.abs(np.diff(grey.astype(np.float32), axis=axis)).mean(axis=1 - axis)
        on_edge = np.arange(1, len(steps) + 1) % _BLOCK == 0
        inside = float(steps[~on_edge].mean()) if (~on_edge).any() else 0.0
        edges = float(steps[on_edge].mean()) if on_edge.any() else inside
        found.append(float(np.log((edges + 0.1) / (inside + 0.1))))
    return found[0], found[1]


def unused_levels(grey: NDArray[np.uint8]) -> float:
    """Return the share of grey levels between the darkest and the brightest that do not occur."""
    counts = np.bincount(grey.ravel(), minlength=_LEVELS)
    used = np.flatnonzero(counts)
    return float((counts[used[0] : used[-1] + 1] == 0).mean())


def _spectrum(crop: NDArray[np.float32]) -> list[float]:
    """Return the logarithm of the share of energy in bands of frequency, in cycles a pixel."""
    window = np.outer(np.hanning(crop.shape[0]), np.hanning(crop.shape[1]))
    power = np.abs(np.fft.rfft2((crop - crop.mean()) * window)) ** 2
    radius = np.hypot(
        np.fft.fftfreq(crop.shape[0])[:, None], np.fft.rfftfreq(crop.shape[1])[None, :]
    )
    band = np.minimum((radius * 2 * _BANDS).astype(np.int64), _BANDS - 1)
    energy = np.bincount(band.ravel(), weights=power.ravel(), minlength=_BANDS)
    shares: list[float] = np.log(energy / (energy.sum() + _TINY) + _TINY).tolist()
    return shares


def histogram(display: NDArray[np.uint8]) -> Features:
    """Return grey and colour distribution of the whole picture."""
    grey = to_grey(display)
    counts = np.bincount(grey.ravel(), minlength=_LEVELS)
    shares = counts.reshape(-1, _LEVELS // 32).sum(axis=1) / grey.size
    below = np.cumsum(counts) / grey.size
    levels = np.searchsorted(below, _QUANTILES) / _LEVELS
    # Colour does not need every pixel.
    small = cv2.resize(display, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    colour = np.ascontiguousarray(np.broadcast_to(small.reshape(_SIDE, _SIDE, -1), _COLOUR))
    hsv = cv2.cvtColor(colour, cv2.COLOR_RGB2HSV)
    flat = colour.reshape(-1, 3)
    values = [*np.sqrt(shares), *levels, *(flat.mean(axis=0) / _LEVELS)]
    values += list(flat.std(axis=0) / _LEVELS)
    for channel, top in ((0, _HUES), (1, _LEVELS)):
        bins = np.bincount(hsv[:, :, channel].ravel().astype(np.int64) * 8 // top, minlength=8)
        values += list(np.sqrt(bins / hsv[:, :, 0].size))
    return np.array(values, dtype=np.float32)
