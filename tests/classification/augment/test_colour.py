import numpy as np
import torch

from medseal.classification.augment.colour import channel_gamma, hue, saturation, white_balance

WEIGHTS = torch.tensor([0.299, 0.587, 0.114]).reshape(1, 3, 1, 1)


def muted(count=100):
    return 0.4 + 0.2 * torch.rand(count, 3, 4, 5, generator=torch.Generator().manual_seed(1))


def changed(operation, images, strength):
    generator = np.random.default_rng(1)
    return operation(images, probability=1.0, strength=strength, generator=generator)


def test_white_balance_is_one_gain_a_channel():
    images = muted()
    gains = changed(white_balance, images, 0.3) / images
    assert gains.flatten(2).std(dim=2).max() < 1e-5
    assert gains[:, 0].std() > 0.1
    assert (gains[:, 0, 0, 0] - gains[:, 1, 0, 0]).abs().mean() > 0.05


def test_channel_gamma_is_one_power_a_channel():
    images = muted()
    exponents = changed(channel_gamma, images, 0.3).log() / images.log()
    assert exponents.flatten(2).std(dim=2).max() < 1e-4
    assert (exponents[:, 0, 0, 0] - exponents[:, 1, 0, 0]).abs().mean() > 0.05


def test_saturation_keeps_luminance_and_grey():
    images = muted()
    after = changed(saturation, images, 0.5)
    before, kept = ((each * WEIGHTS).sum(dim=1) for each in (images, after))
    torch.testing.assert_close(before, kept, atol=1e-3, rtol=0)
    grey = images[:, :1].expand(-1, 3, -1, -1).clone()
    torch.testing.assert_close(changed(saturation, grey, 0.5), grey, atol=1e-3, rtol=0)
    assert (after - images).abs().mean() > 0.005


def test_hue_turns_colour_and_keeps_luminance_grey_and_saturation():
    images = muted()
    after = changed(hue, images, 0.5)
    before, kept = ((each * WEIGHTS).sum(dim=1) for each in (images, after))
    torch.testing.assert_close(before, kept, atol=2e-3, rtol=0)
    grey = images[:, :1].expand(-1, 3, -1, -1).clone()
    torch.testing.assert_close(changed(hue, grey, 0.5), grey, atol=2e-3, rtol=0)
    assert (after - images).abs().mean() > 0.02


def test_half_a_turn_of_hue_is_the_complement():
    """A red that turns by half the circle becomes as far from grey on the other side."""

    class Half:
        def random(self, count):
            return np.zeros(count)

        def uniform(self, _low, high, count):
            return np.full(count, high)

    red = torch.tensor([0.6, 0.4, 0.4]).reshape(1, 3, 1, 1)
    turned = hue(red, probability=1.0, strength=0.5, generator=Half())
    luminance = (red * WEIGHTS).sum()
    torch.testing.assert_close(turned - luminance, luminance - red, atol=3e-3, rtol=0)
