"""Levels of a copy brought to those of its record, where tile means say enough to fit a curve."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.canonical import TILE, Plane, limited, tile_means, unlimited
from medseal.protection.tamper.grey_curve import GreyCurve
from medseal.protection.tamper.reference.maps import clipped_places
from medseal.protection.tamper.reference.picture import RANKS, CoarsePicture, quantiles

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
# Quantiles so near black or white may be clipped; so many levels are needed; powers tried; how near
# a quantile lies to its curve, and from where on it is as good as any other that is off.
_RANKED_END, _LEAST_RANKED, _RANKED_POWERS, _RANKED_ROUNDS = 1.0, 8, 73, 6
_RANKED_NEAR, _RANKED_FAR = 0.7, 4.0
# Copies that show less of the record have other quantiles.
_WHOLE_SHARE = 0.985
# Between these shares of the tile means a curve is known; outside it goes on as a straight line.
_KNOWN = (0.01, 0.99)
# A place is brighter than the mean of any tile: of the known range so much more is believed.
_MARGIN = 0.1
# An end within so many levels of the record's own clips nothing; so far from its mean a tile may
# have had levels; from which share on the clipped places of a tile say nothing.
_END, _NEAR, _LOST_SHARE = 3.0, 16.0, 0.1
# So far beyond black or white levels go on.
_BEYOND = 0.5
# Of fewer tiles no way can be chosen.
_LEAST_TOLD = 0.05

Flags = NDArray[np.bool_]


def _within(levels: Plane, bounds: tuple[Plane, Plane], seen: Flags) -> float:
    """Return the share of tiles that lie where the record says."""
    means = tile_means(levels)
    return float(np.mean(np.abs(means - np.clip(means, *bounds))[seen] <= _EQUAL_LEVELS))


def _beyond(shown: Plane) -> Flags:
    """Return the places whose levels go on beyond black or white, which no end cut off."""
    return np.asarray((shown < -_BEYOND) | (shown > _WHITE + _BEYOND))


def _affine(shown: Plane, bounds: tuple[Plane, Plane], seen: Flags) -> Plane:
    """Return the levels under the straight line that fits most tiles best."""
    beyond = _beyond(shown)
    inside = seen & (tile_means(beyond.astype(np.float32)) <= _MOST_CLIPPED)
    told = inside if inside.sum() >= _LEAST_TOLD * seen.sum() else seen
    means = tile_means(shown)[told].astype(np.float64)
    middle = ((bounds[0] + bounds[1]) / 2)[told].astype(np.float64)
    kept = np.ones(means.size, np.bool_)
    slope, offset = 1.0, 0.0
    for _ in range(_ROUNDS):
        deviation = means[kept] - means[kept].mean()
        slope = float(deviation @ middle[kept] / max(deviation @ deviation, 1e-9))
        offset = float(middle[kept].mean() - slope * means[kept].mean())
        apart = np.abs(middle - slope * means - offset)
        kept = apart <= np.quantile(apart, _TRIMMED)
    if beyond.any():
        return limited(np.asarray(slope * unlimited(shown) + offset, np.float32))
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


def _ranked(here: NDArray[np.float32], picture: CoarsePicture) -> Plane | None:
    """Return the table of the line after a power that the quantiles follow, if any does.

    Places keep their ranks under any rising curve, the few brightest and darkest too. A forgery
    moves some quantiles; a smooth curve through most of them does not follow it.
    """
    there = picture.ranked.astype(np.float64)
    inside = (here > _RANKED_END) & (here < _WHITE - _RANKED_END)
    # Levels that many places share have many ranks; each counts once.
    _, first = np.unique(np.rint(here[inside]), return_index=True)
    here, there = here[inside][first].astype(np.float64), there[inside][first]
    if len(here) < _LEAST_RANKED:
        return None
    powers = np.exp(np.linspace(-_MOST_LOG_POWER, _MOST_LOG_POWER, _RANKED_POWERS))
    bent = (here / _WHITE) ** powers[:, None]  # (P, Q)
    weights = np.ones_like(bent)
    for _ in range(_RANKED_ROUNDS):
        total = weights.sum(1, keepdims=True)
        centre = (weights * bent).sum(1, keepdims=True) / total
        level = (weights * there).sum(1, keepdims=True) / total
        spread = (weights * (bent - centre) ** 2).sum(1, keepdims=True)
        joint = (weights * (bent - centre) * (there - level)).sum(1, keepdims=True)
        slope = joint / np.maximum(spread, 1e-12)
        apart = np.abs(level + slope * (bent - centre) - there)
        weights = 1 / (_RANKED_NEAR**2 + apart**2)
    best = int(np.argmin(np.minimum(apart, _RANKED_FAR).mean(1)))
    if slope[best, 0] <= 0:
        return None
    raised = np.linspace(0, 1, _ENTRIES) ** powers[best]
    table = level[best, 0] + slope[best, 0] * (raised - centre[best, 0])
    return np.asarray(np.clip(table, 0, _WHITE), np.float32)


def _applied(table: Plane, shown: Plane) -> Plane:
    """Return the levels that a table over 0 to 255 gives; beyond, the plane goes on as it was."""
    inside = np.clip(shown, 0, _WHITE)
    places = np.rint(inside * np.float32((_ENTRIES - 1) / _WHITE)).astype(np.intp)
    return np.asarray(np.take(table, places) + (shown - inside), np.float32)


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
    shown: Plane, curve: GreyCurve, picture: CoarsePicture, seen: Flags
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
    picture
        What the record keeps of the frame.
    seen
        (rows, columns), places that lie in the copy.
    """
    bounds = picture.bounds
    whole = tile_means(seen.astype(np.float32)) >= 1
    if not whole.any() or _within(shown, bounds, whole) >= _PLAIN_SHARE:
        return shown, np.zeros_like(seen)
    if not curve.rising:
        # The highest ranks of a negative are the lowest of the record: turned round, all rises.
        mirrored = GreyCurve(table=curve.table[::-1], rising=True)
        return record_levels(_WHITE - shown, mirrored, picture, seen)
    # Quantiles are those of the whole image: a copy that shows less of it has others.
    here = quantiles(shown[seen]) if seen.mean() >= _WHOLE_SHARE else None
    ends = _Ends.of(shown, picture, here)
    told = whole & (tile_means(ends.places.astype(np.float32)) <= _MOST_CLIPPED)
    if told.sum() < _LEAST_TOLD * whole.sum():
        told = whole
    levels = _best_way(shown, curve, picture, told, here, ends)
    if levels is None:
        return shown, np.zeros_like(seen)
    return levels, ends.lost(levels, bounds)


def _best_way(
    shown: Plane,
    curve: GreyCurve,
    picture: CoarsePicture,
    told: Flags,
    here: NDArray[np.float32] | None,
    ends: "_Ends",
) -> Plane | None:
    """Return the levels under the simplest way that is as good as any; None for none at all.

    What was cut off at an end lies on no way: each is judged with its ends filled.
    """
    bounds = picture.bounds
    plain = _within(shown, bounds, told) + _PLAIN_BONUS
    ways: list[Plane] = []
    table = None if here is None else _ranked(here, picture)
    if table is not None:
        ways.append(ends.filled(_applied(table, shown)))
        share = _within(ways[0], bounds, told)
        if share >= max(_PLAIN_SHARE, plain):
            return ways[0]
    straightened = _straightened(curve, tile_means(shown)[told])
    ways += [
        ends.filled(way)
        for way in (
            _affine(shown, bounds, told),
            _power(shown, bounds, told),
            _applied(straightened, shown),
        )
    ]
    shares = [_within(way, bounds, told) for way in ways]
    enough = max(shares) - _WORSE
    if plain >= enough:
        return None
    return next(way for way, share in zip(ways, shares, strict=True) if share >= enough)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _End:
    """Places of a copy at black or at white.

    Attributes
    ----------
    places
        (rows, columns); none if as good as no place lost its level there.
    level
        Mean level of the record's places of these ranks; None if that is not known.
    """

    places: Flags
    level: float | None

    @classmethod
    def of(cls, places: Flags, ranked: NDArray[np.float64] | None) -> "_End":
        """Return an end; `ranked` are the record's levels of the ranks that lie there."""
        if ranked is None or not ranked.size:
            return cls(places=places, level=None)
        if float(ranked.std()) <= _END:
            return cls(places=np.zeros_like(places), level=float(ranked.mean()))
        return cls(places=places, level=float(ranked.mean()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ends:
    """What of a copy lies at black and at white."""

    dark: Flags
    bright: Flags
    low: _End
    high: _End

    @classmethod
    def of(cls, shown: Plane, picture: CoarsePicture, here: NDArray[np.float32] | None) -> "_Ends":
        """Return the ends of a copy; `here` are its quantiles, None where they say nothing."""
        both = clipped_places(shown)
        dark, bright = both & (shown < _WHITE / 2), both & (shown >= _WHITE / 2)
        # Where levels go on beyond an end nothing was cut off there.
        dark &= shown.min() >= -_BEYOND
        bright &= shown.max() <= _WHITE + _BEYOND
        below = above = None
        if here is not None:
            shares = np.linspace(0, 1, _ENTRIES)
            levels = np.interp(shares, RANKS, picture.ranked.astype(np.float64))
            below = levels[shares <= float(dark.mean())]
            above = levels[shares >= 1 - float(bright.mean())]
        return cls(dark=dark, bright=bright, low=_End.of(dark, below), high=_End.of(bright, above))

    @property
    def places(self) -> Flags:
        """Where levels were lost."""
        return np.asarray(self.low.places | self.high.places)

    def filled(self, levels: Plane) -> Plane:
        """Return levels with the ends at the mean of what lies there, where that is known.

        An end hides only levels beyond the one it stands for; others were put there.
        """
        levels = levels.copy()
        if self.low.level is not None:
            levels[self.dark] = np.minimum(levels[self.dark], self.low.level)
        if self.high.level is not None:
            levels[self.bright] = np.maximum(levels[self.bright], self.high.level)
        return levels

    def lost(self, levels: Plane, bounds: tuple[Plane, Plane]) -> Flags:
        """Return the places that stand for a range of the record's levels: (rows, columns).

        They do if the end stands for a level inside the record's range, and the tile is one in
        which the record may have had such levels.
        """
        lost = np.zeros(levels.shape, np.bool_)
        dark, bright = levels[self.low.places], levels[self.high.places]
        if dark.size and float(np.median(dark)) > _END:
            lost |= self.low.places & _spread(bounds[0] <= float(np.median(dark)) + _NEAR)
        if bright.size and float(np.median(bright)) < _WHITE - _END:
            lost |= self.high.places & _spread(bounds[1] >= float(np.median(bright)) - _NEAR)
        return np.asarray(lost & _spread(tile_means(lost.astype(np.float32)) >= _LOST_SHARE))


def _spread(tiles: Flags) -> Flags:
    return np.repeat(np.repeat(tiles, TILE, axis=0), TILE, axis=1)
