"""The canonical plane: the brightness of a frame on a grid of tiles, whatever its size."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LEAST_SIDE",
    "TILE",
    "CanonicalGrid",
    "brightness",
    "limited",
    "resampled",
    "tile_means",
    "unlimited",
]

TILE = 16
"""Places a side of a tile of the canonical plane."""

LEAST_SIDE = 24
"""Rows and columns below which an image has no canonical plane."""

_MOST_TILES = 1024
# Tiles of all frames together, and of one frame at least: with more frames there is no plane.
_MOST_TILES_OF_ALL, _LEAST_TILES = 16_000, 64
# Images more elongated than this have no canonical plane.
_MOST_ASPECT = 12.0
_COLOUR_AXES = 3
# ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_WHITE = 255.0
# Outside 0 to 255 levels are compressed: a viewer shows none of it, another window would.
_OUTSIDE_SLOPE, _MOST_OUTSIDE = 0.125, 24.0

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalGrid:
    """Tiles down and across of the canonical plane of one frame."""

    down: int
    across: int

    @classmethod
    def of(cls, frames: int, rows: int, columns: int) -> "CanonicalGrid | None":
        """Return the grid for an image, None where it is too small, long, or has too many frames.

        A tile is as good as square in the image; there are at most 1024 in a frame and 16000 in
        all frames.
        """
        most = min(_MOST_TILES, _MOST_TILES_OF_ALL // frames)
        long, short = max(rows, columns), min(rows, columns)
        if most < _LEAST_TILES or short < LEAST_SIDE or long > _MOST_ASPECT * short:
            return None
        down = max(1, round(float(np.sqrt(most * rows / columns))))
        across = max(1, min(most // down, round(down * columns / rows)))
        return cls(down=down, across=across)

    @property
    def tiles(self) -> int:
        """Number of tiles."""
        return self.down * self.across

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the canonical plane."""
        return self.down * TILE, self.across * TILE


def brightness(levels: Plane) -> Plane:
    """Return the brightness of levels, softly limited outside 0 to 255: (rows, columns).

    Parameters
    ----------
    levels
        (rows, columns) or (rows, columns, 3), from `attacks.levels`.
    """
    return limited(levels @ _LUMA if levels.ndim == _COLOUR_AXES else levels)


def limited(grey: Plane) -> Plane:
    """Return grey levels softly limited outside 0 to 255: same shape."""
    inside = np.clip(grey, 0.0, _WHITE)
    beyond = np.clip((grey - inside) * _OUTSIDE_SLOPE, -_MOST_OUTSIDE, _MOST_OUTSIDE)
    return np.asarray(inside + beyond, np.float32)


def unlimited(plane: Plane) -> Plane:
    """Return the grey levels that `limited` was given, up to its bound: same shape."""
    inside = np.clip(plane, 0.0, _WHITE)
    return np.asarray(inside + (plane - inside) / _OUTSIDE_SLOPE, np.float32)


def resampled(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Return the plane in another size: by area where it shrinks, else bilinear."""
    if plane.shape == shape:
        return plane
    shrinks = shape[0] * shape[1] < plane.shape[0] * plane.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, shape[::-1], interpolation=method), np.float32)


def tile_means(plane: Plane) -> Plane:
    """Return the means of the tiles of a canonical plane: (down, across)."""
    rows, columns = plane.shape
    tiles = plane.reshape(rows // TILE, TILE, columns // TILE, TILE)
    return np.asarray(tiles.mean(axis=(1, 3)), np.float32)
