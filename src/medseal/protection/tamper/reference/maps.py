"""What the network is told of each tile beside the features: means, clipped and unseen shares."""

import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.canonical import Plane, tile_means

__all__ = ["clipped_places", "tile_maps"]

# Levels from either end that a display may have clipped.
_CLIP_LEVELS = 0.75
_WHITE = 255.0
_COARSE_UNIT = 16.0
_MOST_COARSE = 4.0


def clipped_places(copy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return where levels of a copy, its grey values as they are, may have been clipped."""
    return np.asarray((copy <= _CLIP_LEVELS) | (copy >= _WHITE - _CLIP_LEVELS))


def tile_maps(copy: Plane, bounds: tuple[Plane, Plane], clipped: Plane, outside: Plane) -> Plane:
    """Return the maps of tiles that go beside the energy of the residual: (3, down, across).

    Parameters
    ----------
    copy
        (16 down, 16 across), canonical levels of the copy.
    bounds
        (down, across) each: from where to where the mean of each of the record's tiles lies.
    clipped, outside
        (down, across), shares of each tile where the copy tells nothing.
    """
    means = tile_means(copy)
    beyond = (means - np.clip(means, *bounds)) / _COARSE_UNIT
    limited = np.clip(beyond, -_MOST_COARSE, _MOST_COARSE)
    return np.stack([limited, clipped, outside]).astype(np.float32)
