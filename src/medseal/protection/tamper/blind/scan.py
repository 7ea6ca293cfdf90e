"""A plane of any size through a network of tiles: maps put together, the highest score kept."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.blind.plane import Plane

__all__ = ["LEAST_SIDE", "TILE_SIDE", "Scan", "Tile", "scanned"]

# Largest side of a tile; what neighbours share; where tiles begin, as blocks of JPEG do.
TILE_SIDE, _OVERLAP, _GRID = 288, 32, 8
# Sides that a network takes: multiples of its stride, large enough for the top of its map.
_STRIDE, LEAST_SIDE = 16, 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tile:
    """What a network gives for one tile.

    Attributes
    ----------
    forged, trusted
        (rows, columns) log-odds of a change and of a right map.
    score
        Log-odds that the tile holds a change.
    features
        (C,).
    """

    forged: Plane
    trusted: Plane
    score: float
    features: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """What it gives for a plane: as `Tile`, the highest score of all tiles, features in the mean.

    Attributes
    ----------
    tiles
        How many were looked at: the more, the higher a score comes by chance.
    """

    forged: Plane
    trusted: Plane
    score: float
    features: NDArray[np.float32]
    tiles: int


def _starts(length: int) -> list[int]:
    if length <= TILE_SIDE:
        return [0]
    count = -(-(length - _OVERLAP) // (TILE_SIDE - _OVERLAP))
    last = length - TILE_SIDE
    return [*(last * place // (count - 1) // _GRID * _GRID for place in range(count - 1)), last]


def _filled(plane: Plane) -> Plane:
    """Return the plane mirrored out to sides that a network takes."""
    sides = [max(-(-side // _STRIDE) * _STRIDE, LEAST_SIDE) for side in plane.shape]
    missing = [(0, side - length) for side, length in zip(sides, plane.shape, strict=True)]
    return np.ascontiguousarray(np.pad(plane, missing, mode="symmetric"))


def _both_ways(plane: Plane, look: Callable[[Plane], Tile]) -> Tile:
    """Return the mean of what a network finds in a tile and in its mirror image."""
    seen, mirrored = look(plane), look(np.ascontiguousarray(plane[:, ::-1]))
    half = np.float32(0.5)
    return Tile(
        forged=np.asarray(half * (seen.forged + mirrored.forged[:, ::-1]), np.float32),
        trusted=np.asarray(half * (seen.trusted + mirrored.trusted[:, ::-1]), np.float32),
        score=(seen.score + mirrored.score) / 2,
        features=np.asarray(half * (seen.features + mirrored.features), np.float32),
    )


def scanned(plane: Plane, look: Callable[[Plane], Tile]) -> Scan:
    """Return what a network finds in a plane; memory beyond the maps is bounded by one tile.

    Parameters
    ----------
    plane
        (rows, columns) levels, float32.
    look
        Takes a plane with sides that are multiples of 16 from 64 to `TILE_SIDE`; it is asked twice
        for each tile, once for its mirror image.
    """
    rows, columns = plane.shape
    forged, trusted = np.zeros_like(plane), np.zeros_like(plane)
    seen = np.zeros_like(plane)
    scores: list[float] = []
    features: list[NDArray[np.float32]] = []
    for top, left in product(_starts(rows), _starts(columns)):
        inside = slice(top, top + TILE_SIDE), slice(left, left + TILE_SIDE)
        part = plane[inside]
        found = _both_ways(_filled(part), look)
        kept = slice(part.shape[0]), slice(part.shape[1])
        forged[inside] += found.forged[kept]
        trusted[inside] += found.trusted[kept]
        seen[inside] += 1
        scores.append(found.score)
        features.append(found.features)
    return Scan(
        forged=forged / seen,
        trusted=trusted / seen,
        score=max(scores),
        features=np.asarray(np.mean(features, axis=0), np.float32),
        tiles=len(scores),
    )
