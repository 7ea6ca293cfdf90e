import numpy as np
import pytest

from medseal.protection.watermark import embed
from medseal.protection.watermark.endurance import TRIALS, outlived
from medseal.protection.watermark.frame import FRAME_SIDE
from medseal.protection.watermark.levels import Levels
from tests.protection.pictures import KEY, PAYLOAD, grey, loud


def plane_of(image):
    return Levels.of(image).plane(image.stored_values[0])


def test_a_clear_mark_outlives_nearly_all_and_an_unmarked_image_nothing():
    cover = grey(512, 448)
    marked = plane_of(embed(cover, PAYLOAD, KEY))
    for quantised in (False, True):
        count = outlived(marked, PAYLOAD, KEY, side=FRAME_SIDE, quantised=quantised)
        assert len(TRIALS) - 1 <= count <= len(TRIALS)
        assert outlived(plane_of(cover), PAYLOAD, KEY, side=FRAME_SIDE, quantised=quantised) == 0


def test_another_payload_or_key_does_not_count():
    marked = plane_of(embed(grey(512, 448), PAYLOAD, KEY))
    assert outlived(marked, b"release2", KEY, side=FRAME_SIDE, quantised=True) == 0
    assert outlived(marked, PAYLOAD, bytes(32), side=FRAME_SIDE, quantised=True) == 0


def test_a_quantised_mark_counts_where_it_is_looked_for():
    marked = plane_of(embed(loud(), PAYLOAD, KEY))
    spread = outlived(marked, PAYLOAD, KEY, side=FRAME_SIDE, quantised=False)
    assert outlived(marked, PAYLOAD, KEY, side=FRAME_SIDE, quantised=True) > spread + 3


@pytest.mark.parametrize("trial", TRIALS)
def test_a_trial_changes_the_picture_alike_each_time(trial):
    plane = plane_of(grey(256, 256))
    once, again = trial(plane.copy()), trial(plane.copy())
    assert once.shape == plane.shape
    assert np.array_equal(once, again)
    assert np.abs(once - plane).max() > 1
