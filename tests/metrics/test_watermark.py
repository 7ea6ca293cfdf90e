import numpy as np
import pytest

from medseal.errors import InputError
from medseal.metrics.watermark import bit_accuracy, wilson_interval


def test_bit_accuracy_counts_the_likelier_value():
    probabilities = np.array([0.9, 0.1, 0.8, 0.4, 0.6, 0.2, 0.5, 0.5])
    # 0b10101010: right, right, right, right, right, right, half, half.
    assert bit_accuracy(b"\xaa", probabilities) == pytest.approx(7 / 8)
    assert bit_accuracy(b"\x55", 1 - probabilities) == pytest.approx(7 / 8)
    assert bit_accuracy(b"\xaa", np.full(8, 0.5)) == 0.5


def test_bit_accuracy_refuses_another_length():
    with pytest.raises(InputError, match="8 bits against 9 probabilities"):
        bit_accuracy(b"\xaa", np.zeros(9))


def test_the_wilson_interval_of_a_textbook():
    # Agresti and Coull 1998: 0 of 25 gives 0 to 0.133; Newcombe 1998: 81 of 263.
    assert wilson_interval(0, 25) == pytest.approx((0.0, 0.1332), abs=1e-3)
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson_interval(5, 5)[1] == 1.0


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (3, 2), (-1, 4)])
def test_impossible_counts_are_refused(successes, trials):
    with pytest.raises(InputError, match="at least one trial"):
        wilson_interval(successes, trials)
