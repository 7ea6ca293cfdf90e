"""Generated levels with the texture of real images, for edits of levels."""

import numpy as np

from tests.protection.pictures import texture


def plane(rows=96, columns=80, *, seed=1):
    """Return grey levels, float32, (rows, columns)."""
    return (texture(rows, columns, seed=seed) * 255).astype(np.float32)


def coloured(rows=96, columns=80, *, seed=1):
    """Return levels of three colours, float32, (rows, columns, 3)."""
    return np.stack([plane(rows, columns, seed=seed + k) for k in range(3)], axis=2)


def changed(before, after):
    """Return where levels differ at all: (rows, columns)."""
    differs = before != after
    return differs if differs.ndim == 2 else differs.any(axis=2)


def sides(mask):
    """Return rows and columns of the bounding box of a mask."""
    rows, columns = np.nonzero(mask)
    return int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
