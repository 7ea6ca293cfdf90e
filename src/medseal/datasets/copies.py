"""Copies of one picture in a collection: equal, re-encoded, mirrored or shifted."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["DUPLICATE_CORRELATION", "SIDE", "Copy", "Kind", "find_copies", "thumbnail"]

Kind = Literal["equal", "near", "mirrored", "shifted"]
# Normalised correlation of 32x32 thumbnails above which two images may be copies.
DUPLICATE_CORRELATION = 0.985
# What their fine detail must correlate: apertures, masks and skulls make different pictures alike.
# Measured with black counted: copies 0.67 or more, different pictures 0.47 or less, save for
# fundus photographs behind a cataract, which show no detail.
_DETAIL_CORRELATION = 0.65
_DETAIL_SIGMA = 1.5
# Detail counts in relation to what is around it, so that one sharp edge does not outweigh the rest;
# what is weaker than a grey level is noise.
_LOCAL_SIGMA = 3.0
_NOISE_LEVEL = 1.0
# Grey levels that count as black, how wide its surroundings are, and what must be left.
_BLACK, _EDGE = 12, 9
_MIN_FOREGROUND = 0.15
# Share of a side that is left out all round, where apertures end.
_MARGIN = 12 / 64
# Pixels a side of a thumbnail; correlation is taken at half of it.
SIDE = 64
_HALF = SIDE // 2
# Low frequencies of the cosine transform that make the perceptual hash.
_HASH_SIDE = 12
_CANDIDATES = 6
_MIN_SIMILARITY = 0.35
_BLOCK = 512
_MAX_SHIFT = SIDE // 4
_FLAT = 1e-6
# Height of the peak of phase correlation below which there is no common shift.
_MIN_RESPONSE = 0.25
# Left-right, top-bottom.
_MIRRORS = ((False, False), (True, False), (False, True), (True, True))

_WINDOW = cv2.createHanningWindow((SIDE, SIDE), cv2.CV_32F)

Planes = NDArray[np.float32]
Mirror = tuple[bool, bool]
Window = tuple[slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Copy:
    """Two images that show the same picture.

    Attributes
    ----------
    first, second
        Places in the collection, the smaller one first.
    kind
        What lies between them; ``equal`` means the same display values.
    correlation
        Normalised, of the thumbnails or their common part.
    """

    first: int
    second: int
    kind: Kind
    correlation: float


def thumbnail(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a grey picture in the size that copies are looked for in, (SIDE, SIDE)."""
    small: NDArray[np.uint8] = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return small


def find_copies(thumbnails: NDArray[np.uint8], digests: Sequence[str]) -> list[Copy]:
    """Return the pairs of images that show the same picture.

    Parameters
    ----------
    thumbnails
        uint8, (n, SIDE, SIDE), as `thumbnail` gives them.
    digests
        Of the display values of each image.

    Returns
    -------
    list
        Sorted. Of many equal images each stands with the first one only.

    Notes
    -----
    1. Candidates: the nearest by low cosine frequencies, each as it is and mirrored, and by the
       sizes of low Fourier frequencies, which no shift changes.
    2. They are copies if 32x32 thumbnails correlate above `DUPLICATE_CORRELATION`, or
    3. if the common part does after the shift that phase correlation finds is undone, and
    4. if the fine detail of the middle correlates too.
    Flat pictures are copies of nothing but their equals.
    """
    found = {(c.first, c.second): c for c in _equal(digests)}
    home = {second: first for first, second in found}
    planes = thumbnails.astype(np.float32)
    halves = planes.reshape(-1, _HALF, 2, _HALF, 2).mean(axis=(2, 4))
    for first, second, mirror in sorted(_candidates(halves)):
        if home.get(second, second) == home.get(first, first):
            continue
        kind: Kind = "near" if mirror == _MIRRORS[0] else "mirrored"
        other = np.ascontiguousarray(_mirrored(planes[second], mirror))
        near = _correlation(halves[first], _mirrored(halves[second], mirror))
        if near > DUPLICATE_CORRELATION:
            detail = _detail_correlation(planes[first], other)
        else:
            kind = "shifted"
            near, detail = _shifted(planes[first], other)
        known = found.get((first, second))
        is_copy = near > DUPLICATE_CORRELATION and detail > _DETAIL_CORRELATION
        if is_copy and (known is None or near > known.correlation):
            found[first, second] = Copy(first=first, second=second, kind=kind, correlation=near)
    return sorted(found.values())


def _equal(digests: Sequence[str]) -> Iterator[Copy]:
    first: dict[str, int] = {}
    for index, digest in enumerate(digests):
        home = first.setdefault(digest, index)
        if home != index:
            yield Copy(first=home, second=index, kind="equal", correlation=1.0)


def _hashes(halves: Planes) -> Planes:
    """Return low cosine frequencies without the mean, each of about equal weight, (n, k)."""
    coefficients = np.stack([cv2.dct(half) for half in halves])[:, :_HASH_SIDE, :_HASH_SIDE]
    flat = coefficients.reshape(len(halves), -1)[:, 1:]
    typical = np.median(np.abs(flat), axis=0) + _FLAT
    return _unit(np.tanh(flat / typical))


def _spectra(halves: Planes) -> tuple[Planes, Planes]:
    """Return the sizes of low Fourier frequencies, which no shift changes; and mirrored, (n, k)."""
    sizes = np.log1p(np.abs(np.fft.fft2(halves)))
    low = np.r_[-_HASH_SIDE // 2 : _HASH_SIDE // 2 + 1]
    down, right = np.meshgrid(low, low[low >= 0], indexing="ij")
    kept = (right > 0) | (down > 0)
    plain = sizes[:, down[kept], right[kept]]
    turned = sizes[:, down[kept], -right[kept]]
    # What is typical for all pictures tells none from another.
    centre, spread = plain.mean(axis=0), plain.std(axis=0) + _FLAT
    return _unit((plain - centre) / spread), _unit((turned - centre) / spread)


def _unit(rows: Planes) -> Planes:
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    unit: Planes = (rows / np.maximum(length, _FLAT)).astype(np.float32)
    return unit


def _candidates(halves: Planes) -> set[tuple[int, int, Mirror]]:
    """Return pairs that may be copies, the smaller place first, and how to mirror the second."""
    hashes = _hashes(halves)
    rows, columns = np.divmod(np.arange(1, _HASH_SIDE**2), _HASH_SIDE)
    found: set[tuple[int, int, Mirror]] = set()
    for mirror in _MIRRORS:
        # Mirroring changes the sign of the odd frequencies.
        signs = (-1.0) ** (columns * mirror[0] + rows * mirror[1])
        pairs = _nearest(hashes, (hashes * signs).astype(np.float32))
        found |= {(first, second, mirror) for first, second in pairs}
    # Mirroring both ways turns by half a circle, which leaves the sizes as they are.
    for spectra, mirrors in zip(_spectra(halves), (_MIRRORS[::3], _MIRRORS[1:3]), strict=True):
        pairs = _nearest(_spectra(halves)[0], spectra)
        found |= {(first, second, mirror) for first, second in pairs for mirror in mirrors}
    return found


def _nearest(rows: Planes, others: Planes) -> Iterator[tuple[int, int]]:
    """Return the pairs of a row and its nearest others, the smaller place first."""
    wanted = min(_CANDIDATES + 1, len(rows))
    for start in range(0, len(rows), _BLOCK):
        similar = rows[start : start + _BLOCK] @ others.T
        nearest = np.argpartition(-similar, wanted - 1, axis=1)[:, :wanted]
        for row, places in enumerate(nearest):
            first = start + row
            for second in places[similar[row, places] > _MIN_SIMILARITY].tolist():
                if first != second:
                    yield min(first, second), max(first, second)


def _mirrored(plane: Planes, mirror: Mirror) -> Planes:
    turned = plane[:, ::-1] if mirror[0] else plane
    return turned[::-1] if mirror[1] else turned


def _correlation(first: Planes, second: Planes) -> float:
    a, b = first - first.mean(), second - second.mean()
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum()) / length if length > _FLAT * a.size else 0.0


def _detail_correlation(first: Planes, second: Planes, common: Window | None = None) -> float:
    """Return the correlation of fine detail in the middle of two planes, or of a window of them."""
    window = common or (slice(0, SIDE), slice(0, SIDE))
    margin = int(_MARGIN * SIDE)
    middle = tuple(slice(max(part.start, margin), min(part.stop, SIDE - margin)) for part in window)
    inside = (_foreground(first) & _foreground(second))[middle]
    if inside.mean() < _MIN_FOREGROUND:
        inside[:] = True
    return _correlation(_detail(first)[middle][inside], _detail(second)[middle][inside])


def _foreground(plane: Planes) -> NDArray[np.bool_]:
    """Return where a plane is not black, nor near to black: an aperture's edge is no detail."""
    bright = (cv2.blur(plane, (3, 3)) > _BLACK).astype(np.uint8)
    inner: NDArray[np.bool_] = cv2.erode(bright, np.ones((_EDGE, _EDGE), np.uint8)) > 0
    return inner


def _detail(plane: Planes) -> Planes:
    """Return fine detail, evened out by its strength nearby."""
    fine = plane - cv2.GaussianBlur(plane, (0, 0), _DETAIL_SIGMA)
    strength = np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), _LOCAL_SIGMA))
    even: Planes = fine / (strength + _NOISE_LEVEL)
    return even


def _shifted(first: Planes, second: Planes) -> tuple[float, float]:
    """Return the correlation of the common part, and of its detail, after the best shift.

    0 if there is no shift.
    """
    # Copies: phaseCorrelate multiplies its arguments by the window in place.
    (x, y), response = cv2.phaseCorrelate(first.copy(), second.copy(), _WINDOW)
    if response < _MIN_RESPONSE or max(abs(x), abs(y)) > _MAX_SHIFT:
        return 0.0, 0.0
    back = np.array([[1, 0, -x], [0, 1, -y]], dtype=np.float32)
    undone = cv2.warpAffine(second, back, (SIDE, SIDE))
    common = (
        slice(int(np.ceil(max(0, -y))), SIDE - int(np.ceil(max(0, y)))),
        slice(int(np.ceil(max(0, -x))), SIDE - int(np.ceil(max(0, x)))),
    )
    whole = _correlation(cv2.blur(first, (2, 2))[common], cv2.blur(undone, (2, 2))[common])
    return whole, _detail_correlation(first, undone, common)
