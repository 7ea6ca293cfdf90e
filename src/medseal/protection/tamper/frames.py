"""Frames of a copy found again in a record: inserted, dropped, moved and exchanged ones named."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.locality import untouched_share
from medseal.protection.tamper.tiles import macs_of_sums

__all__ = ["UNKNOWN", "Alignment", "Tiles", "align"]

UNKNOWN = -1
"""Number of the original of a frame that has none."""

# Share of a frame's textured tiles that must be equal for it to be that frame.
_SAME_FRAME = 0.5
# Lines that name frames; beyond, the others are counted.
_MAX_LINES = 8
# Fewer frames are called exchanged, not reversed.
_LEAST_REVERSED = 4

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tiles:
    """The tiles of a copy and of a record, frame by frame.

    Attributes
    ----------
    sums, foreign
        (frames of the copy, tiles): sums under the MACs, and tiles that cannot be the original's.
    pads, macs, textured
        (frames of the record, tiles).
    """

    sums: NDArray[np.uint64]
    foreign: Flags
    pads: NDArray[np.uint64]
    macs: NDArray[np.uint16]
    textured: Flags

    def differs(self, frame: int, original: int) -> Flags:
        """Return the tiles in which a frame of the copy differs from one of the record."""
        unequal = macs_of_sums(self.sums[frame], self.pads[original]) != self.macs[original]
        return np.asarray(unequal | self.foreign[frame], np.bool_)

    def shares(self, frame: int) -> NDArray[np.float64]:
        """Return the share of the textured tiles of each original that a frame has unchanged."""
        equal = (macs_of_sums(self.sums[frame], self.pads) == self.macs) & ~self.foreign[frame]
        counts = self.textured.sum(axis=1)
        shares = (equal & self.textured).sum(axis=1) / np.maximum(counts, 1)
        # Air is equal everywhere: a constant frame is found as a whole or not at all.
        return np.asarray(np.where(counts > 0, shares, equal.all(axis=1)), np.float64)

    def is_same(self, frame: int, original: int) -> bool:
        """Return whether a frame is an original or an edited form of it."""
        differs, textured = self.differs(frame, original), self.textured[original]
        if not textured.any():
            return not differs.any()
        return untouched_share(differs, textured) >= _SAME_FRAME


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Alignment:
    """Which frame of the original each frame of a copy is.

    Attributes
    ----------
    originals
        One for each frame of the copy, `UNKNOWN` for a frame that stands in no original's place.
    is_found
        True where the frame has most of its tiles in common with its original; otherwise it only
        stands in its place.
    operations
        What happened to the order, in words, frames counted from 0; empty where nothing did.
    """

    originals: tuple[int, ...]
    is_found: tuple[bool, ...]
    operations: tuple[str, ...]


def _candidates(tiles: Tiles) -> list[int]:
    """Return the most similar original of each frame, `UNKNOWN` where none is similar.

    The one that should come next is tried first, so that a series that was only cut or lengthened
    costs no more than one comparison a frame, and equal empty frames stay in order.
    """
    found, expected = [], 0
    count = len(tiles.pads)
    for frame in range(len(tiles.sums)):
        if expected < count and tiles.is_same(frame, expected):
            place = expected
        else:
            shares = tiles.shares(frame)
            best = np.flatnonzero(shares == shares.max())
            # Of equal ones that which moves the least; a later one rather than an earlier one.
            nearest = best[np.argmin(np.abs(best - expected - 0.25))]
            place = int(nearest) if shares[nearest] >= _SAME_FRAME else UNKNOWN
        found.append(place)
        expected = (place if place != UNKNOWN else expected) + 1
    return found


def _longest_increasing(numbers: Sequence[int]) -> list[int]:
    """Return the places of a longest increasing subsequence (patience sorting)."""
    tops: list[int] = []
    tails: list[int] = []
    before = [UNKNOWN] * len(numbers)
    for place, number in enumerate(numbers):
        pile = int(np.searchsorted(tops, number))
        before[place] = tails[pile - 1] if pile else UNKNOWN
        if pile == len(tops):
            tops.append(number)
            tails.append(place)
        else:
            tops[pile], tails[pile] = number, place
    places = [tails[-1]] if tails else []
    while places and before[places[-1]] != UNKNOWN:
        places.append(before[places[-1]])
    return places[::-1]


def _ranges(numbers: Sequence[int]) -> list[str]:
    """Return numbers as "frame 3" and "frames 5 to 9"."""
    words: list[str] = []
    start = 0
    for place in range(1, len(numbers) + 1):
        if place == len(numbers) or numbers[place] != numbers[place - 1] + 1:
            first, last = numbers[start], numbers[place - 1]
            words.append(f"frame {first}" if first == last else f"frames {first} to {last}")
            start = place
    return words


def _limited(lines: list[str]) -> list[str]:
    if len(lines) <= _MAX_LINES:
        return lines
    return [*lines[:_MAX_LINES], f"{len(lines) - _MAX_LINES} more changes of the order"]


def _moved(found: Sequence[int], places: Sequence[int], stayed: set[int]) -> list[str]:
    """Return what happened to the order of frames that are all originals, in words.

    Parameters
    ----------
    found
        Original of each frame, each only once.
    places
        Where these frames stand in the copy.
    stayed
        Places of the frames that stayed in order.
    """
    ranks = [int(rank) for rank in np.argsort(np.argsort(found))]
    if len(ranks) >= _LEAST_REVERSED and ranks == list(range(len(ranks)))[::-1]:
        return ["order of the frames reversed"]
    if all(ranks[rank] == place for place, rank in enumerate(ranks)):
        pairs = [(found[rank], found[place]) for place, rank in enumerate(ranks) if rank > place]
        return [f"frames {one} and {other} exchanged" for one, other in pairs]
    return [
        f"frame {number} moved to place {place}"
        for number, place in zip(found, places, strict=True)
        if place not in stayed
    ]


def _inserted(originals: Sequence[int], repeated: dict[int, int]) -> list[str]:
    lines, before = [], UNKNOWN
    for place, number in enumerate(originals):
        if number != UNKNOWN:
            before = number
            continue
        where = "before the first frame" if before == UNKNOWN else f"after {before}"
        copied = f": a copy of frame {repeated[place]}" if place in repeated else ""
        lines.append(f"a frame inserted {where}{copied}")
    return lines


def _fill_gaps(originals: list[int], kept: Sequence[int], known: int) -> None:
    """Give frames without original the missing ones of the place where they stand."""
    missing = sorted(set(range(known)) - set(originals))
    ends = [*kept, len(originals)]
    start, number = 0, UNKNOWN
    for end in ends:
        next_number = originals[end] if end < len(originals) else known
        absent = missing[bisect_right(missing, number) : bisect_left(missing, next_number)]
        free = (place for place in range(start, end) if originals[place] == UNKNOWN)
        for place, original in zip(free, absent, strict=False):
            originals[place] = original
        start, number = end + 1, next_number


def align(tiles: Tiles) -> Alignment:
    """Return which original each frame of a copy is, by a longest common subsequence.

    1. The most similar original of each frame. 2. Frames that stayed in order, and those that
    moved. 3. A frame without original that stands where one is missing is that one, altered.
    4. What is left was inserted or dropped.

    Parameters
    ----------
    tiles
        Of all frames; the work is the number of tiles of the record times the frames of the copy
        at most.
    """
    known = len(tiles.pads)
    # 1.
    found = _candidates(tiles)
    repeated: dict[int, int] = {}
    first_use: dict[int, int] = {}
    for place, number in enumerate(found):
        if number != UNKNOWN and first_use.setdefault(number, place) != place:
            repeated[place] = number
    originals = [UNKNOWN if p in repeated else number for p, number in enumerate(found)]
    # 2.
    present = [place for place, number in enumerate(originals) if number != UNKNOWN]
    numbers = [originals[place] for place in present]
    kept = [present[index] for index in _longest_increasing(numbers)]
    # 3.
    _fill_gaps(originals, kept, known)
    # 4.
    lines = [f"{words} dropped" for words in _ranges(sorted(set(range(known)) - set(originals)))]
    lines += _inserted(originals, repeated)
    if len(kept) < len(present):
        lines += _moved(numbers, present, set(kept))
    return Alignment(
        originals=tuple(originals),
        is_found=tuple(
            one != UNKNOWN and one == other for one, other in zip(found, originals, strict=True)
        ),
        operations=tuple(_limited(lines)),
    )
