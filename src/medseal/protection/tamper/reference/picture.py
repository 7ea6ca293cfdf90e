"""The coarse picture that a record keeps of a frame: tile means in eight levels, and quantiles."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import FingerprintError
from medseal.protection.tamper.canonical import CanonicalGrid, Plane, tile_means
from medseal.protection.tamper.reference.codes import (
    COARSE_BITS,
    COARSE_LEVELS,
    Codes,
    cell_bounds,
    coarse_picture,
    from_bits,
    to_bits,
)

__all__ = ["QUANTILES", "RANKS", "CoarsePicture", "numbers_of", "picture_bytes", "quantiles"]

QUANTILES = 64
"""Quantiles of the levels of a frame that are kept."""

RANKS = 1 / (1 + np.exp(-np.linspace(-7.5, 7.5, QUANTILES)))
"""Shares of the places that lie below each quantile: close together where few places lie."""

_WHITE = 255.0
_BYTE = 8
# More places than this tell no more of a distribution.
_MOST_PLACES = 1 << 16

Levels = NDArray[np.float32]


def quantiles(levels: Levels) -> Levels:
    """Return the levels below which the shares `RANKS` of some levels lie: (QUANTILES,)."""
    flat = levels.ravel()
    flat = np.sort(flat[:: max(1, flat.size // _MOST_PLACES)])
    places = np.arange(flat.size) + 0.5
    return np.asarray(np.interp(RANKS * flat.size, places, flat), np.float32)


def picture_bytes(grid: CanonicalGrid) -> int:
    """Return how many bytes a coarse picture takes."""
    return COARSE_LEVELS + QUANTILES + -(-grid.tiles * COARSE_BITS // _BYTE)


def numbers_of(data: bytes, bits: int, count: int) -> Codes:
    """Return packed numbers, if packing them again gives the same bytes.

    Raises
    ------
    FingerprintError
        Unused bits are set.
    """
    numbers = from_bits(data, bits, count)
    if to_bits(numbers, bits) != data:
        raise FingerprintError("unused bits of the robust part are not zero")
    return numbers


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarsePicture:
    """Tile means of a frame as a record keeps them, and how its levels are distributed.

    Attributes
    ----------
    book
        (8,), uint8, rising: levels of brightness.
    places
        (down, across), uint8: the number of the level of each tile.
    ranked
        (QUANTILES,), uint8, rising: quantiles of the levels of the frame.
    """

    book: NDArray[np.uint8]
    places: Codes
    ranked: NDArray[np.uint8]

    @classmethod
    def of(cls, canonical: Plane) -> "CoarsePicture":
        """Return the picture of a canonical plane."""
        book, places = coarse_picture(tile_means(canonical))
        ranked = np.rint(np.clip(quantiles(canonical), 0, _WHITE)).astype(np.uint8)
        return cls(book=book, places=places, ranked=ranked)

    @classmethod
    def read(cls, data: bytes, grid: CanonicalGrid) -> "CoarsePicture":
        """Return the picture in `picture_bytes` bytes.

        Raises
        ------
        FingerprintError
            Levels or quantiles fall, or unused bits are not zero.
        """
        book = np.frombuffer(data[:COARSE_LEVELS], np.uint8)
        ranked = np.frombuffer(data[COARSE_LEVELS : COARSE_LEVELS + QUANTILES], np.uint8)
        if np.any(book[1:] < book[:-1]) or np.any(ranked[1:] < ranked[:-1]):
            raise FingerprintError("the levels in the robust part of the fingerprint do not rise")
        places = numbers_of(data[COARSE_LEVELS + QUANTILES :], COARSE_BITS, grid.tiles)
        return cls(book=book, places=places.reshape(grid.down, grid.across), ranked=ranked)

    def __bytes__(self) -> bytes:
        """Return the bytes that `read` takes."""
        return self.book.tobytes() + self.ranked.tobytes() + to_bits(self.places, COARSE_BITS)

    @property
    def coarse(self) -> Plane:
        """Tile means in levels: (down, across)."""
        return self.book.astype(np.float32)[self.places]

    @property
    def bounds(self) -> tuple[Plane, Plane]:
        """From where to where the means lie: (down, across) each."""
        lower, upper = (one.astype(np.float32) for one in cell_bounds(self.book.astype(np.float64)))
        return lower[self.places], upper[self.places]

    @property
    def error(self) -> float:
        """Deviation, in levels, of an error that is uniform within the cell of each level used."""
        levels = self.book.astype(np.float64)
        gaps = np.diff(levels, prepend=levels[0], append=levels[-1])
        widths = (gaps[:-1] + gaps[1:]) / 2
        return float(np.sqrt(np.mean(widths[self.places] ** 2 / 12)))
