import numpy as np
import pytest

from medseal.protection.tamper.baselines.residual import deviations, grey_curve, mask_of
from tests.protection.pictures import texture

PLANE = np.rint(texture(120, 110) * 63).astype(np.float32) * 4
EVERYWHERE = np.ones(PLANE.shape, np.bool_)


@pytest.mark.parametrize("curve", [lambda p: 0.7 * p + 30, lambda p: 255 * (p / 255) ** 1.5])
def test_a_rising_curve_is_found_and_leaves_no_residual(curve):
    copy = np.asarray(curve(PLANE), np.float32)
    assert np.abs(grey_curve(PLANE, copy, EVERYWHERE) - copy).max() < 0.01
    assert deviations(PLANE, copy, EVERYWHERE).max() < 0.1


def test_a_falling_curve_cannot_be_followed():
    fitted = grey_curve(PLANE, 255 - PLANE, EVERYWHERE)
    assert np.ptp(fitted) < 40


def test_a_local_change_stands_out_and_noise_does_not():
    rng = np.random.default_rng(0)
    copy = PLANE + rng.normal(0, 2, PLANE.shape).astype(np.float32)
    assert deviations(PLANE, copy, EVERYWHERE).max() < 8
    copy[40:46, 50:56] += 40
    deviation = deviations(PLANE, copy, EVERYWHERE)
    assert deviation.max() > 12
    mask = mask_of(deviation, threshold=10)
    assert mask[41:45, 51:55].all()
    assert mask.sum() < 120


def test_what_is_not_valid_does_not_count():
    copy = PLANE.copy()
    copy[40:46, 50:56] += 60
    valid = EVERYWHERE.copy()
    valid[35:50, 45:60] = False
    assert deviations(PLANE, copy, valid).max() < 5
    assert not deviations(PLANE, copy, np.zeros_like(valid)).any()
