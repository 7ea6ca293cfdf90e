"""Levels of a copy brought to those of its record, where tile means say enough to fit a curve."""

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.canonical import TILE, Plane, tile_means
from medseal.protection.tamper.grey_curve import GreyCurve
from medseal.protection.tamper.reference.maps import clipped_places

__all__ = ["record_levels"]

_WHITE = 255.0
_ENTRIES = 1024
# A tile lies where the record says up to so many levels. If so many tiles do, no other way is
# tried; else the simplest way counts that puts hardly fewer tiles there than the best.
_EQUAL_LEVELS, _PLAIN_SHARE, _WORSE = 0.75, 0.98, 0.004
# A forgery leaves fewer tiles where they were; a way must explain so many more than none does.
_PLAIN_BONUS = 0.03
# Tiles of which more is clipped tell no line and no power.
_MOST_CLIPPED = 0.02
_ROUNDS, _TRIMMED = 4, 0.88
_MOST_LOG_POWER, _POWERS, _FINER = 0.9, 25, 13
# Between these shares of the tile means a curve is known; outside it goes on as a straight line.
_KNOWN = (0.01, 0.99)
# A place is brighter than the mean of any tile: of the known range so much more is believed.
_MARGIN = 0.1
# An end within so many levels of the record's own clips nothing; so far from its mean a tile may
# have had levels; from which share on the clipped places of a tile say nothing.
_END, _NEAR, _LOST_SHARE = 3.0, 16.0, 0.1

Flags = NDArray[np.bool_]


def _within(levels: Plane, bounds: tuple[Plane, Plane], seen: Flags) -> float:
    """Return the share of tiles that lie where the record says."""
    means = tile_means(levels)
    return float(np.mean(np.abs(means - np.clip(means, *bounds))[seen] <= _EQUAL_LEVELS))


def _affine(shown: Plane, bounds: tuple[Plane, Plane], seen: Flags) -> Plane:
    """Return the levels under the straight line that fits most tiles best."""
    means = tile_means(shown)[seen].astype(np.float64)
    middle = ((bounds[0] + bounds[1]) / 2)[seen].astype(np.float64)
    kept = np.ones(means.size, np.bool_)
    slope, offset = 1.0, 0.0
    for _ in range(_ROUNDS):
        deviation = means[kept] - means[kept].mean()
        slope = float(deviation @ middle[kept] / max(deviation @ deviation, 1e-9))
        offset = float(middle[kept].mean() - slope * means[kept].mean())
        apart = np.abs(middle - slope * means - offset)
        kept = apart <= np.quantile(apart, _TRIMMED)
    return np.asarray(np.clip(slope * shown + offset, 0, _WHITE), np.float32)


def _power(shown: Plane, bounds: tuple[Plane, Plane], seen: Flags) -> Plane:
    """Return the levels under the power that puts most tiles where the record says."""
    small = cv2.resize(shown, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
    small = np.clip(small / _WHITE, 0, 1)
    middle = (bounds[0] + bounds[1]) / 2
    side = TILE // 4
    tiles = (shown.shape[0] // TILE, side, shown.shape[1] // TILE, side)

    def apart(power: float) -> float:
        means = _WHITE * (small**power).reshape(tiles).mean(axis=(1, 3))
        away = np.abs(means - middle)[seen]
        return float(np.mean(away[away <= np.quantile(away, _TRIMMED)]))

    powers = np.exp(np.linspace(-_MOST_LOG_POWER, _MOST_LOG_POWER, _POWERS))
    best = int(np.argmin([apart(power) for power in powers]))
    step = powers[1] / powers[0]
    finer = powers[best] * step ** np.linspace(-1, 1, _FINER)
    power = finer[int(np.argmin([apart(one) for one in finer]))]
    return np.asarray(_WHITE * np.clip(shown / _WHITE, 0, 1) ** power, np.float32)


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

    The simplest that puts the tiles where the record says: nothing, a straight line, a power, and
    only then the fitted curve, which says little of the few places that are brighter or darker than
    any tile. Unless nothing was changed, white may be what a window clipped, and so
    may black.

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
    whole = tile_means(seen.astype(np.float32)) >= 1
    nothing = np.zeros_like(seen)
    if not whole.any() or _within(shown, bounds, whole) >= _PLAIN_SHARE:
        return shown, nothing
    told = whole & (tile_means(clipped_places(shown).astype(np.float32)) <= _MOST_CLIPPED)
    if not told.any():
        told = whole
    table = _straightened(curve, tile_means(shown)[whole])
    places = np.clip(shown, 0, _WHITE) * np.float32((_ENTRIES - 1) / _WHITE)
    fitted = np.take(table, np.rint(places).astype(np.intp)) + (shown - np.clip(shown, 0, _WHITE))
    ways = [shown, _affine(shown, bounds, told), _power(shown, bounds, told), fitted]
    shares = [_within(way, bounds, told) for way in ways]
    shares[0] += _PLAIN_BONUS
    enough = max(shares) - _WORSE
    chosen = next(number for number, share in enumerate(shares) if share >= enough)
    levels = np.asarray(ways[chosen], np.float32)
    return levels, _lost(shown, levels, bounds) if chosen else nothing


def _lost(shown: Plane, levels: Plane, bounds: tuple[Plane, Plane]) -> Flags:
    """Return the places at either end of the copy's levels that stand for a range of the record's.

    They do if the end stands for a level inside the record's range, and the tile is one in which
    the record may have had such levels.
    """
    lost = np.zeros(shown.shape, np.bool_)
    black, white = shown < _WHITE / 2, shown >= _WHITE / 2
    ends = clipped_places(shown)
    dark, bright = levels[ends & black], levels[ends & white]
    if dark.size and float(np.median(dark)) > _END:
        lost |= ends & black & _spread(bounds[0] <= float(np.median(dark)) + _NEAR)
    if bright.size and float(np.median(bright)) < _WHITE - _END:
        lost |= ends & white & _spread(bounds[1] >= float(np.median(bright)) - _NEAR)
    return np.asarray(lost & _spread(tile_means(lost.astype(np.float32)) >= _LOST_SHARE))


def _spread(tiles: Flags) -> Flags:
    return np.repeat(np.repeat(tiles, TILE, axis=0), TILE, axis=1)
