import numpy as np
import torch

from medseal.classification.augment.acquisition import (
    bias_field,
    blur,
    jpeg,
    noise,
    resolution,
    sharpen,
    vignette,
)


def changed(operation, images, strength, seed=1):
    generator = np.random.default_rng(seed)
    return operation(images, probability=1.0, strength=strength, generator=generator)


def texture(count=30, channels=1):
    generator = torch.Generator().manual_seed(1)
    return 0.3 + 0.4 * torch.rand(count, channels, 48, 64, generator=generator)


def roughness(images):
    return (images.diff(dim=3).abs().mean(dim=(1, 2, 3))).mean()


def test_bias_field_is_smooth_and_the_same_in_all_channels():
    flat = torch.full((20, 3, 48, 64), 0.3)
    after = changed(bias_field, flat, 0.4)
    assert torch.equal(after[:, 0], after[:, 2])
    assert after.flatten(1).std(dim=1).mean() > 0.04
    assert after.diff(dim=3).abs().max() < 0.1


def test_vignette_darkens_the_edge_more_than_the_middle():
    after = changed(vignette, torch.full((50, 1, 41, 41), 0.8), 0.8)
    corners = after[:, :, [0, 0, -1, -1], [0, -1, 0, -1]].mean()
    assert corners < after[:, :, 20, 20].mean() - 0.1
    assert after.max() <= 0.8


def test_blur_smooths_and_sharpen_roughens():
    images = texture()
    assert roughness(changed(blur, images, 0.05)) < 0.6 * roughness(images)
    assert roughness(changed(sharpen, images, 2.0)) > 1.2 * roughness(images)


def test_resolution_loses_detail_and_keeps_the_mean():
    images = texture()
    after = changed(resolution, images, 0.2)
    assert roughness(after) < 0.8 * roughness(images)
    torch.testing.assert_close(after.mean(), images.mean(), atol=0.01, rtol=0)


def test_noise_has_up_to_the_deviation_asked():
    flat = torch.full((50, 1, 48, 64), 0.5)
    deviations = changed(noise, flat, 0.1).flatten(1).std(dim=1)
    assert 0.085 < deviations.max() < 0.105
    assert deviations.min() < 0.02


def test_jpeg_changes_detail_and_keeps_colour():
    images = texture(channels=3)
    images[:, 0] *= 0.4  # red is dark: a swap of channels would show
    after = changed(jpeg, images, 0.9)
    assert (after - images).abs().mean() > 0.01
    torch.testing.assert_close(
        after.mean(dim=(0, 2, 3)), images.mean(dim=(0, 2, 3)), atol=0.03, rtol=0
    )


def test_jpeg_without_strength_is_nearly_the_image():
    y = torch.linspace(0.2, 0.8, 48).reshape(1, 1, 48, 1).expand(3, 1, 48, 64).clone()
    assert (changed(jpeg, y, 0.0) - y).abs().max() < 0.02
