"""Tail probabilities of statistical tests: normal, chi-square, binomial, Kolmogorov."""

import math

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = [
    "binomial_tail",
    "chi_square_tail",
    "normal_tail",
    "two_sample_tail",
    "two_sided",
    "uniform_tail",
]

_MAX_TERMS = 200_000
_PRECISION = 1e-15
_SMALLEST = 1e-300
# A binomial count further than this from its mean, in standard deviations, has the tail 0 or 1.
_FAR = 39.0
_KOLMOGOROV_TERMS = 101


def normal_tail(z: float) -> float:
    """Return the probability that a standard normal value is at least as far from 0 as `z`."""
    return math.erfc(abs(z) / math.sqrt(2))


def _gamma_series(shape: float, x: float) -> float:
    """Return the lower regularised incomplete gamma function; for x below shape + 1."""
    term = total = 1 / shape
    for number in range(1, _MAX_TERMS):
        term *= x / (shape + number)
        total += term
        if term < total * _PRECISION:
            break
    return total * math.exp(shape * math.log(x) - x - math.lgamma(shape))


def _gamma_fraction(shape: float, x: float) -> float:
    """Return the upper regularised incomplete gamma function by Lentz's continued fraction."""
    b = x + 1 - shape
    c, d = 1 / _SMALLEST, 1 / b
    result = d
    for number in range(1, _MAX_TERMS):
        a = -number * (number - shape)
        b += 2
        d, c = a * d + b, b + a / c
        d = 1 / (d if abs(d) > _SMALLEST else _SMALLEST)
        c = c if abs(c) > _SMALLEST else _SMALLEST
        result *= c * d
        if abs(c * d - 1) < _PRECISION:
            break
    return result * math.exp(shape * math.log(x) - x - math.lgamma(shape))


def chi_square_tail(value: float, degrees: float) -> float:
    """Return the probability that a chi-square value is at least `value`.

    Parameters
    ----------
    value
        At least 0; infinite gives 0.
    degrees
        Degrees of freedom, above 0.

    Raises
    ------
    InputError
        A negative value, NaN, or no degree of freedom.

    References
    ----------
    Press et al. 2007, Numerical Recipes, 6.2: series below, continued fraction above.
    """
    if not value >= 0 or not degrees > 0:
        raise InputError("a chi-square value is at least 0 and has degrees of freedom")
    if value == 0:
        return 1.0
    if math.isinf(value):
        return 0.0
    shape, x = degrees / 2, value / 2
    tail = 1 - _gamma_series(shape, x) if x < shape + 1 else _gamma_fraction(shape, x)
    return min(max(tail, 0.0), 1.0)


def binomial_tail(count: int, trials: int, rate: float, *, dither: float = 1.0) -> float:
    """Return the probability of at least `count` events.

    Parameters
    ----------
    count, trials
        0 to trials, at least one trial.
    rate
        Probability of an event, in (0, 1).
    dither
        In [0, 1]: the part of the probability of exactly `count` that belongs to the tail. 1 is
        the usual, conservative tail; a uniform draw makes tails of a true hypothesis uniform
        however few events there are.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    InputError
        Counts or rates outside these ranges.
    """
    if trials < 1 or not 0 <= count <= trials or not 0 < rate < 1 or not 0 <= dither <= 1:
        raise InputError("a binomial tail needs trials, a count among them, a rate and a dither")
    mean, deviation = trials * rate, math.sqrt(trials * rate * (1 - rate))
    if abs(count - mean) > _FAR * deviation + 1:
        return 1.0 if count < mean else 0.0
    low = max(0, math.floor(mean - _FAR * deviation))
    high = min(trials, math.ceil(mean + _FAR * deviation))
    counts = np.arange(low, high, dtype=np.float64)
    steps = np.log((trials - counts) / (counts + 1) * (rate / (1 - rate)))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    # Beyond the window nothing is left that a double can hold: what is inside sums to 1.
    chances = np.exp(logs - logs.max())
    chances /= chances.sum()
    place = count - low
    if not 0 <= place < chances.size:
        return 1.0 if count < mean else 0.0
    above = float(chances[place + 1 :].sum())
    return min(above + dither * float(chances[place]), 1.0)


def two_sided(tail: float) -> float:
    """Return the p-value of both sides from the tail of one."""
    return 2 * min(tail, 1 - tail)


def uniform_tail(p_values: NDArray[np.float64]) -> float:
    """Return the Kolmogorov-Smirnov p-value of the hypothesis that values are uniform in [0, 1].

    Parameters
    ----------
    p_values
        (n,), n at least 20.

    Raises
    ------
    InputError
        Fewer values, or values outside [0, 1].

    References
    ----------
    Stephens 1970, doi:10.1111/j.2517-6161.1970.tb00821.x, the correction for finite n.
    """
    least = 20
    if p_values.ndim != 1 or p_values.size < least or not np.all((p_values >= 0) & (p_values <= 1)):
        raise InputError(f"a test for uniformity takes {least} or more values in [0, 1]")
    ordered, count = np.sort(p_values), p_values.size
    ranks = np.arange(1, count + 1)
    distance = max(
        float((ranks / count - ordered).max()), float((ordered - (ranks - 1) / count).max())
    )
    return _kolmogorov_tail(distance, count)


def two_sample_tail(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the Kolmogorov-Smirnov p-value of the hypothesis that two samples have one source.

    For p-values of a test whose own distribution under the true hypothesis is only roughly
    uniform: they are compared with those of a control.

    Parameters
    ----------
    first, second
        (n,) and (m,), n and m at least 20, finite.

    Raises
    ------
    InputError
        Fewer values, or values that are not finite.
    """
    least = 20
    if min(first.size, second.size) < least or not (
        np.all(np.isfinite(first)) and np.all(np.isfinite(second))
    ):
        raise InputError(f"a test of two samples takes {least} or more finite values of each")
    one, two = np.sort(first), np.sort(second)
    places = np.concatenate([one, two])
    shares = [np.searchsorted(part, places, side="right") / part.size for part in (one, two)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    return _kolmogorov_tail(distance, first.size * second.size / (first.size + second.size))


def _kolmogorov_tail(distance: float, count: float) -> float:
    """Return the probability of a distance at least as large, for `count` effective values."""
    scaled = (math.sqrt(count) + 0.12 + 0.11 / math.sqrt(count)) * distance
    # The alternating sum does not converge near 0, where the tail is 1 to ten digits.
    nearly_zero = 0.2
    if scaled < nearly_zero:
        return 1.0
    terms = np.arange(1, _KOLMOGOROV_TERMS)
    signs = np.where(terms % 2 == 1, 1.0, -1.0)
    total = 2 * float(np.sum(signs * np.exp(-2 * (terms * scaled) ** 2)))
    return min(max(total, 0.0), 1.0)
