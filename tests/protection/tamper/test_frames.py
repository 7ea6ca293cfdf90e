"""Frames found again: each kind of change of the order is named, alone and together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.protection.tamper.frames import UNKNOWN, Tiles, align
from medseal.protection.tamper.tiles import macs_of_sums

TILES = 16


class Series:
    """A record of frames, each of which has its own sums."""

    def __init__(self, frames, *, tiles=TILES, seed=0):
        rng = np.random.default_rng(seed)
        self.sums = rng.integers(0, 2**63, (frames, tiles), np.uint64)
        self.pads = rng.integers(0, 2**63, (frames, tiles), np.uint64)
        self.textured = np.ones((frames, tiles), np.bool_)
        self.rng = rng

    def tiles_of(self, sums):
        return Tiles(
            sums=sums,
            foreign=np.zeros(sums.shape, np.bool_),
            pads=self.pads,
            macs=macs_of_sums(self.sums, self.pads),
            textured=self.textured,
        )

    def align(self, order):
        """Align a copy that shows these frames; None stands for a foreign one."""
        foreign = self.rng.integers(0, 2**63, (len(order), self.sums.shape[1]), np.uint64)
        rows = [foreign[i] if n is None else self.sums[n] for i, n in enumerate(order)]
        return align(self.tiles_of(np.stack(rows)))


@pytest.mark.parametrize(
    ("order", "operations"),
    [
        ([0, 1, 2, 3, 4, 5], ()),
        ([0, 1, 2, 4, 5], ("frame 3 dropped",)),
        ([1, 2, 3, 4, 5], ("frame 0 dropped",)),
        ([0, 1, 2, 3], ("frames 4 to 5 dropped",)),
        ([2], ("frames 0 to 1 dropped", "frames 3 to 5 dropped")),
        ([0, 1, 2, 3, None, 4, 5], ("a frame inserted after 3",)),
        ([None, 0, 1, 2, 3, 4, 5], ("a frame inserted before the first frame",)),
        ([0, 1, 1, 2, 3, 4, 5], ("a frame inserted after 1: a copy of frame 1",)),
        ([0, 1, 2, 3, 4, 5, 0], ("a frame inserted after 5: a copy of frame 0",)),
        ([0, 1, 2, 4, 3, 5], ("frames 3 and 4 exchanged",)),
        ([0, 5, 2, 3, 4, 1], ("frames 1 and 5 exchanged",)),
        ([1, 0, 2, 3, 5, 4], ("frames 0 and 1 exchanged", "frames 4 and 5 exchanged")),
        ([5, 4, 3, 2, 1, 0], ("order of the frames reversed",)),
        ([0, 4, 1, 2, 3, 5], ("frame 4 moved to place 1",)),
        ([0, 1, None, 3, 4, 5], ()),
        ([0, 2, 1, 4, 5], ("frame 3 dropped", "frames 1 and 2 exchanged")),
    ],
)
def test_what_happened_is_named(order, operations):
    assert Series(6).align(order).operations == operations


def test_an_altered_frame_stands_for_the_missing_one():
    alignment = Series(6).align([0, 1, None, 3, 4, 5])
    assert alignment.originals == (0, 1, 2, 3, 4, 5)
    assert alignment.is_found == (True, True, False, True, True, True)


def test_an_inserted_frame_stands_for_none():
    alignment = Series(4).align([0, 1, None, 2, 3])
    assert alignment.originals == (0, 1, UNKNOWN, 2, 3)


def test_an_edited_frame_is_found_wherever_it_was_moved():
    series = Series(6)
    sums = series.sums[[0, 4, 1, 2, 3, 5]].copy()
    sums[1, :3] += np.uint64(2**50)
    tiles = series.tiles_of(sums)
    alignment = align(tiles)
    assert alignment.operations == ("frame 4 moved to place 1",)
    assert alignment.originals[1] == 4
    assert tiles.differs(1, 4).sum() == 3


def test_empty_frames_stay_in_order():
    series = Series(8)
    series.sums[[0, 1, 6, 7]] = 0
    series.textured[[0, 1, 6, 7]] = False
    assert series.align(list(range(8))).operations == ()
    assert series.align([0, 1, 2, 3, 5, 6, 7]).operations == ("frame 4 dropped",)


def test_air_does_not_make_a_frame_an_empty_one():
    series = Series(2)
    series.sums[1, :12] = 0
    series.sums[0] = 0
    series.textured[0] = False
    assert series.tiles_of(series.sums).shares(1).tolist() == [0.0, 1.0]


@given(st.permutations(range(9)), st.integers(0, 2**32))
@settings(max_examples=60)
def test_every_order_is_recognised_and_only_the_right_one_is_silent(order, seed):
    alignment = Series(9, seed=seed).align(list(order))
    assert alignment.originals == tuple(order)
    assert bool(alignment.operations) == (list(order) != sorted(order))


@given(st.sets(st.integers(0, 11), min_size=1, max_size=12))
def test_kept_frames_are_those_that_are_not_dropped(kept):
    alignment = Series(12).align(sorted(kept))
    assert alignment.originals == tuple(sorted(kept))
    named = " ".join(alignment.operations)
    assert ("dropped" in named) == (len(kept) < 12)


def test_thousands_of_frames_take_bounded_work_and_words():
    series = Series(2000, tiles=4)
    order = list(range(2000))
    del order[1000]
    assert series.align(order).operations == ("frame 1000 dropped",)
    shuffled = [int(number) for number in np.random.default_rng(1).permutation(2000)]
    operations = series.align(shuffled).operations
    assert len(operations) == 9
    assert operations[-1].endswith("more changes of the order")
