import math

import numpy as np
import pytest

from medseal.errors import ImageMismatchError, InputError
from medseal.metrics.cipher import (
    FIXED_NPCR,
    accept,
    adjacent_correlation,
    avalanche,
    byte_entropy,
    npcr,
    npcr_critical,
    npcr_pass_chance,
    uaci,
    uaci_interval,
    uniformity,
)


def noise(seed: int, shape: tuple[int, ...] = (64, 64), dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)


# Wu, Noonan, Agaian 2011, tables 2 and 3.
@pytest.mark.parametrize(
    ("side", "critical", "low", "high"),
    [
        (256, 99.5693, 33.2824, 33.6447),
        (512, 99.5893, 33.3730, 33.5541),
        (1024, 99.5994, 33.4183, 33.5088),
    ],
)
def test_critical_values_are_those_of_the_paper(
    side: int, critical: float, low: float, high: float
) -> None:
    assert npcr_critical(side * side) == pytest.approx(critical, abs=1e-4)
    assert uaci_interval(side * side) == pytest.approx((low, high), abs=1e-4)


def test_a_fixed_threshold_fails_a_perfect_cipher_on_small_images() -> None:
    assert npcr_pass_chance(FIXED_NPCR, 256 * 256) == pytest.approx(0.65, abs=0.02)
    assert npcr_pass_chance(FIXED_NPCR, 2048 * 2048) > 0.998
    rng = np.random.default_rng(1)
    met = [
        npcr(*rng.integers(0, 256, (2, 64, 64), dtype=np.uint8)).value >= FIXED_NPCR
        for _ in range(300)
    ]
    assert np.mean(met) == pytest.approx(npcr_pass_chance(FIXED_NPCR, 4096), abs=0.1)


@pytest.mark.parametrize(("dtype", "levels"), [(np.uint8, 256), (np.uint16, 65536)])
def test_independent_noise_passes(dtype: type, levels: int) -> None:
    first, second = noise(1, dtype=dtype), noise(2, dtype=dtype)
    changed, distance = npcr(first, second), uaci(first, second)
    assert changed.expected == pytest.approx(100 * (1 - 1 / levels))
    assert distance.expected == pytest.approx(100 * (levels + 1) / (3 * levels))
    assert changed.value == pytest.approx(changed.expected, abs=0.5)
    for found in (changed, distance, avalanche(first, second), byte_entropy(first)):
        assert found.p_value > 0.001
    assert avalanche(first, second).value == pytest.approx(0.5, abs=0.02)


def test_p_values_of_noise_are_uniform_and_accepted() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        first, second = rng.integers(0, 65536, (2, 32, 32), dtype=np.uint16)
        found.append(
            (
                npcr(first, second, dither=rng.random()).p_value,
                uaci(first, second).p_value,
                avalanche(first, second, dither=rng.random()).p_value,
                adjacent_correlation(first).p_value,
            )
        )
    for column in np.array(found).T:
        assert accept(column[:200], column[200:], level=0.001).is_accepted


def test_one_changed_value_is_no_diffusion() -> None:
    first = noise(4)
    second = first.copy()
    second[3, 5] ^= 1
    assert npcr(first, second).value == pytest.approx(100 / 4096)
    for found in (npcr(first, second), uaci(first, second), avalanche(first, second)):
        assert found.p_value < 1e-12


def test_images_are_neither_uniform_nor_without_correlation() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    for direction in ("horizontal", "vertical", "diagonal"):
        found = adjacent_correlation(ramp, direction=direction)
        assert found.value > 0.9
        assert found.p_value < 1e-12
        assert adjacent_correlation(noise(5), direction=direction).p_value > 0.001
    assert byte_entropy(ramp).p_value < 1e-12
    assert uniformity(ramp).p_value < 1e-12
    assert uniformity(noise(6)).p_value > 0.001


def test_a_constant_image_fails_everything() -> None:
    flat = np.full((64, 64), 7, np.uint8)
    assert adjacent_correlation(flat).p_value == 0.0
    entropy = byte_entropy(flat)
    assert (entropy.value, entropy.p_value) == (0.0, 0.0)
    assert math.copysign(1, entropy.value) == 1


def test_the_mean_entropy_of_a_small_image_is_below_7_999() -> None:
    assert byte_entropy(noise(1, (256, 256))).expected == pytest.approx(7.99719, abs=1e-5)


def test_p_values_that_are_not_uniform_are_not_accepted() -> None:
    even = (np.arange(1000) + 0.5) / 1000
    good = accept(even, even)
    assert good.is_accepted
    assert good.pass_rate == pytest.approx(0.99)
    assert not accept(even**1.3, even).is_accepted
    # Uniform enough for the distance, but with too many failures.
    failing = even.copy()
    failing[:40] = 0.0
    found = accept(failing, even)
    assert found.uniform_p_value > 0.001
    assert not found.is_accepted


def test_mismatched_images_are_refused() -> None:
    with pytest.raises(ImageMismatchError, match="one shape"):
        npcr(noise(1), noise(1, (64, 65)))
    with pytest.raises(ImageMismatchError, match="not float64"):
        uaci(np.zeros((4, 4)), np.zeros((4, 4)))
    with pytest.raises(InputError, match="4096 or more"):
        byte_entropy(noise(1, (63, 65)))
    with pytest.raises(InputError, match="directions"):
        adjacent_correlation(noise(1), direction="up")
    with pytest.raises(InputError, match="rows, columns"):
        adjacent_correlation(noise(1, (4, 4, 3)))
    with pytest.raises(InputError, match="200 draws"):
        accept(np.ones(199), np.ones(300))
