"""Levels of a copy brought to those of its record, where tile means say enough to fit a curve."""

import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.canonical import TILE, Plane, tile_means
from medseal.protection.tamper.grey_curve import GreyCurve
from medseal.protection.tamper.reference.maps import clipped_places

__all__ = ["record_levels"]

_WHITE = 255.0
_ENTRIES = 1024
# The levels as they are will do if so many tiles lie within so much of where the record says.
_EQUAL_SHARE, _EQUAL_LEVELS = 0.85, 0.75
# Between these shares of the tile means a curve is known; outside it goes on as a straight line.
_KNOWN = (0.01, 0.99)
# A place is brighter than the mean of any tile: of the known range so much more is believed.
_MARGIN = 0.1
# Mean of a tile that was black, and from which share on clipped places of a tile say nothing.
_BLACK, _LOST_SHARE = 4.0, 0.1

Flags = NDArray[np.bool_]


def _is_equal(means: Plane, bounds: tuple[Plane, Plane], seen: Flags) -> bool:
    """Return whether the tiles lie where the record says without any curve."""
    beyond = np.abs(means - np.clip(means, *bounds))[seen]
    return bool(np.mean(beyond <= _EQUAL_LEVELS) >= _EQUAL_SHARE)


def _straightened(curve: GreyCurve, means: NDArray[np.float32]) -> Plane:
    """Return a table of the curve over 0 to 255 that goes on straight where no tile mean lies."""
    levels = np.linspace(0, _WHITE, _ENTRIES, dtype=np.float32)
    table = curve.apply(levels).astype(np.float64)
    low, high = np.quantile(means, _KNOWN)
    margin = _MARGIN * (high - low)
    known = (levels >= low - margin) & (levels <= high + margin)
    if not known.any():
        return np.asarray(table, np.float32)
    first, last = np.flatnonzero(known)[[0, -1]]
    slope = (table[last] - table[first]) / max(levels[last] - levels[first], 1.0)
    table[:first] = table[first] + slope * (levels[:first] - levels[first])
    table[last + 1 :] = table[last] + slope * (levels[last + 1 :] - levels[last])
    return np.asarray(np.clip(table, 0, _WHITE), np.float32)


def record_levels(
    shown: Plane, curve: GreyCurve, bounds: tuple[Plane, Plane], seen: Flags
) -> tuple[Plane, Flags]:
    """Return the levels of the record for those of a copy, and which say nothing: (rows, columns).

    Where the copy's tiles already lie within the record's bounds no curve is applied, and nothing
    is lost: a fit over tile means says little of the few places that are brighter or darker than
    any of them. Else white may be what a window clipped, and so may black, but for tiles that were
    black in the record.

    Parameters
    ----------
    shown
        (rows, columns), canonical levels of the copy.
    curve
        Fitted to the tile means.
    bounds
        (down, across) each: from where to where the record says that the means lie.
    seen
        (rows, columns), places that lie in the copy.
    """
    means = tile_means(shown)
    whole = tile_means(seen.astype(np.float32)) >= 1
    if not whole.any() or _is_equal(means, bounds, whole):
        return shown, np.zeros_like(seen)
    table = _straightened(curve, means[whole])
    places = np.clip(shown, 0, _WHITE) * np.float32((_ENTRIES - 1) / _WHITE)
    known = np.take(table, np.rint(places).astype(np.intp))
    levels = np.asarray(known + (shown - np.clip(shown, 0, _WHITE)), np.float32)
    return levels, _lost(shown, bounds)


def _lost(shown: Plane, bounds: tuple[Plane, Plane]) -> Flags:
    ends = clipped_places(shown)
    grey = (bounds[0] + bounds[1]) / 2 > _BLACK
    lost = ends & ((shown > _WHITE / 2) | _spread(grey))
    return np.asarray(lost & _spread(tile_means(lost.astype(np.float32)) >= _LOST_SHARE))


def _spread(tiles: Flags) -> Flags:
    return np.repeat(np.repeat(tiles, TILE, axis=0), TILE, axis=1)
