import cv2
import numpy as np
import pytest

from medseal.protection.attacks import geometry
from medseal.protection.tamper.baselines.registration import register
from tests.protection.pictures import texture


def plane(rows=256, columns=224):
    return np.asarray(cv2.GaussianBlur(texture(rows, columns) * 255, (0, 0), 1), np.float32)


def shrunk(values, rows, columns):
    return cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)


REFERENCE = shrunk(plane(), 128, 112)


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p,
        lambda p: geometry.quarter_turn(p, turns=1),
        lambda p: geometry.flip(p, axis="columns"),
        lambda p: geometry.rotate(p, degrees=6),
        lambda p: p[10:240, 12:210],
        lambda p: geometry.resize_to(p, rows=300, columns=290),
        lambda p: 255 - p,
    ],
)
def test_the_copy_is_brought_back(change):
    found = register(np.ascontiguousarray(change(plane()), np.float32), REFERENCE)
    error = np.abs(found.plane - REFERENCE)[found.is_valid]
    assert found.is_valid.mean() > 0.7
    # A copy that was not brought back differs by 20 levels and more.
    assert np.median(error) < 2


def test_places_outside_of_the_copy_are_not_valid_and_a_mask_goes_back_to_the_copy():
    copy = np.ascontiguousarray(geometry.quarter_turn(plane()[40:, :], turns=1), np.float32)
    found = register(copy, REFERENCE)
    assert not found.is_valid[:18].any()
    assert found.is_valid[30:-4, 4:-4].all()
    mask = np.zeros(REFERENCE.shape, np.bool_)
    mask[60:70, 50:64] = True
    original = np.zeros((256, 224), np.bool_)
    original[120:140, 100:128] = True
    wanted = np.rot90(original[40:], 1)
    there = found.on_copy(mask, *copy.shape)
    assert (there & wanted).sum() / (there | wanted).sum() > 0.8


def test_a_flat_copy_is_left_where_it_lies():
    found = register(np.full((90, 90), 7, np.float32), REFERENCE)
    assert np.array_equal(found.matrix, np.eye(2, 3, dtype=np.float32))
