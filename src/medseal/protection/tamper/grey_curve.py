"""The grey curve: the monotone map from the levels of a copy to those of the record."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import frozen

__all__ = ["CurveFit", "GreyCurve", "Knots", "curve_fit", "histogram_curve", "rank_curve"]

TOP_LEVEL = 255.0
ENTRIES = 4096
"""Entries of a table over the levels 0 to 255 of a copy: sixteen a level."""

_SEGMENTS = 8
# Levels beside the darkest and the brightest that count as clipped, and the share of the places
# from which on the curve may jump there.
_END_WIDTH = 2.0
_END_SHARE = 0.01
# A curve bends little: how far slopes of neighbouring segments differ, in mean slopes.
_BEND = 0.35
_LEAST_SPAN = 1.0
# A tile lies wholly at an end from this share of its places on, and so many tell whether the
# record knew more there than the copy still shows.
_WHOLLY = 0.97
_LEAST_TILES = 4
_LOST_SPREAD = 1.6
_TINY = 1e-9

Plane = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GreyCurve:
    """A monotone map of levels.

    Attributes
    ----------
    table
        (4096,), read-only: the record's levels for evenly spaced levels 0 to 255 of the copy.
    rising
        False for a negative.
    clipped_low, clipped_high
        Up to and from which level of the copy nothing is left of what the record saw there;
        None where nothing was clipped.
    """

    table: Plane
    rising: bool
    clipped_low: float | None = None
    clipped_high: float | None = None

    def apply(self, plane: Plane) -> Plane:
        """Return the levels of the record, of the shape of the copy's levels."""
        return look_up(self.table, plane)

    def clipped(self, plane: Plane) -> NDArray[np.bool_]:
        """Return where levels of the copy tell nothing, of their shape."""
        lost = np.zeros(plane.shape, np.bool_)
        if self.clipped_low is not None:
            lost |= plane <= self.clipped_low
        if self.clipped_high is not None:
            lost |= plane >= self.clipped_high
        return lost


def table_places(plane: Plane) -> NDArray[np.intp]:
    """Return the nearest entry of a table for each level, of the shape of the plane."""
    places = np.rint(np.clip(plane, 0, TOP_LEVEL) * ((ENTRIES - 1) / TOP_LEVEL))
    return np.asarray(places, np.intp)


def look_up(table: Plane, plane: Plane) -> Plane:
    """Return a table's entries at levels, of the shape of the plane."""
    return np.asarray(np.take(table, table_places(plane)), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Knots:
    """Where the pieces of a piecewise linear curve meet.

    Attributes
    ----------
    levels
        (knots,), rising.
    jumps
        Whether the first and the last piece are only there to let clipped levels have a value of
        their own.
    first, way
        (4096,): for evenly spaced levels the knot before, and how far to the next one, 0 to 1.
    bends
        (pieces, knots): second differences of a curve that bends little.
    """

    levels: Values
    jumps: tuple[bool, bool]
    first: NDArray[np.intp]
    way: Values
    bends: Values

    @classmethod
    def of(cls, plane: Plane) -> "Knots | None":
        """Return the knots for a copy; None if its levels are all alike."""
        low, high = np.percentile(plane, (0.1, 99.9))
        if high - low < _LEAST_SPAN:
            return None
        width = min(_END_WIDTH, (high - low) / _SEGMENTS)
        ends = (low + width, high - width)
        jumps = (
            float(np.mean(plane <= ends[0])) > _END_SHARE,
            float(np.mean(plane >= ends[1])) > _END_SHARE,
        )
        inner = np.linspace(
            ends[0] if jumps[0] else low, ends[1] if jumps[1] else high, _SEGMENTS + 1
        )
        levels = np.concatenate([[low] * jumps[0], inner, [high] * jumps[1]])
        place = np.interp(np.linspace(0, TOP_LEVEL, ENTRIES), levels, np.arange(len(levels)))
        first = np.minimum(place.astype(np.intp), len(levels) - 2)
        return cls(
            levels=levels, jumps=jumps, first=first, way=place - first, bends=_bends(levels, jumps)
        )

    def shares(self, plane: Plane, tiles: tuple[int, int]) -> Values:
        """Return how much each knot weighs in the mean of each tile: (tiles, knots).

        Parameters
        ----------
        plane
            (rows, columns), whole numbers of rows and columns a tile.
        tiles
            Down and across.
        """
        count, (down, across) = len(self.levels), tiles
        entries = table_places(plane)
        rows = np.arange(plane.shape[0]) * down // plane.shape[0]
        columns = np.arange(plane.shape[1]) * across // plane.shape[1]
        # Counted over the entries' first knot and, weighted, their way to the next one.
        cell = (rows[:, None] * across + columns) * count + self.first[entries]
        way = self.way[entries].ravel()
        size = down * across * count
        passed = np.bincount(cell.ravel(), weights=way, minlength=size)
        whole = np.bincount(cell.ravel(), minlength=size)
        result = whole - passed
        result[1:] += passed[:-1]
        shares = result.reshape(down * across, count) * (down * across / plane.size)
        return np.asarray(shares, np.float64)

    def lost(self, shares: Values, target: Values, trust: Values) -> tuple[float, float]:
        """Return how far the record's means spread where the copy is wholly dark or bright.

        Parameters
        ----------
        shares, target
            As for `curve_fit`.
        trust
            (tiles,), 0 where a tile lies outside of the copy.
        """
        spreads = []
        for jumps, knot in ((self.jumps[0], 0), (self.jumps[1], -1)):
            wholly = (shares[:, knot] > _WHOLLY) & (trust > 0)
            enough = jumps and int(wholly.sum()) >= _LEAST_TILES
            spreads.append(float(target[wholly].std()) if enough else 0.0)
        return spreads[0], spreads[1]


def _bends(levels: Values, jumps: tuple[bool, bool]) -> Values:
    """Return the second differences between knots, where the curve must not jump."""
    first, last = int(jumps[0]), len(levels) - int(jumps[1])
    gaps = np.diff(levels)
    rows = []
    for middle in range(first + 1, last - 1):
        row = np.zeros(len(levels))
        row[middle - 1 : middle + 2] = (
            1 / gaps[middle - 1],
            -1 / gaps[middle - 1] - 1 / gaps[middle],
            1 / gaps[middle],
        )
        rows.append(row)
    return np.array(rows)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CurveFit:
    """A curve and what is left over.

    Attributes
    ----------
    values
        (knots,), the record's levels at the knots.
    knots
        Where the pieces meet.
    predicted
        (tiles,), the record's tile means as the curve predicts them.
    rising
        False for a negative.
    """

    values: Values
    knots: Knots
    predicted: Values
    rising: bool

    def table(self) -> Plane:
        """Return the curve for evenly spaced levels: (4096,)."""
        grid = np.linspace(0, TOP_LEVEL, ENTRIES)
        return np.asarray(np.interp(grid, self.knots.levels, self.values), np.float32)

    def curve(self, shares: Values, target: Values, trust: Values, error: float) -> GreyCurve:
        """Return the curve with the levels that were clipped.

        Parameters
        ----------
        shares, target
            As for `curve_fit`.
        trust
            (tiles,), 0 where a tile lies outside of the copy.
        error
            Standard deviation of the target from the exact means, in levels.
        """
        low, high = self.knots.lost(shares, target, trust)
        levels = self.knots.levels
        is_lost = [spread > _LOST_SPREAD * max(error, 1.0) for spread in (low, high)]
        return GreyCurve(
            table=frozen(self.table()),
            rising=self.rising,
            clipped_low=float(levels[:2].mean()) if is_lost[0] else None,
            clipped_high=float(levels[-2:].mean()) if is_lost[1] else None,
        )


def curve_fit(
    knots: Knots,
    shares: Values,
    target: Values,
    weights: Values,
    *,
    rising: bool,
) -> CurveFit:
    """Return the monotone piecewise linear curve that explains tile means best.

    The mean of a curve over a tile is what its knots weigh there times the values at the knots, so
    that a tile of light and dark is explained exactly, by least squares without falling pieces.

    Parameters
    ----------
    knots
        Of the copy.
    shares
        (tiles, knots), see `Knots.shares`.
    target
        (tiles,), the record's tile means.
    weights
        (tiles,), one by the squares of their deviations in levels.
    rising
        False for a negative.
    """
    count = len(knots.levels)
    steps = _steps(count, rising=rising)
    slope = float(max(target.max() - target.min(), 1.0) / (knots.levels[-1] - knots.levels[0]))
    bends = knots.bends / (_BEND * slope)
    weighted = shares * weights[:, None]
    matrix = steps.T @ (shares.T @ weighted + bends.T @ bends) @ steps
    matrix.flat[:: count + 1] += _TINY * max(float(matrix.trace()), 1.0)
    right = steps.T @ (target @ weighted)
    free = np.ones(count, np.bool_)
    solved = np.linalg.solve(matrix, right)
    while True:
        falling = free & (solved < 0)
        falling[0] = False
        if not falling.any():
            break
        free &= ~falling
        solved[:] = 0
        solved[free] = np.linalg.solve(matrix[free][:, free], right[free])
    values = steps @ solved
    return CurveFit(values=values, knots=knots, predicted=shares @ values, rising=rising)


@cache
def _steps(count: int, *, rising: bool) -> Values:
    """Return the values that come of a first one and of steps that all have one sign."""
    steps = np.tril(np.ones((count, count)))
    steps[:, 1:] *= 1 if rising else -1
    return frozen(steps)


def rank_curve(plane: Plane) -> Plane:
    """Return the share of darker places for evenly spaced levels of a copy: (4096,), 0 to 255."""
    counts = np.bincount(table_places(plane).ravel(), minlength=ENTRIES)
    below = (np.cumsum(counts) - counts / 2) / plane.size
    return np.asarray(below * TOP_LEVEL, np.float32)


def histogram_curve(plane: Plane, target: Values, *, rising: bool) -> Plane:
    """Return a first guess of the curve, which makes the levels as frequent as the record's.

    Parameters
    ----------
    plane
        (rows, columns), levels of the copy, of any size.
    target
        The record's tile means.
    rising
        False for a negative.

    Returns
    -------
    numpy.ndarray
        (4096,), the record's levels for evenly spaced levels of the copy.
    """
    below = rank_curve(plane).astype(np.float64) / TOP_LEVEL
    ordered = np.sort(target.ravel())
    ranks = (np.arange(ordered.size) + 0.5) / ordered.size
    return np.asarray(np.interp(below if rising else 1 - below, ranks, ordered), np.float32)
