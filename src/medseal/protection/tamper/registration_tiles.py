"""Where the record's tiles lie, and which of them a copy shows."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import frozen

__all__ = ["centres", "mixed_tiles", "seen_tiles"]

# How far a tile may reach beyond the copy, and how far beside a tile foreign places matter, in
# tiles.
_EDGE = 0.02
_BESIDE = 0.05

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@cache
def centres(tiles: tuple[int, int]) -> Values:
    """Return 1 and the centres of the tiles, across and down, in half sides: (3, tiles)."""
    down, across = tiles
    half = max(down, across) / 2
    x = (np.arange(across) + 0.5 - across / 2) / half
    y = (np.arange(down) + 0.5 - down / 2) / half
    return frozen(np.stack([np.ones(down * across), np.tile(x, down), np.repeat(y, across)]))


@cache
def _corners(tiles: tuple[int, int]) -> Values:
    """Return the corners of the tiles and 1: (3, corners)."""
    down, across = tiles
    x, y = np.arange(across + 1) - across / 2, np.arange(down + 1) - down / 2
    size = x.size * y.size
    return frozen(np.stack([np.tile(x, y.size), np.repeat(y, x.size), np.ones(size)]))


@cache
def _beside(tiles: tuple[int, int]) -> Values:
    """Return places just beyond the corners at the border, and 1, side by side: (3, places).

    Above, below, left and right of the record.
    """
    down, across = tiles
    x, y = np.arange(across + 1) - across / 2, np.arange(down + 1) - down / 2
    right, bottom = across / 2 + _BESIDE, down / 2 + _BESIDE
    columns = [x, x, np.full(y.size, -right), np.full(y.size, right)]
    rows = [np.full(x.size, -bottom), np.full(x.size, bottom), y, y]
    return frozen(
        np.stack([np.concatenate(columns), np.concatenate(rows), np.ones(2 * (x.size + y.size))])
    )


def seen_tiles(shape: tuple[int, int], matrix: Values, tiles: tuple[int, int]) -> Flags:
    """Return which tiles lie wholly inside a plane of a shape: (tiles,)."""
    places = matrix @ _corners(tiles)
    slack = _EDGE * np.abs(matrix[:, :2]).sum(axis=1)
    sides = np.array([shape[1], shape[0]])
    flags = (places >= (-0.5 - slack)[:, None]) & (places <= (sides - 0.5 + slack)[:, None])
    inside = (flags[0] & flags[1]).reshape(tiles[0] + 1, tiles[1] + 1)
    inside = inside[1:] & inside[:-1]
    return np.asarray((inside[:, 1:] & inside[:, :-1]).ravel())


def mixed_tiles(shape: tuple[int, int], matrix: Values, tiles: tuple[int, int]) -> Flags:
    """Return which tiles at the record's border lie beside foreign places of the copy: (tiles,).

    Such places, black corners for the most part, are blurred into them.
    """
    places = matrix @ _beside(tiles)
    flags = (places > 0) & (places < np.array([[shape[1] - 1], [shape[0] - 1]]))
    inside = flags[0] & flags[1]
    either = inside[1:] | inside[:-1]
    down, across = tiles
    result = np.zeros(tiles, np.bool_)
    result[0] = either[:across]
    result[-1] |= either[across + 1 : 2 * across + 1]
    result[:, 0] |= either[2 * across + 2 : 2 * across + 2 + down]
    result[:, -1] |= either[-down:]
    return result.ravel()
