"""Figures of a cipher image as hypothesis tests: NPCR, UACI, entropy, correlation, avalanche.

They can show that a cipher is broken and never that it is sound: one whose single round leaves
99.8 % of the values untouched passes entropy and correlation. Fixed thresholds (``NPCR >= 99.6``)
are no tests at all: a perfect cipher fails them on small images.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError, InputError
from medseal.metrics.tails import (
    binomial_tail,
    chi_square_tail,
    normal_tail,
    two_sided,
    uniform_tail,
)

__all__ = [
    "FIXED_NPCR",
    "Acceptance",
    "CipherTest",
    "accept",
    "adjacent_correlation",
    "avalanche",
    "byte_entropy",
    "npcr",
    "npcr_critical",
    "npcr_pass_chance",
    "uaci",
    "uaci_interval",
    "uniformity",
]

# Percent; what papers ask of images of any size.
FIXED_NPCR = 99.6
MIN_BYTES = 4096
_BYTE_LEVELS = 256
_DIRECTIONS = {"horizontal": (0, 1), "vertical": (1, 0), "diagonal": (1, 1)}
_KS_LEVEL = 0.001
_MOST_DIFFERENCE = 0.02
_LEAST_DRAWS = 200

Values = NDArray[np.uint8] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class CipherTest:
    """A figure beside what a perfect cipher gives.

    Attributes
    ----------
    value, expected
        Measured, and the mean over perfect ciphers; in the unit of the function.
    p_value
        Probability that a perfect cipher is at least as far off, 0 to 1.
    """

    value: float
    expected: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Whether many p-values are those of a perfect cipher.

    Attributes
    ----------
    uniform_p_value
        Of the Kolmogorov-Smirnov test that the p-values are uniform.
    pass_rate, control_pass_rate
        Share of p-values at or above the level, of the cipher and of the control.
    is_accepted
        Uniform at .001, and the pass rates differ by at most 2 %.
    """

    uniform_p_value: float
    pass_rate: float
    control_pass_rate: float
    is_accepted: bool


def _levels(values: Values) -> int:
    if values.dtype not in (np.uint8, np.uint16):
        raise ImageMismatchError(f"cipher values are uint8 or uint16, not {values.dtype}")
    return 1 << (8 * values.dtype.itemsize)


def _pair(first: Values, second: Values) -> int:
    if first.shape != second.shape or first.dtype != second.dtype or first.size == 0:
        raise ImageMismatchError(
            f"{first.shape} {first.dtype} against {second.shape} {second.dtype}; compare cipher "
            "images of one shape and dtype, not empty"
        )
    return _levels(first)


def npcr(first: Values, second: Values, *, dither: float = 1.0) -> CipherTest:
    """Return the percentage of values that differ between two cipher images.

    Parameters
    ----------
    first, second
        Cipher images of two images that differ in one value, under one key **and one nonce**: with
        another nonce any cipher reaches the expected value. Any shape, uint8 or uint16.
    dither
        See `medseal.metrics.tails.binomial_tail`; of 16 bits the equal values are so few that
        p-values are uniform only with a uniform draw here.

    Returns
    -------
    CipherTest
        Percent; small where too many values are equal (one-sided).

    Raises
    ------
    ImageMismatchError
        Shapes or dtypes differ, another dtype, or no values.

    References
    ----------
    Wu, Noonan, Agaian 2011, NPCR and UACI randomness tests for image encryption.
    """
    levels = _pair(first, second)
    equal = int(np.count_nonzero(first == second))
    return CipherTest(
        value=100 * (1 - equal / first.size),
        expected=100 * (1 - 1 / levels),
        p_value=binomial_tail(equal, first.size, 1 / levels, dither=dither),
    )


def npcr_critical(count: int, *, levels: int = 256, significance: float = 0.05) -> float:
    """Return the NPCR in percent that a perfect cipher stays below at this rate.

    Parameters
    ----------
    count, levels
        Values of the image; levels of a value, 256 or 65536.
    significance
        In (0, 1).
    """
    mean, deviation = 1 - 1 / levels, math.sqrt((1 - 1 / levels) / levels / count)
    return 100 * (mean + NormalDist().inv_cdf(significance) * deviation)


def npcr_pass_chance(threshold: float, count: int, *, levels: int = 256) -> float:
    """Return the probability that a perfect cipher has an NPCR of `threshold` percent or more."""
    most_equal = math.floor(count * (1 - threshold / 100) + 1e-9)
    return 1 - binomial_tail(most_equal + 1, count, 1 / levels)


def _uaci_moments(count: int, levels: int) -> tuple[float, float]:
    """Return mean and standard deviation, as shares of 1 (Wu et al., theorem 3)."""
    top = levels - 1
    variance = (top + 2) * (top**2 + 2 * top + 3) / (18 * (top + 1) ** 2 * count * top)
    return (top + 2) / (3 * top + 3), math.sqrt(variance)


def uaci(first: Values, second: Values) -> CipherTest:
    """Return the mean absolute difference of two cipher images; parameters as of `npcr`.

    Returns
    -------
    CipherTest
        Percent of the largest value; small p-values on either side.

    Raises
    ------
    ImageMismatchError
        Shapes or dtypes differ, another dtype, or no values.
    """
    levels = _pair(first, second)
    mean, deviation = _uaci_moments(first.size, levels)
    difference = np.abs(first.astype(np.int32) - second.astype(np.int32))
    share = float(difference.mean(dtype=np.float64)) / (levels - 1)
    return CipherTest(
        value=100 * share, expected=100 * mean, p_value=normal_tail((share - mean) / deviation)
    )


def uaci_interval(
    count: int, *, levels: int = 256, significance: float = 0.05
) -> tuple[float, float]:
    """Return the UACI in percent between which a perfect cipher stays but for this rate."""
    mean, deviation = _uaci_moments(count, levels)
    width = NormalDist().inv_cdf(1 - significance / 2) * deviation
    return 100 * (mean - width), 100 * (mean + width)


def _byte_counts(values: Values) -> tuple[NDArray[np.int64], int]:
    data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
    if data.size < MIN_BYTES:
        raise InputError(f"{data.size} bytes; a test of their histogram takes {MIN_BYTES} or more")
    return np.bincount(data, minlength=_BYTE_LEVELS).astype(np.int64), data.size


def byte_entropy(values: Values) -> CipherTest:
    """Return the entropy of the bytes in bits, beside its mean for random bytes, below 8.

    Raises
    ------
    InputError
        Fewer than 4,096 bytes.

    References
    ----------
    Miller 1955 for the mean; the G statistic with the correction of Williams 1976,
    doi:10.1093/biomet/63.1.33.
    """
    counts, size = _byte_counts(values)
    shares = counts[counts > 0] / size
    # Adding 0 turns the -0.0 of a single value into 0.0.
    entropy = -float(np.sum(shares * np.log2(shares))) + 0.0
    statistic = 2 * size * math.log(2) * (8 - entropy) / (1 + (_BYTE_LEVELS + 1) / (6 * size))
    return CipherTest(
        value=entropy,
        expected=8 - (_BYTE_LEVELS - 1) / (2 * size * math.log(2)),
        p_value=chi_square_tail(max(statistic, 0.0), _BYTE_LEVELS - 1),
    )


def uniformity(values: Values) -> CipherTest:
    """Return Pearson's chi-square of the bytes against equal counts; mean 255.

    Raises
    ------
    InputError
        Fewer than 4,096 bytes.
    """
    counts, size = _byte_counts(values)
    expected = size / _BYTE_LEVELS
    statistic = float(np.sum((counts - expected) ** 2)) / expected
    degrees = _BYTE_LEVELS - 1
    return CipherTest(
        value=statistic, expected=degrees, p_value=chi_square_tail(statistic, degrees)
    )


def adjacent_correlation(values: Values, *, direction: str = "horizontal") -> CipherTest:
    """Return the correlation of all neighbouring values.

    Parameters
    ----------
    values
        (rows, columns), at least 4 x 4; uint8 or uint16.
    direction
        ``horizontal``, ``vertical`` or ``diagonal``.

    Returns
    -------
    CipherTest
        -1 to 1 with mean 0; 1 with p-value 0 where all values are equal.

    Raises
    ------
    InputError
        Another direction or number of axes, or a smaller image.

    References
    ----------
    Fisher 1921: atanh(r) is normal with variance 1 / (n - 3).
    """
    if direction not in _DIRECTIONS:
        raise InputError(f"directions are {', '.join(_DIRECTIONS)}, not {direction!r}")
    least = 4
    if values.ndim != 2 or min(values.shape) < least:  # noqa: PLR2004  axes
        raise InputError(f"neighbours need (rows, columns), {least} x {least} or more")
    down, across = _DIRECTIONS[direction]
    rows, columns = values.shape
    first = values[: rows - down, : columns - across].astype(np.float64).ravel()
    second = values[down:, across:].astype(np.float64).ravel()
    first -= first.mean()
    second -= second.mean()
    scale = math.sqrt(float(first @ first) * float(second @ second))
    if scale == 0:
        return CipherTest(value=1.0, expected=0.0, p_value=0.0)
    value = min(max(float(first @ second) / scale, -1.0), 1.0)
    if abs(value) >= 1:
        return CipherTest(value=value, expected=0.0, p_value=0.0)
    z = math.sqrt(first.size - 3) * math.atanh(value)
    return CipherTest(value=value, expected=0.0, p_value=normal_tail(z))


def avalanche(first: Values, second: Values, *, dither: float = 0.5) -> CipherTest:
    """Return the share of bits that differ between two cipher images.

    Parameters
    ----------
    first, second
        Before and after one bit of key, nonce or image was changed; any shape, uint8 or uint16.
    dither
        See `medseal.metrics.tails.binomial_tail`.

    Returns
    -------
    CipherTest
        0 to 1 with mean 0.5; exact binomial test of both sides.

    Raises
    ------
    ImageMismatchError
        Shapes or dtypes differ, another dtype, or no values.
    """
    _pair(first, second)
    bits = first.size * first.dtype.itemsize * 8
    different = np.bitwise_xor(first, second)
    flipped = int(np.bitwise_count(different).sum(dtype=np.int64))
    tail = binomial_tail(flipped, bits, 0.5, dither=dither)
    return CipherTest(value=flipped / bits, expected=0.5, p_value=two_sided(tail))


def accept(
    p_values: NDArray[np.float64], control: NDArray[np.float64], *, level: float = 0.01
) -> Acceptance:
    """Judge p-values of many (image, key, flip) draws beside those of AES-CTR.

    Parameters
    ----------
    p_values, control
        (n,) and (m,), at least 200 each.
    level
        A p-value below it is a failure. At .01 and 1,000 draws two perfect ciphers differ by
        more than 2 % once in 100,000 times; at 200 draws once in 20.

    Raises
    ------
    InputError
        Fewer draws.
    """
    if min(p_values.size, control.size) < _LEAST_DRAWS:
        raise InputError(f"acceptance takes {_LEAST_DRAWS} draws or more")
    rate, control_rate = (float(np.mean(part >= level)) for part in (p_values, control))
    uniform = uniform_tail(p_values)
    return Acceptance(
        uniform_p_value=uniform,
        pass_rate=rate,
        control_pass_rate=control_rate,
        is_accepted=uniform > _KS_LEVEL and abs(rate - control_rate) <= _MOST_DIFFERENCE,
    )
