import numpy as np
import pytest
import torch

from medseal.classification.augment.intensity import (
    brightness,
    contrast,
    curve,
    gamma,
    invert,
    look_up,
)


def ramp(count=1):
    return torch.linspace(0, 1, 101).reshape(1, 1, 1, 101).repeat(count, 1, 1, 1)


def changed(operation, images, strength, seed=1):
    generator = np.random.default_rng(seed)
    return operation(images, probability=1.0, strength=strength, generator=generator)


def test_gamma_is_a_power_with_fixed_ends():
    after = changed(gamma, ramp(200), 0.7)
    assert after[..., 0].max() == 0
    assert after[..., -1].min() == 1
    exponents = after[:, 0, 0, 50].log() / np.log(0.5)
    assert np.exp(-0.7) <= exponents.min() < 0.55
    assert 1.9 < exponents.max() <= np.exp(0.7) + 1e-4
    torch.testing.assert_close(after[:, 0, 0, 20], 0.2**exponents)


def test_brightness_adds_one_number_an_image():
    after = changed(brightness, torch.full((200, 1, 2, 2), 0.5), 0.2)
    assert 0.3 <= after.min() < 0.33
    assert 0.67 < after.max() <= 0.7
    assert after.flatten(1).std(dim=1).max() == 0


def test_contrast_keeps_the_mean():
    images = 0.4 + 0.2 * ramp(100)
    after = changed(contrast, images, 0.5)
    torch.testing.assert_close(after.mean(dim=(1, 2, 3)), images.mean(dim=(1, 2, 3)))
    ratio = after.std(dim=(1, 2, 3)) / images.std(dim=(1, 2, 3))
    assert np.exp(-0.5) - 1e-4 <= ratio.min() < 0.7
    assert 1.5 < ratio.max() <= np.exp(0.5) + 1e-4


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_a_curve_is_monotone_from_black_to_white(strength):
    after = changed(curve, ramp(50), strength)
    assert after.diff(dim=3).min() >= 0
    assert after[..., 0].max() < 0.06
    assert after[..., -1].min() > 0.94
    distance = (after - ramp()).abs().mean()
    assert distance < 0.005 if strength == 0 else distance > 0.04 * strength


def test_inverting_twice_is_the_image():
    once = invert(ramp(), probability=1.0, generator=np.random.default_rng(1))
    torch.testing.assert_close(1 - once, ramp())


def test_look_up_is_linear_between_the_entries():
    values = np.array([[0.0, 0.25, 0.5, 1.0]], np.float32)
    found = look_up(values, np.array([0.0, 1.0, 0.0]))
    np.testing.assert_allclose(found, [[0.0, 0.5, 1.0, 0.0]], atol=1e-3)
    assert found.dtype == np.float32
