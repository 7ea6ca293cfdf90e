"""Tests of NIST SP 800-22 on bits: frequency, blocks, runs, rank, spectrum, templates, sums.

A cipher that passes them may be broken all the same; one that fails is not a cipher.
Lengths are checked only as far as the formulas need; for what the standard recommends see
`RECOMMENDED_BITS`.

References
----------
NIST SP 800-22 rev. 1a, 2010, doi:10.6028/NIST.SP.800-22r1a; numbers below are its sections.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.metrics.tails import chi_square_tail, normal_tail

__all__ = [
    "RECOMMENDED_BITS",
    "approximate_entropy",
    "battery",
    "bits_of",
    "block_frequency",
    "cumulative_sums",
    "frequency",
    "longest_run",
    "matrix_rank",
    "runs",
    "serial",
    "spectrum",
]

# 2.5.7 asks most: 38 matrices of 32 x 32.
RECOMMENDED_BITS = 38_912
_RANK_SIDE = 32
# 2.4.4: bits of a block, classes of longest runs, and their probabilities.
_LONGEST_RUNS = (
    (750_000, 10_000, 10, (0.0882, 0.2092, 0.2483, 0.1933, 0.1208, 0.0675, 0.0727)),
    (6_272, 128, 4, (0.1174, 0.2430, 0.2493, 0.1752, 0.1027, 0.1124)),
    (128, 8, 1, (0.21484375, 0.3671875, 0.23046875, 0.1875)),
)

Bits = NDArray[np.uint8]


def bits_of(values: NDArray[np.generic]) -> Bits:
    """Return the bits of values in memory order, the highest of each byte first: (n,) of 0, 1."""
    return np.unpackbits(np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8))


def _checked(bits: Bits, least: int) -> Bits:
    # Packed bytes taken for bits give a plausible wrong answer, so they are refused.
    if bits.ndim != 1 or bits.dtype != np.uint8 or (bits.size and int(bits.max()) > 1):
        raise InputError("bits are a flat uint8 array of 0 and 1, one an entry; see bits_of")
    if bits.size < least:
        raise InputError(f"{bits.size} bits; this test needs {least} or more")
    return bits


def frequency(bits: Bits) -> float:
    """Return the p-value of equally many ones and zeros (2.1), of 1 or more bits."""
    excess = 2 * int(_checked(bits, 1).sum(dtype=np.int64)) - bits.size
    return math.erfc(abs(excess) / math.sqrt(2 * bits.size))


def block_frequency(bits: Bits, *, block: int = 128) -> float:
    """Return the p-value of equally many ones and zeros in every block (2.2)."""
    count = _checked(bits, block).size // block
    shares = bits[: count * block].reshape(count, block).mean(axis=1, dtype=np.float64)
    return chi_square_tail(4 * block * float(np.sum((shares - 0.5) ** 2)), count)


def runs(bits: Bits) -> float:
    """Return the p-value of the number of runs (2.3); 0 where the frequency is already off."""
    share = float(_checked(bits, 2).mean(dtype=np.float64))
    size = bits.size
    if abs(share - 0.5) >= 2 / math.sqrt(size):
        return 0.0
    changes = 1 + int(np.count_nonzero(bits[1:] != bits[:-1]))
    spread = share * (1 - share)
    return math.erfc(abs(changes - 2 * size * spread) / (2 * math.sqrt(2 * size) * spread))


def _longest_in_rows(rows: Bits) -> NDArray[np.int64]:
    """Return the longest run of ones in each row."""
    longest = current = np.zeros(rows.shape[0], np.int64)
    for column in rows.T:
        current = (current + 1) * column
        longest = np.maximum(longest, current)
    return longest


def longest_run(bits: Bits) -> float:
    """Return the p-value of the longest runs of ones in blocks (2.4), of 128 or more bits."""
    size = _checked(bits, _LONGEST_RUNS[-1][0]).size
    _, block, first, chances = next(row for row in _LONGEST_RUNS if size >= row[0])
    count = size // block
    longest = _longest_in_rows(bits[: count * block].reshape(count, block))
    classes = np.clip(longest - first, 0, len(chances) - 1)
    found = np.bincount(classes, minlength=len(chances))
    expected = count * np.asarray(chances)
    return chi_square_tail(float(np.sum((found - expected) ** 2 / expected)), len(chances) - 1)


def _ranks(matrices: Bits) -> NDArray[np.int64]:
    """Return the ranks over GF(2) of square matrices, (count, side, side), all at once."""
    work: NDArray[np.bool_] = matrices.astype(bool)
    count, side = work.shape[:2]
    every, rank = np.arange(count), np.zeros(count, np.int64)
    for column in range(side):
        usable: NDArray[np.bool_] = work[:, :, column] & (np.arange(side)[None] >= rank[:, None])
        has = np.asarray(usable.any(axis=1), np.bool_)
        pivot, target = np.argmax(usable, axis=1), np.minimum(rank, side - 1)
        rows = work[every, pivot].copy()
        work[every[has], pivot[has]] = work[every[has], target[has]]
        work[every[has], target[has]] = rows[has]
        below: NDArray[np.bool_] = work[:, :, column] & (np.arange(side)[None] > target[:, None])
        below &= has[:, None]
        np.logical_xor(work, below[:, :, None] & rows[:, None, :], out=work)
        rank += has
    return rank


def _rank_chance(rank: int, side: int) -> float:
    product = 1.0
    for number in range(rank):
        product *= (1 - 2.0 ** (number - side)) ** 2 / (1 - 2.0 ** (number - rank))
    return float(2.0 ** (rank * (2 * side - rank) - side * side)) * product


def matrix_rank(bits: Bits, *, side: int = _RANK_SIDE) -> float:
    """Return the p-value of the ranks over GF(2) of square matrices of bits (2.5)."""
    count = _checked(bits, side * side).size // (side * side)
    ranks = _ranks(bits[: count * side * side].reshape(count, side, side))
    full, less = _rank_chance(side, side), _rank_chance(side - 1, side)
    expected = count * np.array([full, less, 1 - full - less])
    found = np.bincount(np.minimum(side - ranks, 2), minlength=3)
    return math.exp(-float(np.sum((found - expected) ** 2 / expected)) / 2)


def spectrum(bits: Bits) -> float:
    """Return the p-value of the number of low peaks of the Fourier transform (2.6)."""
    size = _checked(bits, 2).size
    peaks = np.abs(np.fft.rfft(2.0 * bits - 1.0))[: size // 2]
    below = int(np.count_nonzero(peaks < math.sqrt(math.log(1 / 0.05) * size)))
    return normal_tail((below - 0.95 * size / 2) / math.sqrt(size * 0.95 * 0.05 / 4))


def _pattern_counts(bits: Bits, length: int) -> NDArray[np.int64]:
    """Return how often each pattern of `length` bits stands in the bits taken as a ring."""
    numbers = np.zeros(bits.size, np.int64)
    for offset in range(length):
        numbers = 2 * numbers + np.roll(bits, -offset)
    return np.bincount(numbers, minlength=1 << length).astype(np.int64)


def serial(bits: Bits, *, length: int = 5) -> tuple[float, float]:
    """Return both p-values of overlapping patterns of `length` bits, 2 or more (2.11)."""
    size = _checked(bits, length).size

    def psi(bits_each: int) -> float:
        if bits_each == 0:
            return 0.0
        counts = _pattern_counts(bits, bits_each).astype(np.float64)
        return float((1 << bits_each) / size * np.sum(counts**2) - size)

    whole, less, least = psi(length), psi(length - 1), psi(length - 2)
    # Rounding may leave a difference of squares just below 0.
    first, second = max(whole - less, 0.0), max(whole - 2 * less + least, 0.0)
    return (
        chi_square_tail(first, 2.0 ** (length - 1)),
        chi_square_tail(second, 2.0 ** (length - 2)),
    )


def approximate_entropy(bits: Bits, *, length: int = 5) -> float:
    """Return the p-value of how often patterns of `length` bits are followed by a one (2.12)."""
    size = _checked(bits, length + 1).size

    def phi(bits_each: int) -> float:
        shares = _pattern_counts(bits, bits_each) / size
        shares = shares[shares > 0]
        return float(np.sum(shares * np.log(shares)))

    excess = math.log(2) - (phi(length) - phi(length + 1))
    return chi_square_tail(max(2 * size * excess, 0.0), 2.0**length)


def _sum_tail(largest: int, size: int) -> float:
    """Return the probability of a partial sum as large as `largest` (2.13.4)."""
    root = math.sqrt(size)

    def area(number: float) -> float:
        return math.erfc(-number * largest / root / math.sqrt(2)) / 2

    first = range(int((-size / largest + 1) / 4), int((size / largest - 1) / 4) + 1)
    second = range(int((-size / largest - 3) / 4), int((size / largest - 1) / 4) + 1)
    inside = sum(area(4 * k + 1) - area(4 * k - 1) for k in first)
    outside = sum(area(4 * k + 3) - area(4 * k + 1) for k in second)
    return min(max(1 - inside + outside, 0.0), 1.0)


def cumulative_sums(bits: Bits) -> tuple[float, float]:
    """Return the p-values of the largest partial sum, forwards and backwards (2.13)."""
    steps = 2 * _checked(bits, 2).astype(np.int64) - 1
    largest = [int(np.abs(np.cumsum(part)).max()) for part in (steps, steps[::-1])]
    return _sum_tail(largest[0], bits.size), _sum_tail(largest[1], bits.size)


_BATTERY: Mapping[str, Callable[[Bits], float]] = {
    "frequency": frequency,
    "block frequency": block_frequency,
    "runs": runs,
    "longest run": longest_run,
    "matrix rank": matrix_rank,
    "spectrum": spectrum,
    "serial": lambda bits: serial(bits)[0],
    "approximate entropy": approximate_entropy,
    "cumulative sums": lambda bits: cumulative_sums(bits)[0],
}


def battery(bits: Bits) -> dict[str, float]:
    """Return the p-value of each test by name.

    Raises
    ------
    InputError
        Fewer than `RECOMMENDED_BITS`, or not bits.
    """
    _checked(bits, RECOMMENDED_BITS)
    return {name: test(bits) for name, test in _BATTERY.items()}
