"""Least squares registration on tile means: the affine map and the grey curve, robustly."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.grey_curve import (
    CurveFit,
    Knots,
    curve_fit,
    look_up,
)
from medseal.protection.tamper.registration_evidence import Evidence, Record
from medseal.protection.tamper.registration_tiles import centres, mixed_tiles, seen_tiles

__all__ = ["Alignment", "Grid", "Round", "aligned", "composed", "curve_at"]

SAMPLES = 8
"""Places a tile, down and across, in the plane that the copy is worked on."""

_FEWER_SAMPLES = 4
_CURVE_ROUNDS, _FEWER_CURVE_ROUNDS = 3, 2
# Worst tiles left out of the correlation: a local edit is no sign of another image.
_TRIMMED = 0.12
_OVERLAP_POWER = 0.2
_DAMPING = 1e-3
_LARGEST_STEP = 1.5
_SMALL_STEP = 0.004
_LEAST_TILES = 24
_TINY = 1e-9
# Changes of the map without shear: of x by 1, x and y, of y by 1, x and y; then of the curve.
_NO_SHEAR = np.zeros((8, 7))
_NO_SHEAR[[0, 3, 1, 5, 6, 7], [0, 1, 2, 3, 5, 6]] = 1
_NO_SHEAR[[2, 4], 4] = 1, -1

Plane = NDArray[np.float32]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """The record's tiles and the copy's levels, both as the fit sees them.

    Places of the record are counted in tiles from its centre, columns first.

    Attributes
    ----------
    plane
        (rows, columns), levels of the copy, about eight places a tile.
    target
        (down, across), tile means of the record.
    record
        What they say.
    """

    plane: Plane
    target: Plane
    record: Record

    @property
    def tiles(self) -> tuple[int, int]:
        """Down and across."""
        return self.target.shape[0], self.target.shape[1]

    def blurred(self, sigma: float) -> Record:
        """Return the record of blurred means, which no longer lie between bounds."""
        if not sigma:
            return self.record
        means = _smoothed(self.target.astype(np.float64), sigma).ravel()
        return replace(self.record, means=means, lower=None, upper=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Some steps with one curve, which is fitted anew after them.

    Attributes
    ----------
    blur
        Of tile means, in tiles.
    steps
        How many at most.
    repeats
        How often at most; less if nothing moves any more.
    shears
        Whether the map may shear.
    """

    blur: float = 0.0
    steps: int = 3
    repeats: int = 1
    shears: bool = True

    @property
    def samples(self) -> int:
        """Places a tile, down and across."""
        return _FEWER_SAMPLES if self.blur else SAMPLES


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """One solution.

    Attributes
    ----------
    matrix
        (2, 3): place of the record to place of the copy's plane, both columns first.
    fit
        The curve.
    evidence
        What the record says about what it predicts.
    doubt
        (tiles,), levels: how little clipped places tell of them.
    seen
        (tiles,), whether they lie inside the copy.
    clean
        (tiles,), those of them that do not lie beside foreign places.
    record
        What is known of the tiles.
    explained
        Share of the tiles inside the copy that it shows as they were.
    information
        (6, 6): of small changes of the map ahead of it, curve free; inverse of their covariance.
    """

    matrix: Values
    fit: CurveFit
    evidence: Evidence
    doubt: Values
    seen: Flags
    clean: Flags
    record: Record
    explained: float
    information: Values

    @property
    def residual(self) -> float:
        """Robust root mean square of the differences, in levels."""
        rough = self.record.rough(self.fit.predicted, self.clean, self.doubt)
        power = (rough.trust * rough.pulls**2).sum() / max(rough.trust.sum(), _TINY)
        return float(np.sqrt(power))

    @property
    def correlation(self) -> float:
        """Of predicted and recorded tile means, without the worst tiles."""
        return _correlation(self.fit.predicted, self.record.means, self.clean)

    @property
    def overlap(self) -> float:
        """Share of the record's tiles that lie inside the copy."""
        return float(self.seen.mean())

    @property
    def quality(self) -> float:
        """How well it explains how much: what tells the best of several."""
        return float(self.explained * self.overlap**_OVERLAP_POWER)


def composed(outer: Values, inner: Values) -> Values:
    """Return the map that does `inner`, then `outer`: all (2, 3)."""
    result = outer[:, :2] @ inner
    result[:, 2] += outer[:, 2]
    return np.asarray(result)


def warped(plane: Plane, matrix: Values, tiles: tuple[int, int], samples: int) -> Plane:
    """Return a plane of the copy on the record's places, `samples` a tile."""
    down, across = tiles
    affine = np.empty((2, 3))
    affine[:, :2] = matrix[:, :2] / samples
    first = np.array([0.5 / samples - across / 2, 0.5 / samples - down / 2])
    affine[:, 2] = matrix[:, :2] @ first + matrix[:, 2]
    return np.asarray(
        cv2.warpAffine(
            plane,
            affine,
            (across * samples, down * samples),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        ),
        np.float32,
    )


def _slopes(plane: Plane, tiles: tuple[int, int]) -> tuple[Values, Values]:
    """Return the mean slopes of tiles across and down, a tile: each (down, across)."""
    down, across = tiles
    samples = plane.shape[0] // down
    result = []
    for lines, size in (
        (cv2.resize(plane, (plane.shape[1], down), interpolation=cv2.INTER_AREA), across),
        (cv2.resize(plane, (across, plane.shape[0]), interpolation=cv2.INTER_AREA).T, down),
    ):
        edges = np.empty((lines.shape[0], size + 1))
        inner = lines[:, samples - 1 : -1 : samples] + lines[:, samples::samples]
        edges[:, 1:-1] = inner / 2
        edges[:, 0], edges[:, -1] = lines[:, 0], lines[:, -1]
        result.append(edges[:, 1:] - edges[:, :-1])
    return result[0], result[1].T


def _smoothed(values: Values, sigma: float) -> Values:
    if not sigma:
        return values
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE))


def _design(grid: Grid, level: Plane, sigma: float) -> tuple[Values, Values]:
    """Return the tile means of a warped plane and how they follow the map and the curve."""
    means = cv2.resize(level, grid.tiles[::-1], interpolation=cv2.INTER_AREA).astype(np.float64)
    flat = _smoothed(means, sigma).ravel()
    middles = centres(grid.tiles)
    design = np.empty((8, flat.size))
    for index, slope in enumerate(_slopes(level, grid.tiles)):
        np.multiply(middles, _smoothed(slope, sigma).ravel(), out=design[3 * index : 3 * index + 3])
    design[6], design[7] = flat, 1
    return flat, design.T


def _step(
    grid: Grid, shown: Plane, matrix: Values, doubt: Values, *, record: Record, round_: Round
) -> tuple[Values, float]:
    """Return the map after one step of Gauss and Newton, and the step's length in tiles."""
    level = warped(shown, matrix, grid.tiles, round_.samples)
    means, design = _design(grid, level, round_.blur)
    seen = seen_tiles(shown.shape, matrix, grid.tiles)
    seen &= ~mixed_tiles(shown.shape, matrix, grid.tiles)
    if int(np.count_nonzero(seen)) < _LEAST_TILES:
        return matrix, 0.0
    evidence = record.evidence(means, seen, doubt)
    if not round_.shears:
        design = design @ _NO_SHEAR
    weighted = design * evidence.weights[:, None]
    normal = design.T @ weighted
    diagonal = normal.ravel()[:: len(normal) + 1]
    diagonal *= 1 + _DAMPING
    diagonal += _TINY + _TINY * float(diagonal.sum())
    solved = np.linalg.solve(normal, weighted.T @ evidence.pulls)
    if not round_.shears:
        solved = _NO_SHEAR @ solved
    change = np.asarray(solved[:6].reshape(2, 3), np.float64)
    length = float(np.sqrt((change[:, 0] ** 2).sum() + (change[:, 1:] ** 2).sum() / 2))
    if length > _LARGEST_STEP:
        change *= _LARGEST_STEP / length
    return composed(matrix, small_motion(change, grid.tiles)), length


def small_motion(change: Values, tiles: tuple[int, int]) -> Values:
    """Return the map of a small change: (2, 3), of 1, x and y in half sides, to a map of tiles."""
    half = max(tiles) / 2
    return np.stack(
        [
            [1 + change[0, 1] / half, change[0, 2] / half, change[0, 0]],
            [change[1, 1] / half, 1 + change[1, 2] / half, change[1, 0]],
        ]
    )


def curve_at(
    grid: Grid, matrix: Values, knots: Knots, *, rising: bool, samples: int = SAMPLES
) -> Alignment:
    """Return a map with the curve that fits it best, robustly.

    The information is left out; see `aligned`.
    """
    shares = knots.shares(warped(grid.plane, matrix, grid.tiles, samples), grid.tiles)
    seen = seen_tiles(grid.plane.shape, matrix, grid.tiles)
    clean = seen & ~mixed_tiles(grid.plane.shape, matrix, grid.tiles)
    if int(clean.sum()) < _LEAST_TILES:
        clean = np.ones_like(seen)
    record = grid.record
    low, high = knots.lost(shares, record.means, clean.astype(np.float64))
    doubt = shares[:, 0] * low + shares[:, -1] * high
    fit = curve_fit(knots, shares, record.means, clean / record.error**2, rising=rising)
    for index in range(_CURVE_ROUNDS if samples == SAMPLES else _FEWER_CURVE_ROUNDS):
        judge = record.rough if index == 0 else record.evidence
        evidence = judge(fit.predicted, clean, doubt)
        wanted = fit.predicted + evidence.pulls
        fit = curve_fit(knots, shares, wanted, evidence.weights, rising=rising)
    return Alignment(
        matrix=matrix,
        fit=fit,
        evidence=record.evidence(fit.predicted, clean, doubt),
        doubt=doubt,
        seen=seen,
        clean=clean,
        record=record,
        explained=record.explained(fit.predicted, seen & clean),
        information=np.zeros((6, 6)),
    )


def _correlation(first: Values, second: Values, seen: Flags) -> float:
    """Return the correlation of tile means without the tiles that fit worst."""
    first, second = first[seen], second[seen]
    errors = np.abs(first - second)
    kept = errors <= np.quantile(errors, 1 - _TRIMMED)
    if int(kept.sum()) < _LEAST_TILES:
        return 0.0
    first, second = first[kept] - first[kept].mean(), second[kept] - second[kept].mean()
    power = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / power if power > _TINY else 0.0


def informed(grid: Grid, found: Alignment) -> Alignment:
    """Return an alignment with its information about the map."""
    shown = look_up(found.fit.table(), grid.plane)
    _, design = _design(grid, warped(shown, found.matrix, grid.tiles, SAMPLES), 0.0)
    normal = design.T @ (design * found.evidence.weights[:, None])
    normal[np.diag_indices(8)] += _TINY * max(float(np.trace(normal)), 1.0)
    free, curve = normal[:6, :6], normal[6:, 6:]
    information = free - normal[:6, 6:] @ np.linalg.solve(curve, normal[6:, :6])
    return replace(found, information=information)


def aligned(
    grid: Grid,
    matrix: Values,
    knots: Knots,
    table: Plane,
    *,
    rising: bool,
    rounds: tuple[Round, ...],
) -> Alignment:
    """Return the alignment that is reached from a map and a first curve.

    Parameters
    ----------
    grid
        Record and copy.
    matrix
        (2, 3), where to begin.
    knots
        Of the copy's curve.
    table
        (4096,), first guess of the curve.
    rising
        False for a negative.
    rounds
        What is done in sequence.
    """
    doubt = np.zeros(grid.target.size)
    for round_ in rounds:
        record = grid.blurred(round_.blur)
        for repeated in range(round_.repeats):
            shown = look_up(table, grid.plane)
            longest = 0.0
            for _ in range(round_.steps):
                matrix, length = _step(grid, shown, matrix, doubt, record=record, round_=round_)
                longest = max(length, longest)
                if length < _SMALL_STEP:
                    break
            if repeated and longest < _SMALL_STEP:
                break
            found = curve_at(grid, matrix, knots, rising=rising, samples=round_.samples)
            table, doubt = found.fit.table(), found.doubt
    return found
