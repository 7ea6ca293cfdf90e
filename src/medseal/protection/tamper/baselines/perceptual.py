"""Perceptual hashes of an image as shown: pHash, dHash and PDQ, compared by differing bits."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.protection.tamper.baselines.method import Flags, Plane, Reading, luma

__all__ = [
    "PerceptualHash",
    "dct_hash",
    "difference_hash",
    "pdq_hash",
    "perceptual_hashes",
]

# ImageHash and others take the DCT of a picture four times as large as the hash.
_OVERSAMPLING = 4
_PDQ_SIDE = 64
_PDQ_BITS_A_SIDE = 16
_PDQ_PASSES = 2
_QUARTER_TURNS = 4

Bits = Flags
Matrix = NDArray[np.float64]


def _shrunk(plane: Plane, rows: int, columns: int) -> Plane:
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA), np.float32)


def _as_it_is(plane: Plane) -> Plane:
    return plane


def dct_hash(plane: Plane, *, side: int) -> Bits:
    """Return which of the lowest DCT coefficients exceed their median: (side * side,).

    References
    ----------
    Zauner 2010, Implementation and benchmarking of perceptual image hash functions (pHash), in
    the variant of ImageHash.
    """
    small = _shrunk(plane, side * _OVERSAMPLING, side * _OVERSAMPLING)
    low = cv2.dct(small)[:side, :side]
    return np.asarray(low > np.median(low), np.bool_).ravel()


def difference_hash(plane: Plane, *, side: int) -> Bits:
    """Return where brightness rises to the right in a small picture: (side * side,).

    References
    ----------
    Krawetz 2013, Kind of like that (dHash).
    """
    small = _shrunk(plane, side, side + 1)
    return np.asarray(small[:, 1:] > small[:, :-1], np.bool_).ravel()


def _box(values: Matrix, window: int) -> Matrix:
    """Return means over a window along the last axis, cut at the ends as PDQ does.

    Of an even window the larger half lies to the right.
    """
    size = values.shape[-1]
    half = (window + 2) // 2
    sums = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    place = np.arange(size)
    start = np.maximum(place - (window - half), 0)
    stop = np.minimum(place + half, size)
    return np.asarray((sums[:, stop] - sums[:, start]) / (stop - start), np.float64)


@lru_cache(maxsize=1)
def _pdq_matrix() -> Matrix:
    """Return rows 1 to 16 of the DCT of 64 values; row 0, the mean, is left out."""
    frequency = np.arange(1, _PDQ_BITS_A_SIDE + 1)[:, None]
    place = np.arange(_PDQ_SIDE)[None, :]
    angle = np.pi / (2 * _PDQ_SIDE) * frequency * (2 * place + 1)
    return np.asarray(np.sqrt(2 / _PDQ_SIDE) * np.cos(angle), np.float64)


def _pdq_window(side: int) -> int:
    return (side + 2 * _PDQ_SIDE - 1) // (2 * _PDQ_SIDE)


def _pdq_picture(plane: Plane) -> Plane:
    """Return 64 x 64 places after two passes of a box filter, which approximate a tent."""
    rows, columns = plane.shape
    values = plane.astype(np.float64)
    for _ in range(_PDQ_PASSES):
        values = _box(values, _pdq_window(columns))
        values = _box(np.ascontiguousarray(values.T), _pdq_window(rows)).T
    places = [((np.arange(_PDQ_SIDE) + 0.5) * side / _PDQ_SIDE).astype(int) for side in plane.shape]
    return np.asarray(values[np.ix_(*places)], np.float32)


def _pdq_bits(picture: Plane) -> Bits:
    matrix = _pdq_matrix()
    low = matrix @ picture.astype(np.float64) @ matrix.T
    return np.asarray(low > np.median(low), np.bool_).ravel()


def pdq_hash(plane: Plane) -> Bits:
    """Return the 256 bits of PDQ.

    The plane is smoothed (Jarosz) and taken at 64 x 64 places, and of their DCT the coefficients
    1 to 16 in each direction are compared with their median.

    References
    ----------
    Facebook 2019, The TMK+PDQF video-hashing algorithm and the PDQ image-hashing algorithm.
    """
    return _pdq_bits(_pdq_picture(plane))


@dataclass(frozen=True, slots=True, kw_only=True)
class PerceptualHash:
    """A hash whose differing bits are the score.

    Attributes
    ----------
    hash_of
        Takes a plane, returns bits.
    prepare
        Takes the plane first; turns and mirrors come after it.
    in_all_orientations
        Whether the copy counts in that of eight orientations that is nearest.
    """

    name: str
    hash_of: Callable[[Plane], Bits]
    threshold: float
    prepare: Callable[[Plane], Plane] = _as_it_is
    in_all_orientations: bool = False
    is_blind: bool = False

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the hash."""
        return np.packbits(self.hash_of(self.prepare(luma(image)))).tobytes()

    def compare(self, image: MedicalImage, record: bytes) -> Reading:
        """Return the number of differing bits."""
        plane = self.prepare(luma(image))
        planes = [plane]
        if self.in_all_orientations:
            mirrored = np.ascontiguousarray(plane[:, ::-1])
            planes = [
                np.ascontiguousarray(np.rot90(side, turns))
                for side in (plane, mirrored)
                for turns in range(_QUARTER_TURNS)
            ]
        known = np.frombuffer(record, np.uint8)
        differing = (
            int(np.bitwise_count(np.packbits(self.hash_of(one)) ^ known).sum()) for one in planes
        )
        return Reading(score=float(min(differing)))


def perceptual_hashes() -> tuple[PerceptualHash, ...]:
    """Return the hashes with their customary thresholds in bits."""
    return (
        PerceptualHash(name="pHash-64", hash_of=lambda p: dct_hash(p, side=8), threshold=10),
        PerceptualHash(
            name="pHash-256, any bit", hash_of=lambda p: dct_hash(p, side=16), threshold=0
        ),
        PerceptualHash(name="pHash-256", hash_of=lambda p: dct_hash(p, side=16), threshold=20),
        PerceptualHash(
            name="dHash-256", hash_of=lambda p: difference_hash(p, side=16), threshold=20
        ),
        PerceptualHash(name="PDQ", prepare=_pdq_picture, hash_of=_pdq_bits, threshold=31),
        PerceptualHash(
            name="PDQ, 8 orientations",
            prepare=_pdq_picture,
            hash_of=_pdq_bits,
            threshold=31,
            in_all_orientations=True,
        ),
    )
