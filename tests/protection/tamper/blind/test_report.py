import numpy as np
import pytest

from medseal.errors import ImageMismatchError
from medseal.protection.tamper.blind import BlindReport, OperatingPoint


def report(**changes):
    values = {
        "score": 0.7,
        "mask": np.zeros((4, 5), np.bool_),
        "reliability": np.ones((4, 5), np.float32),
        "flagged": True,
        "abstained": False,
        "reason": "",
        "frame": 0,
        "operating_point": OperatingPoint(threshold=0.6, false_alarm_rate=0.05),
        "model_id": "tiny",
    }
    return BlindReport(**values | changes)


def test_maps_are_read_only():
    one = report()
    with pytest.raises(ValueError, match="read-only"):
        one.mask[0, 0] = True
    with pytest.raises(ValueError, match="read-only"):
        one.reliability[0, 0] = 0


def test_it_has_no_word_for_authentic():
    assert not hasattr(report(), "outcome")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask": np.zeros(4, np.bool_)}, "two axes"),
        ({"mask": np.zeros((4, 5), np.uint8)}, "booleans"),
        ({"reliability": np.ones((5, 4), np.float32)}, "as large as its mask"),
        ({"reliability": np.ones((4, 5))}, "float32"),
    ],
)
def test_maps_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ImageMismatchError, match=message):
        report(**changes)
