"""What happens to a copy without ill intent: compression, noise, filters, geometry, grey values.

Every function takes a `MedicalImage` and returns a new one, all frames alike. Strengths are on a
scale where the value range of the image is 255 levels, so that one setting means the same for 8
and for 16 bits. `jpeg` and `window_to_8_bit` leave the stored values behind and return what a
viewer shows, in 8 bits.
"""

import io
from collections.abc import Callable

import cv2
import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medseal.errors import InputError
from medseal.imaging import MedicalImage, display_values, value_range
from medseal.imaging.image import StoredValues, frozen

__all__ = [
    "blur",
    "brightness",
    "contrast",
    "crop",
    "flip",
    "gamma",
    "gaussian_noise",
    "jpeg",
    "jpeg2000",
    "median",
    "quarter_turn",
    "resize",
    "rotate",
    "salt_and_pepper",
    "window_to_8_bit",
]

_WHITE_LEVEL = 255.0
_COLOUR_SAMPLES = 3
_EIGHT_BITS = 8

Levels = NDArray[np.float32]


def _map_levels(image: MedicalImage, change: Callable[[Levels], Levels]) -> MedicalImage:
    """Return the image with `change` made to the levels of each frame, rounded and clipped.

    `change` takes and returns (rows, columns) for one sample and (rows, columns, samples) for
    more; it may change rows and columns.
    """
    low, high = value_range(image)
    step = (high - low) / _WHITE_LEVEL
    least, most = image.storable_range
    frames = []
    for frame in image.stored_values:
        levels = ((frame - low) / step).astype(np.float32)
        changed = change(levels[:, :, 0] if image.samples == 1 else levels)
        values = changed.astype(np.float64).reshape(*changed.shape[:2], image.samples) * step + low
        if frame.dtype.kind != "f":
            values = np.rint(values)
        frames.append(np.clip(values, least, most).astype(frame.dtype))
    return image.with_stored_values(frozen(np.stack(frames)))


def _shown(
    image: MedicalImage, change: Callable[[NDArray[np.uint8]], StoredValues]
) -> MedicalImage:
    """Return an 8-bit image of `change` made to what a viewer shows of each frame."""
    frames = []
    for index in range(image.frames):
        shown = change(display_values(image, frame=index))
        frames.append(shown if shown.ndim == _COLOUR_SAMPLES else shown[:, :, None])
    values = np.stack(frames)
    colour = values.shape[3] == _COLOUR_SAMPLES
    return MedicalImage(
        stored_values=frozen(values),
        bits_stored=_EIGHT_BITS,
        is_signed=False,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
        source_format="png",
        decoder=image.decoder,
        modality=image.modality,
        spacing_mm=image.spacing_mm,
    )


def jpeg(image: MedicalImage, *, quality: int) -> MedicalImage:
    """Return what a viewer shows of the image after JPEG at a quality of 1 to 100."""

    def encode_and_decode(shown: NDArray[np.uint8]) -> StoredValues:
        buffer = io.BytesIO()
        Image.fromarray(shown).save(buffer, "JPEG", quality=quality)
        with Image.open(buffer) as decoded:
            return np.array(decoded)

    return _shown(image, encode_and_decode)


def jpeg2000(image: MedicalImage, *, psnr_db: int) -> MedicalImage:
    """Return the stored values after lossy JPEG 2000 at a signal-to-noise ratio.

    Raises
    ------
    InputError
        The values do not fit 16 bits.
    """
    least, _ = image.storable_range
    dtype = image.stored_values.dtype
    if dtype.kind == "f" or image.bits_stored > 2 * _EIGHT_BITS:
        raise InputError("JPEG 2000 takes whole numbers of at most 16 bits")
    cell = np.uint8 if image.bits_stored <= _EIGHT_BITS else np.uint16
    frames = []
    for frame in image.stored_values:
        shifted = (frame.astype(np.int64) - int(least)).astype(cell)
        data = imagecodecs.jpeg2k_encode(
            shifted[:, :, 0] if image.samples == 1 else shifted,
            level=psnr_db,
            bitspersample=image.bits_stored,
            reversible=False,
        )
        decoded = imagecodecs.jpeg2k_decode(data).reshape(frame.shape)
        frames.append((decoded.astype(np.int64) + int(least)).astype(dtype))
    return image.with_stored_values(frozen(np.stack(frames)))


def gaussian_noise(image: MedicalImage, *, sigma: float, rng: np.random.Generator) -> MedicalImage:
    """Return the image with white noise of `sigma` levels added."""

    def add(levels: Levels) -> Levels:
        return levels + rng.normal(0.0, sigma, levels.shape).astype(np.float32)

    return _map_levels(image, add)


def salt_and_pepper(image: MedicalImage, *, share: float, rng: np.random.Generator) -> MedicalImage:
    """Return the image with a share of its places set to black or white at random."""

    def strew(levels: Levels) -> Levels:
        drawn = rng.random(levels.shape[:2])
        result = levels.copy()
        result[drawn < share / 2] = 0.0
        result[drawn > 1 - share / 2] = _WHITE_LEVEL
        return result

    return _map_levels(image, strew)


def blur(image: MedicalImage, *, sigma: float) -> MedicalImage:
    """Return the image after a Gaussian filter of `sigma` pixels."""
    return _map_levels(image, lambda levels: cv2.GaussianBlur(levels, (0, 0), sigma))


def median(image: MedicalImage, *, size: int) -> MedicalImage:
    """Return the image after a median filter of 3 x 3 or 5 x 5."""
    return _map_levels(image, lambda levels: cv2.medianBlur(levels, size))


def resize(image: MedicalImage, *, factor: float) -> MedicalImage:
    """Return the image scaled in both directions, by area means down and cubic up."""
    rows, columns = (max(round(side * factor), 1) for side in (image.rows, image.columns))
    return resize_to(image, rows=rows, columns=columns)


def resize_to(image: MedicalImage, *, rows: int, columns: int) -> MedicalImage:
    """Return the image scaled to a given size."""
    shrinks = rows * columns < image.rows * image.columns
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return _map_levels(
        image, lambda levels: cv2.resize(levels, (columns, rows), interpolation=method)
    )


def crop(image: MedicalImage, *, top: int, left: int, rows: int, columns: int) -> MedicalImage:
    """Return a rectangle of the image, untouched inside.

    Raises
    ------
    InputError
        The rectangle does not lie inside the image.
    """
    inside = top >= 0 and left >= 0 and rows > 0 and columns > 0
    if not inside or top + rows > image.rows or left + columns > image.columns:
        raise InputError("the rectangle to keep does not lie inside the image")
    part = image.stored_values[:, top : top + rows, left : left + columns]
    return image.with_stored_values(frozen(part.copy()))


def rotate(image: MedicalImage, *, degrees: float) -> MedicalImage:
    """Return the image turned counter-clockwise about its centre; the corners become black."""
    centre = ((image.columns - 1) / 2, (image.rows - 1) / 2)
    matrix = cv2.getRotationMatrix2D(centre, degrees, 1.0)
    size = (image.columns, image.rows)
    return _map_levels(
        image, lambda levels: cv2.warpAffine(levels, matrix, size, flags=cv2.INTER_CUBIC)
    )


def quarter_turn(image: MedicalImage, *, turns: int) -> MedicalImage:
    """Return the image turned by quarter turns counter-clockwise, every value kept."""
    return image.with_stored_values(frozen(np.rot90(image.stored_values, turns, (1, 2)).copy()))


def flip(image: MedicalImage, *, axis: str) -> MedicalImage:
    """Return the image with its ``rows`` or its ``columns`` in reverse order.

    Raises
    ------
    InputError
        Another axis.
    """
    axes = {"rows": 1, "columns": 2}
    if axis not in axes:
        raise InputError("an image is mirrored along 'rows' or 'columns'")
    return image.with_stored_values(frozen(np.flip(image.stored_values, axes[axis]).copy()))


def brightness(image: MedicalImage, *, share: float) -> MedicalImage:
    """Return the image with a share of the value range added; 0.2 is 20 % brighter."""
    return _map_levels(image, lambda levels: levels + np.float32(share * _WHITE_LEVEL))


def contrast(image: MedicalImage, *, factor: float) -> MedicalImage:
    """Return the image with its distance from mid grey multiplied."""
    middle = np.float32(_WHITE_LEVEL / 2)
    return _map_levels(image, lambda levels: (levels - middle) * np.float32(factor) + middle)


def gamma(image: MedicalImage, *, exponent: float) -> MedicalImage:
    """Return the image with each level between black and white raised to a power."""

    def curve(levels: Levels) -> Levels:
        inside = np.clip(levels / np.float32(_WHITE_LEVEL), 0, 1)
        return np.asarray(inside ** np.float32(exponent) * np.float32(_WHITE_LEVEL), np.float32)

    return _map_levels(image, curve)


def window_to_8_bit(image: MedicalImage, *, low: float = 0.0, high: float = 1.0) -> MedicalImage:
    """Return what a viewer shows after its window is narrowed to a share of the shown range."""

    def narrow(shown: NDArray[np.uint8]) -> StoredValues:
        share = shown / np.float32(_WHITE_LEVEL)
        stretched = np.clip((share - low) / (high - low), 0, 1) * _WHITE_LEVEL
        return np.asarray(np.rint(stretched), np.uint8)

    return _shown(image, narrow)
