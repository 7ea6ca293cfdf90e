"""The best of many places where a registration may begin, or the copy as it lies if that fits."""

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.grey_curve import Knots, histogram_curve
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.registration_fit import (
    Alignment,
    Grid,
    Round,
    aligned,
    curve_at,
    informed,
)
from medseal.protection.tamper.registration_search import Frames, Start, ranks, starts
from medseal.protection.tamper.registration_snap import Motion, simplest

__all__ = ["LAST_ROUNDS", "LEAST_OVERLAP", "Search", "Solution"]

Plane = NDArray[np.float32]

LEAST_OVERLAP = 0.4
"""Share of the record's tiles that have to lie inside a copy."""

# An unmoved copy is taken at once if what is left over is hardly more than the record's error.
_GOOD = 1.5
_GOOD_CORRELATION = 0.9
_STARTS = 6
# Most copies that were turned or cut are upright: these are tried first, and taken if they fit.
_FEW_STARTS = 2
# Of what the unmoved copy leaves unexplained a true motion leaves less than this share. On training
# images: local contrast .79 to .95, turns by half a degree and more 0 to .2.
_EXPLAINED_LEFT, _LEFT_SHARE = 0.005, 0.7
# What is done with so many of the starts, those left that explain the copy best.
_HEATS = (
    (_STARTS, Round(blur=1.5, steps=3, shears=False)),
    (4, Round(blur=0.8, steps=3, shears=False)),
    (2, Round(steps=3, repeats=2, shears=False)),
)
LAST_ROUNDS = (Round(steps=3, repeats=4),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What was found: the alignment of the simplest motion, and that motion."""

    found: Alignment
    orientation: Orientation
    motion: Motion


class Search:
    """The registration of one copy."""

    def __init__(self, grid: Grid, frames: Frames, knots: Knots) -> None:
        self.grid, self.frames, self.knots = grid, frames, knots
        target = grid.target.astype(np.float64)
        self.tables = {
            rising: histogram_curve(grid.plane, target, rising=rising) for rising in (True, False)
        }

    def unmoved(self) -> list[tuple[Alignment, Orientation]]:
        """Return the copy unmoved in the likelier orientations, the likeliest first."""
        found = []
        wanted = ranks(self.grid.target).ravel()
        for orientation in ORIENTATIONS:
            matrix = self.frames.matrix(
                orientation, np.diag(self.frames.fill(orientation)), np.zeros(2)
            )
            means = cv2.resize(
                oriented_plane(self.grid.plane, orientation),
                self.grid.tiles[::-1],
                interpolation=cv2.INTER_AREA,
            )
            likeness = float(np.corrcoef(ranks(means).ravel(), wanted)[0, 1])
            found.append((abs(likeness), likeness > 0, matrix, orientation))
        found.sort(key=lambda one: -one[0])
        best = found[0][0]
        return [
            (curve_at(self.grid, matrix, self.knots, rising=rising), orientation)
            for likeness, rising, matrix, orientation in found[:3]
            if likeness > best - 0.1
        ]

    def is_good(self, found: Alignment) -> bool:
        """Return whether hardly more is left over than the record's error."""
        return (
            found.residual < _GOOD * max(self.grid.record.error, 1)
            and found.correlation > _GOOD_CORRELATION
        )

    def solved(
        self, start: Alignment, orientation: Orientation, rounds: tuple[Round, ...]
    ) -> Solution:
        """Return the free solution near an alignment, and the simplest that is as good."""
        free = informed(self.grid, self.continued(start, rounds))
        motion = simplest(self.frames, orientation, free.matrix, free.information)
        final = curve_at(self.grid, motion.matrix, self.knots, rising=start.fit.rising)
        return Solution(
            found=replace(final, information=free.information),
            orientation=orientation,
            motion=motion,
        )

    def continued(self, start: Alignment, rounds: tuple[Round, ...]) -> Alignment:
        """Return the alignment that another one leads to."""
        return aligned(
            self.grid,
            start.matrix,
            self.knots,
            start.fit.table(),
            rising=start.fit.rising,
            rounds=rounds,
        )

    def begun(self, start: Start) -> Alignment:
        """Return the alignment that a start leads to, roughly."""
        rising = start.score > 0
        return aligned(
            self.grid,
            start.matrix,
            self.knots,
            self.tables[rising],
            rising=rising,
            rounds=(_HEATS[0][1],),
        )

    def best(self) -> Solution | None:
        """Return the best of all that was begun; None if nothing overlaps enough."""
        unmoved = self.unmoved()
        for found, orientation in unmoved[:1]:
            if self.is_good(found):
                solution = self.solved(found, orientation, LAST_ROUNDS)
                if solution.motion.name == "unmoved":
                    return solution
        upright = self._heats(ORIENTATIONS[:1], _HEATS[1:], count=_FEW_STARTS, others=[])
        winner = upright
        if upright is None or not self.is_good(upright[0]):
            winner = self._heats(ORIENTATIONS, _HEATS[1:], count=_STARTS, others=unmoved)
        if winner is None:
            return None
        still = self._still(*unmoved[0], than=winner[0])
        return still or self.solved(*winner, LAST_ROUNDS)

    def _still(
        self, found: Alignment, orientation: Orientation, *, than: Alignment
    ) -> Solution | None:
        """Return the copy unmoved if a motion explains hardly more of it.

        Greys that were changed unlike in different places are followed by no curve. A small motion
        always explains a little of what is left; the true one of a copy that was moved as good as
        all.
        """
        left = 1 - than.explained
        if left <= _EXPLAINED_LEFT or left <= _LEFT_SHARE * (1 - found.explained):
            return None
        motion = simplest(self.frames, orientation, found.matrix, np.zeros((6, 6)))
        return Solution(found=found, orientation=orientation, motion=motion)

    def _heats(
        self,
        orientations: tuple[Orientation, ...],
        heats: tuple[tuple[int, Round], ...],
        *,
        count: int,
        others: list[tuple[Alignment, Orientation]],
    ) -> tuple[Alignment, Orientation] | None:
        """Return the best of some starts and of others; None if nothing overlaps enough."""
        begun = [
            (self.begun(start), start.orientation)
            for start in starts(self.grid, self.frames, count=count, orientations=orientations)
        ]
        left = [one for one in (*others, *begun) if one[0].overlap >= LEAST_OVERLAP]
        for most, round_ in heats:
            left.sort(key=lambda one: -one[0].quality)
            left = [
                (self.continued(found, (round_,)), orientation)
                for found, orientation in left[:most]
            ]
            best = max(left, key=lambda one: one[0].quality, default=None)
            if best is not None and self.is_good(best[0]):
                return best
        return max(left, key=lambda one: one[0].quality) if left else None


def oriented_plane(plane: Plane, orientation: Orientation) -> Plane:
    """Return a copy's plane as it lay before an orientation."""
    back = plane[:, ::-1] if orientation.mirrored else plane
    return np.ascontiguousarray(np.rot90(back, -orientation.quarter_turns))
