import numpy as np
import pytest

from medseal.errors import WeightsError
from medseal.protection.tamper.blind.calibration import (
    PREFIX,
    Calibration,
    calibration_of,
    evened,
)
from medseal.protection.tamper.blind.scan import Scan


def calibration(**changes):
    values = {
        "slope": 2.0,
        "tiles_slope": -0.5,
        "offset": 0.25,
        "threshold": 0.75,
        "false_alarm_rate": 0.0625,
        "map_threshold": 1.0,
        "most_distance": 1.5,
        "centre": np.array([1, 2], np.float32),
        "whitening": np.eye(2, dtype=np.float32),
    }
    return Calibration(**values | changes)


def test_it_comes_back_from_its_tensors():
    again = calibration_of(calibration().tensors(), name="x")
    assert again.numbers == calibration().numbers
    assert np.array_equal(again.centre, calibration().centre)
    assert np.array_equal(again.whitening, calibration().whitening)


def test_a_score_becomes_a_probability():
    one = calibration()
    assert one.probability(-0.125, tiles=1) == pytest.approx(0.5)
    assert one.probability(1.0, tiles=1) == pytest.approx(1 / (1 + np.exp(-2.25)))
    assert 0 < one.probability(-1e9, tiles=1) < one.probability(1e9, tiles=1) <= 1


def test_the_same_score_says_less_among_many_tiles():
    one = calibration()
    assert one.probability(1.0, tiles=8) == pytest.approx(one.probability(0.25, tiles=1))


def test_distance_is_counted_from_the_centre():
    centre = np.array([1, 2], np.float32)
    one = calibration(centre=evened(centre))
    assert one.distance(centre) == 0
    far = np.exp(evened(centre) + np.array([3, 4])) - 0.02
    assert one.distance(far.astype(np.float32)) == pytest.approx(np.sqrt(12.5), rel=1e-4)


def test_the_mask_begins_at_its_threshold():
    forged = np.array([[0.5, 1.0, 3.0]], np.float32)
    scan = Scan(forged=forged, trusted=forged, score=0.0, features=np.zeros(2, np.float32), tiles=1)
    assert calibration().mask(scan).tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("numbers", None, "no calibration"),
        ("numbers", np.zeros(3, np.float32), "malformed"),
        ("centre", np.full(2, np.nan, np.float32), "malformed"),
        ("whitening", np.zeros((2, 3), np.float32), "malformed"),
    ],
)
def test_damage_is_refused(name, value, message):
    tensors = calibration().tensors()
    del tensors[f"{PREFIX}{name}"]
    if value is not None:
        tensors[f"{PREFIX}{name}"] = value
    with pytest.raises(WeightsError, match=message):
        calibration_of(tensors, name="x")
