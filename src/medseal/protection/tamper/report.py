"""What a tamper check found: outcome, evidence, mask and the regions in it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError

__all__ = ["Outcome", "Region", "TamperCheck", "TamperReport", "parts_of", "regions_of"]

Outcome = Literal["authentic", "transcoded", "processed", "tampered", "unverifiable"]
TamperCheck = tuple[str, str, str]

_NDIM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A changed rectangle.

    Attributes
    ----------
    row, column
        First row and column, counted from 0.
    height, width
        Rows and columns it spans.
    score
        0 to 1; 1 = surely altered.
    """

    row: int
    column: int
    height: int
    width: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TamperReport:
    """Outcome of a check with its evidence.

    Attributes
    ----------
    outcome
        ``authentic``: every stored value equal. ``transcoded``: equal values, in another
        orientation or declared otherwise. ``processed``: benign operations, named. ``tampered``:
        `mask` says where. ``unverifiable``: the record does not decide.
    score
        0 to 1; 1 = surely altered.
    mask
        (rows, columns) of the copy; True where it was altered, in any frame. Read-only.
    operations
        What was done to the copy, as far as it is known.
    model_id
        What decided.
    checks
        (name, ``pass`` | ``fail`` | ``unknown``, one line of detail), in the order made.
    """

    outcome: Outcome
    score: float
    mask: NDArray[np.bool_]
    operations: tuple[str, ...]
    model_id: str
    checks: tuple[TamperCheck, ...]

    def __post_init__(self) -> None:
        if self.mask.ndim != _NDIM or self.mask.dtype != np.bool_:
            raise ImageMismatchError("a mask has two axes and holds booleans")
        mask = self.mask.copy() if self.mask.flags.writeable else self.mask
        mask.flags.writeable = False
        object.__setattr__(self, "mask", mask)

    @property
    def regions(self) -> tuple[Region, ...]:
        """Rectangles around the connected parts of the mask, the largest first."""
        return regions_of(self.mask, score=self.score)


def _runs(line: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return start and stop of each run of True in one row: (runs, 2)."""
    edges = np.flatnonzero(np.diff(line, prepend=False, append=False))
    return edges.reshape(-1, 2)


class _Parts:
    """Connected parts that grow row by row and merge: a union-find over rectangles."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._box: list[tuple[int, int, int, int]] = []

    def add(self, box: tuple[int, int, int, int]) -> int:
        self._parent.append(len(self._parent))
        self._box.append(box)
        return len(self._parent) - 1

    def root(self, part: int) -> int:
        while self._parent[part] != part:
            self._parent[part] = self._parent[self._parent[part]]
            part = self._parent[part]
        return part

    def merge(self, one: int, other: int) -> None:
        one, other = self.root(one), self.root(other)
        if one == other:
            return
        top, left, bottom, right = self._box[one]
        top2, left2, bottom2, right2 = self._box[other]
        self._parent[other] = one
        self._box[one] = (
            min(top, top2),
            min(left, left2),
            max(bottom, bottom2),
            max(right, right2),
        )

    def boxes(self) -> list[tuple[int, int, int, int]]:
        return [self._box[part] for part in range(len(self._parent)) if self.root(part) == part]


def parts_of(mask: NDArray[np.bool_]) -> list[tuple[int, int, int, int]]:
    """Return (top, left, bottom, right) of the connected parts; corners connect too."""
    parts = _Parts()
    above: list[tuple[int, int, int]] = []
    repeated = np.concatenate([[False], (mask[1:] == mask[:-1]).all(axis=1)])
    for row in range(mask.shape[0]):
        if repeated[row]:
            # The same runs once more: each touches itself, and no two of them meet.
            for start, stop, part in above:
                parts.merge(part, parts.add((row, start, row + 1, stop)))
            continue
        here = [
            (int(start), int(stop), parts.add((row, int(start), row + 1, int(stop))))
            for start, stop in _runs(mask[row])
        ]
        first = 0
        for start, stop, part in here:
            # Corners touch too. Runs above that end before this one begins are done with.
            while first < len(above) and above[first][1] < start:
                first += 1
            place = first
            while place < len(above) and above[place][0] <= stop:
                parts.merge(above[place][2], part)
                place += 1
        above = here
    return parts.boxes()


def regions_of(mask: NDArray[np.bool_], *, score: float) -> tuple[Region, ...]:
    """Return the rectangles around the connected parts of a mask, the largest first.

    Parameters
    ----------
    mask
        (rows, columns); places that touch by side or corner belong together.
    score
        Given to each region.
    """
    found = [
        Region(row=top, column=left, height=bottom - top, width=right - left, score=score)
        for top, left, bottom, right in parts_of(mask)
    ]
    return tuple(sorted(found, key=lambda region: -region.height * region.width))
