import math

import numpy as np
import pytest

from medseal.errors import InputError
from medseal.metrics import randomness
from medseal.metrics.randomness import Bits, bits_of

# The first 100 binary digits of pi, SP 800-22 rev. 1a, 2.1.8 and others.
PI = (
    "11001001000011111101101010100010001000010110100011000010001101001100010011000110"
    "01100010100010111000"
)
# 2.4.8
LONGEST = (
    "11001100000101010110110001001100111000000000001001001101010100010001001111010110"
    "100000001101011111001100111001101101100010110010"
)


def of(text: str) -> Bits:
    return np.frombuffer(text.encode(), np.uint8) - ord("0")


def test_worked_examples_of_the_standard() -> None:
    close = {"abs": 1e-6}
    assert randomness.frequency(of("1011010101")) == pytest.approx(0.527089, **close)
    assert randomness.frequency(of(PI)) == pytest.approx(0.109599, **close)
    assert randomness.block_frequency(of("0110011010"), block=3) == pytest.approx(0.801252, **close)
    assert randomness.block_frequency(of(PI), block=10) == pytest.approx(0.706438, **close)
    assert randomness.runs(of("1001101011")) == pytest.approx(0.147232, **close)
    assert randomness.runs(of(PI)) == pytest.approx(0.500798, **close)
    # The standard rounds its class probabilities here.
    assert randomness.longest_run(of(LONGEST)) == pytest.approx(0.180609, abs=2e-5)
    assert randomness.serial(of("0011011101"), length=3) == pytest.approx(
        (0.808792, 0.670320), **close
    )
    assert randomness.approximate_entropy(of("0100110101"), length=3) == pytest.approx(
        0.261961, **close
    )
    assert randomness.approximate_entropy(of(PI), length=2) == pytest.approx(0.235301, **close)
    assert randomness.cumulative_sums(of("1011010111"))[0] == pytest.approx(0.4116588, **close)
    assert randomness.cumulative_sums(of(PI)) == pytest.approx((0.219194, 0.114866), **close)


def root_of_two(bits: int) -> Bits:
    digits = math.isqrt(2 << (2 * bits)) >> 1
    return np.unpackbits(np.frombuffer(digits.to_bytes(bits // 8 + 1, "big"), np.uint8))[-bits:]


@pytest.mark.long
def test_a_million_digits_of_the_root_of_two_as_in_appendix_b() -> None:
    bits = root_of_two(1_000_000)
    found = {
        "frequency": (randomness.frequency(bits), 0.811881),
        "block frequency": (randomness.block_frequency(bits), 0.833222),
        "runs": (randomness.runs(bits), 0.313427),
        "longest run": (randomness.longest_run(bits), 0.012117),
        "matrix rank": (randomness.matrix_rank(bits), 0.823810),
        "spectrum": (randomness.spectrum(bits), 0.581909),
        "approximate entropy": (randomness.approximate_entropy(bits, length=10), 0.884740),
        "serial": (randomness.serial(bits, length=16)[0], 0.861925),
        "cumulative sums": (randomness.cumulative_sums(bits)[0], 0.879009),
    }
    for name, (value, expected) in found.items():
        assert value == pytest.approx(expected, abs=1e-6), name


def digits_of_e(bits: int) -> Bits:
    total = term = 1 << (bits + 64)
    number = 1
    while term:
        term //= number
        total += term
        number += 1
    digits = total >> 64
    digits >>= digits.bit_length() - bits
    return np.unpackbits(np.frombuffer(digits.to_bytes(bits // 8, "big"), np.uint8))


def test_ranks_of_the_digits_of_e_as_in_2_5_8() -> None:
    assert randomness.matrix_rank(digits_of_e(100_000)) == pytest.approx(0.532069, abs=1e-6)


def test_the_spectrum_of_a_wave_has_too_few_low_peaks_or_too_many() -> None:
    assert randomness.spectrum(of("01" * 2000)) < 1e-6
    assert randomness.spectrum(of("00011" * 800)) < 1e-6


def test_random_bits_pass_and_a_counter_fails() -> None:
    rng = np.random.default_rng(7)
    random = randomness.battery(bits_of(rng.integers(0, 256, 8192, dtype=np.uint8)))
    assert min(random.values()) > 1e-4
    assert set(random) == {
        "frequency",
        "block frequency",
        "runs",
        "longest run",
        "matrix rank",
        "spectrum",
        "serial",
        "approximate entropy",
        "cumulative sums",
    }
    counter = randomness.battery(bits_of(np.arange(8192, dtype=np.uint8)))
    assert min(counter.values()) < 1e-6


def test_constant_bits_fail_every_test() -> None:
    assert max(randomness.battery(np.zeros(40_000, np.uint8)).values()) < 1e-6


def test_packed_bytes_are_not_taken_for_bits() -> None:
    with pytest.raises(InputError, match="bits_of"):
        randomness.frequency(np.arange(200, dtype=np.uint8))


@pytest.mark.parametrize("test", ["block_frequency", "longest_run", "matrix_rank"])
def test_too_few_bits_are_refused(test: str) -> None:
    with pytest.raises(InputError, match="needs"):
        getattr(randomness, test)(np.zeros(100, np.uint8))


def test_the_battery_wants_what_the_standard_recommends() -> None:
    with pytest.raises(InputError, match="needs 38912"):
        randomness.battery(np.zeros(38_911, np.uint8))


def test_the_highest_bit_of_a_byte_comes_first() -> None:
    assert bits_of(np.array([[0x81], [0x02]], np.uint8)).tolist() == [
        *(1, 0, 0, 0, 0, 0, 0, 1),
        *(0, 0, 0, 0, 0, 0, 1, 0),
    ]
