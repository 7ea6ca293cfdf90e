"""What a tamper check found: outcome, evidence, mask and the regions in it."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError

__all__ = [
    "FrameReport",
    "Outcome",
    "Region",
    "TamperCheck",
    "TamperReport",
    "parts_of",
    "regions_of",
]

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
    evidence
        What shows it: ``tile MACs``, ``fingerprint``, ``watermark``...; empty if nothing is said.
    frame
        In which frame of the copy, counted from 0; None for an image of one frame, or for any.
    """

    row: int
    column: int
    height: int
    width: int
    score: float
    evidence: str = ""
    frame: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameReport:
    """What became of one frame of a copy with several.

    Attributes
    ----------
    frame
        Its number in the copy, counted from 0.
    original
        Number of the frame of the record in whose place it stands, or None if it was inserted.
    outcome
        ``authentic``: equal to its original; ``tampered``: altered or inserted.
    regions
        What was altered in it.
    """

    frame: int
    original: int | None
    outcome: Outcome
    regions: tuple[Region, ...] = ()


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
        (rows, columns) of the copy; True where it was altered, in any frame. Read-only. Where
        tiles are proven to have changed, an estimate inside them.
    operations
        What was done to the copy, as far as it is known.
    model_id
        What decided.
    checks
        (name, ``pass`` | ``fail`` | ``unknown``, one line of detail), in the order made.
    scores
        (rows, columns) of the copy, 0 to 1: how surely each place was altered; None if all places
        of the mask are as sure as the whole. Read-only.
    evidence
        What shows the regions, in a word or two.
    frames
        One for each frame of a copy that was compared frame by frame; else empty.
    proven
        (rows, columns) of the copy; True in every tile that keyed MACs prove to have changed, in
        any frame; None if nothing was proven so. It holds the mask, and its connected parts are
        the regions. Read-only.

    Raises
    ------
    ImageMismatchError
        Mask, scores and proven tiles have another form, or the mask leaves the proven tiles.
    """

    outcome: Outcome
    score: float
    mask: NDArray[np.bool_]
    operations: tuple[str, ...]
    model_id: str
    checks: tuple[TamperCheck, ...]
    scores: NDArray[np.float32] | None = None
    evidence: str = ""
    frames: tuple[FrameReport, ...] = ()
    proven: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.mask.ndim != _NDIM or self.mask.dtype != np.bool_:
            raise ImageMismatchError("a mask has two axes and holds booleans")
        object.__setattr__(self, "mask", _read_only(self.mask))
        if self.scores is not None:
            if self.scores.shape != self.mask.shape or self.scores.dtype.kind != "f":
                raise ImageMismatchError("scores have the shape of the mask and are real numbers")
            object.__setattr__(self, "scores", _read_only(self.scores))
        if self.proven is not None:
            if self.proven.shape != self.mask.shape or (self.mask & ~self.proven).any():
                raise ImageMismatchError("a mask lies inside the tiles that are proven")
            object.__setattr__(self, "proven", _read_only(self.proven))

    @property
    def regions(self) -> tuple[Region, ...]:
        """Rectangles around the connected parts of the mask, the largest first.

        Of proven tiles, where there are such: no proven change is left out. Of a copy that was
        compared frame by frame, those of each frame, in order.
        """
        if self.frames:
            return tuple(region for frame in self.frames for region in frame.regions)
        if self.proven is not None:
            return regions_of(self.proven, score=self.score, evidence=self.evidence)
        return regions_of(self.mask, score=self.score, scores=self.scores, evidence=self.evidence)


def _read_only(values: NDArray[np.generic]) -> NDArray[np.generic]:
    kept = values.copy() if values.flags.writeable else values
    kept.flags.writeable = False
    return kept


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


def regions_of(
    mask: NDArray[np.bool_],
    *,
    score: float,
    scores: NDArray[np.float32] | None = None,
    evidence: str = "",
    frame: int | None = None,
) -> tuple[Region, ...]:
    """Return the rectangles around the connected parts of a mask, the largest first.

    Parameters
    ----------
    mask
        (rows, columns); places that touch by side or corner belong together.
    score
        Given to each region if there are no `scores`.
    scores
        (rows, columns): each region has the mean of those places of the mask that it spans.
    evidence, frame
        Given to each region.
    """
    found = []
    for top, left, bottom, right in parts_of(mask):
        inside = np.s_[top:bottom, left:right]
        found.append(
            Region(
                row=top,
                column=left,
                height=bottom - top,
                width=right - left,
                score=score if scores is None else float(scores[inside][mask[inside]].mean()),
                evidence=evidence,
                frame=frame,
            )
        )
    return tuple(sorted(found, key=lambda region: -region.height * region.width))
