import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from medseal.errors import ImageMismatchError
from medseal.protection.tamper.report import TamperReport, parts_of, regions_of


def parts_by_flooding(mask):
    """Return the same boxes by flood fill: slow and plain."""
    left = {tuple(place) for place in np.argwhere(mask)}
    boxes = []
    while left:
        part, queue = set(), [left.pop()]
        while queue:
            row, column = queue.pop()
            part.add((row, column))
            around = {(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= around
            queue += around
        rows, columns = zip(*part, strict=True)
        boxes.append((min(rows), min(columns), max(rows) + 1, max(columns) + 1))
    return boxes


@given(npst.arrays(np.bool_, npst.array_shapes(min_dims=2, max_dims=2, max_side=14)))
@settings(max_examples=300)
def test_connected_parts_are_those_of_a_flood_fill(mask):
    assert sorted(parts_of(mask)) == sorted(parts_by_flooding(mask))


@given(npst.arrays(np.bool_, (4, 5)), st.integers(1, 6))
def test_repeated_rows_are_handled_alike(mask, times):
    tall = np.repeat(mask, times, axis=0)
    assert sorted(parts_of(tall)) == sorted(parts_by_flooding(tall))


def test_regions_come_largest_first():
    mask = np.zeros((20, 20), np.bool_)
    mask[1, 1] = mask[5:9, 4:10] = True
    first, second = regions_of(mask, score=0.75)
    assert (first.row, first.column, first.height, first.width) == (5, 4, 4, 6)
    assert (second.height, second.width, second.score) == (1, 1, 0.75)


def report(mask):
    return TamperReport(
        outcome="tampered", score=1.0, mask=mask, operations=(), model_id="test", checks=()
    )


def test_a_report_keeps_its_own_read_only_mask():
    mask = np.zeros((3, 3), np.bool_)
    made = report(mask)
    mask[0, 0] = True
    assert not made.mask.any()
    assert made.regions == ()
    with pytest.raises(ValueError, match="read-only"):
        made.mask[0, 0] = True


@pytest.mark.parametrize("mask", [np.zeros((3, 3)), np.zeros((1, 3, 3), np.bool_)])
def test_a_mask_of_another_kind_is_refused(mask):
    with pytest.raises(ImageMismatchError, match="a mask has two axes and holds booleans"):
        report(mask)


def test_regions_are_those_of_the_proven_tiles():
    """The mask guesses where inside; a proven tile is never left out."""
    proven, mask = np.zeros((2, 20, 20), np.bool_)
    proven[2:6, 4:12] = proven[10:14, 10:14] = True
    mask[3, 5] = True
    made = TamperReport(
        outcome="tampered",
        score=1.0,
        mask=mask,
        operations=(),
        model_id="test",
        checks=(),
        proven=proven,
    )
    boxes = [(one.row, one.column, one.height, one.width) for one in made.regions]
    assert boxes == [(2, 4, 4, 8), (10, 10, 4, 4)]
    proven[0, 0] = True
    assert not made.proven[0, 0]


def test_a_mask_outside_the_proven_tiles_is_refused():
    mask = np.ones((3, 3), np.bool_)
    with pytest.raises(ImageMismatchError, match="inside the tiles that are proven"):
        TamperReport(
            outcome="tampered",
            score=1.0,
            mask=mask,
            operations=(),
            model_id="test",
            checks=(),
            proven=np.zeros_like(mask),
        )
