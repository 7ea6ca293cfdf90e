import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import InputError
from medseal.metrics.tails import (
    binomial_tail,
    chi_square_tail,
    normal_tail,
    two_sample_tail,
    two_sided,
    uniform_tail,
)


def test_a_normal_value_of_1_96_is_exceeded_once_in_twenty_times() -> None:
    assert normal_tail(1.959963984540054) == pytest.approx(0.05, abs=1e-12)
    assert normal_tail(-1.959963984540054) == normal_tail(1.959963984540054)


# Values of SciPy's chi2.sf.
@pytest.mark.parametrize(
    ("value", "degrees", "expected"),
    [
        (3.2, 4, 0.5249309467890119),
        (250.0, 255, 0.5766352636499124),
        (293.2478350807001, 255, 0.05),
        (10.827566170662733, 1, 0.001),
        (0.0, 3, 1.0),
        (math.inf, 3, 0.0),
    ],
)
def test_chi_square_tails_are_those_of_tables(
    value: float, degrees: float, expected: float
) -> None:
    assert chi_square_tail(value, degrees) == pytest.approx(expected, rel=1e-6)


def test_two_degrees_of_freedom_are_an_exponential() -> None:
    assert chi_square_tail(7.0, 2) == pytest.approx(math.exp(-3.5), rel=1e-12)


@pytest.mark.parametrize(("value", "degrees"), [(-1.0, 2), (math.nan, 2), (1.0, 0)])
def test_a_senseless_chi_square_is_refused(value: float, degrees: float) -> None:
    with pytest.raises(InputError, match="chi-square"):
        chi_square_tail(value, degrees)


@given(st.integers(1, 40), st.data())
def test_a_binomial_tail_is_the_sum_of_its_terms(trials: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, trials))
    rate = data.draw(st.floats(0.05, 0.95))
    dither = data.draw(st.floats(0, 1))
    terms = [math.comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(trials + 1)]
    expected = sum(terms[count + 1 :]) + dither * terms[count]
    assert binomial_tail(count, trials, rate, dither=dither) == pytest.approx(expected, abs=1e-12)


def test_far_counts_have_the_tail_zero_or_one() -> None:
    assert binomial_tail(999_000, 1_000_000, 1 / 256) == 0.0
    assert binomial_tail(0, 1_000_000, 0.5) == 1.0


@pytest.mark.parametrize(
    ("count", "trials", "rate", "dither"),
    [(1, 0, 0.5, 1), (3, 2, 0.5, 1), (1, 2, 1, 1), (1, 2, 0.5, 2)],
)
def test_a_senseless_binomial_is_refused(
    count: int, trials: int, rate: float, dither: float
) -> None:
    with pytest.raises(InputError, match="binomial"):
        binomial_tail(count, trials, rate, dither=dither)


def test_dithered_tails_of_few_events_are_uniform() -> None:
    rng = np.random.default_rng(1)
    counts = rng.binomial(1024, 1 / 256, 400)
    tails = np.array(
        [binomial_tail(int(count), 1024, 1 / 256, dither=rng.random()) for count in counts]
    )
    assert uniform_tail(tails) > 0.01


def test_both_sides_count_twice() -> None:
    assert two_sided(0.01) == pytest.approx(0.02)
    assert two_sided(0.99) == pytest.approx(0.02)


def test_an_even_grid_is_uniform_and_its_square_is_not() -> None:
    grid = (np.arange(200) + 0.5) / 200
    assert uniform_tail(grid) == 1.0
    assert uniform_tail(grid**2) < 1e-6
    # The tail at the table's 5 % point of n = 100: 1.358 over the corrected root.
    distance = 1.358 / (10 + 0.12 + 0.011)
    shifted = np.clip((np.arange(100) + 1) / 100 - distance, 0, 1)
    assert uniform_tail(shifted) == pytest.approx(0.05, abs=0.001)


@pytest.mark.parametrize("values", [np.zeros(19), np.full(30, 1.1), np.full(30, np.nan)])
def test_too_few_or_impossible_p_values_are_refused(values: np.ndarray) -> None:
    with pytest.raises(InputError, match="uniformity"):
        uniform_tail(values)


def test_two_samples_of_one_source_are_alike_and_shifted_ones_are_not() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random(200) ** 2, rng.random(300) ** 2
    assert two_sample_tail(first, second) > 0.01
    assert two_sample_tail(first, second + 0.3) < 1e-6
    assert two_sample_tail(first, first) == 1.0


def test_too_few_or_endless_values_are_no_sample() -> None:
    for bad in (np.zeros(19), np.full(20, np.inf)):
        with pytest.raises(InputError, match="two samples"):
            two_sample_tail(np.zeros(30), bad)
