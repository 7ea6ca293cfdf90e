import numpy as np
import pytest

from medseal.datasets.audit.separability import separability


def draw(count, classes=2):
    generator = np.random.default_rng(3)
    labels = np.arange(count, dtype=np.int64) % classes
    noise = generator.normal(0, 1, (count, 6)).astype(np.float32)
    return labels, noise, [f"g{index}" for index in range(count)]


def measured(features, labels, groups):
    return separability(features, labels, groups, generator=np.random.default_rng(1))


@pytest.mark.parametrize("classes", [2, 3])
def test_noise_is_at_chance(classes):
    labels, noise, groups = draw(150, classes)
    result = measured(noise, labels, groups)
    assert result.chance == 1 / classes
    assert not result.is_above_chance
    assert result.low < result.chance < result.high


def test_clear_and_curved_differences_are_found():
    labels, noise, groups = draw(200)
    shifted = noise + 4 * labels[:, None]
    assert measured(shifted, labels, groups).balanced_accuracy > 0.97
    # The same mean in both classes, only the spread differs: no linear machine sees that.
    spread = noise * (1 + 3 * labels[:, None])
    result = measured(spread.astype(np.float32), labels, groups)
    assert result.is_above_chance
    assert result.gain > 0.5


def test_copies_in_a_group_do_not_help():
    labels, noise, _ = draw(40)
    copies = np.repeat(noise, 5, axis=0)
    groups = [f"g{index // 5}" for index in range(200)]
    grouped = measured(copies, np.repeat(labels, 5), groups)
    torn = measured(copies, np.repeat(labels, 5), [str(index) for index in range(200)])
    assert not grouped.is_above_chance
    assert torn.balanced_accuracy > grouped.balanced_accuracy + 0.2


def test_imbalance_gives_no_credit():
    labels, noise, groups = draw(200)
    rare = (np.arange(200) % 10 == 0).astype(np.int64)
    result = measured(noise, rare, groups)
    assert result.balanced_accuracy < 0.65
    assert labels.shape == rare.shape


def test_nothing_to_read():
    labels, noise, groups = draw(60)
    assert measured(np.ones_like(noise), labels, groups) is None
    assert measured(noise, np.zeros_like(labels), groups) is None
    assert measured(noise, (np.arange(60) < 3).astype(np.int64), groups) is None
    assert measured(noise[:0], labels[:0], []) is None


def test_same_seed_same_result():
    labels, noise, groups = draw(80)
    assert measured(noise, labels, groups) == measured(noise, labels, groups)
