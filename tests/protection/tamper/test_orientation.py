import numpy as np
import pytest

from medseal.protection.tamper.orientation import ORIENTATIONS


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda one: one.name or "as it was")
def test_a_rectangle_goes_where_its_mask_goes(orientation):
    rows, columns = 7, 11
    for box in ((0, 0, 1, 1), (2, 3, 4, 9), (0, 0, 7, 11), (6, 10, 7, 11)):
        mask = np.zeros((rows, columns), np.bool_)
        mask[box[0] : box[2], box[1] : box[3]] = True
        turned = orientation.apply(mask)
        top, left, bottom, right = orientation.apply_box(box, rows=rows, columns=columns)
        expected = np.zeros_like(turned)
        expected[top:bottom, left:right] = True
        assert np.array_equal(turned, expected)


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda one: one.name or "as it was")
def test_undoing_is_the_way_back(orientation):
    mask = np.random.default_rng(1).random((5, 8)) < 0.5
    undone = orientation.undo(orientation.apply(mask)[None, :, :, None])
    assert np.array_equal(undone[0, :, :, 0], mask)
