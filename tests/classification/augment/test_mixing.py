import numpy as np
import torch

from medseal.classification.augment import AugmentConfig, mix_labels
from medseal.classification.augment.mixing import cutmix, fourier_mix, histogram_match, mixup


def changed(operation, images, strength, seed=1):
    generator = np.random.default_rng(seed)
    return operation(images, probability=1.0, strength=strength, generator=generator)


def unlike():
    """A smooth dark image and a rough bright one."""
    smooth = torch.linspace(0.1, 0.4, 32).reshape(1, 1, 1, 32).expand(1, 1, 32, 32)
    rough = 0.6 + 0.3 * torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    return torch.cat([smooth, rough]).contiguous()


def test_fourier_mix_with_itself_is_the_image():
    image = torch.rand(1, 3, 16, 20)
    torch.testing.assert_close(changed(fourier_mix, image, 1.0), image, atol=1e-4, rtol=0)


def test_fourier_mix_moves_the_mean_and_keeps_the_phase():
    images = unlike()
    after = changed(fourier_mix, images, 1.0)
    assert after[0].mean() > images[0].mean() + 0.05
    own, mixed = (torch.fft.rfft2(each[1]) for each in (images, after))
    strong = own.abs() > own.abs().median()
    cosine = torch.cos(own.angle() - mixed.angle())[strong]
    assert cosine.mean() > 0.9


def test_histogram_match_keeps_the_order_and_takes_the_range():
    images = unlike()
    after = changed(histogram_match, images, 1.0)
    assert after[0, 0, 5].diff().min() >= -1e-6
    assert after[0].mean() > images[0].mean() + 0.05
    assert after[1].mean() < images[1].mean() - 0.05


def test_histogram_match_leaves_the_background_black():
    images = unlike()
    images[0, :, :8] = 0
    images[1, :, :20] = 0
    after = changed(histogram_match, images, 1.0)
    assert after[0, :, :8].max() == 0
    assert after[0, :, 8:].min() > 0.1


def test_histogram_of_nothing_changes_nothing():
    images = torch.cat([torch.zeros(1, 1, 8, 8), torch.rand(1, 1, 8, 8)])
    torch.testing.assert_close(changed(histogram_match, images, 1.0), images, atol=2e-3, rtol=0)


def batch():
    images = torch.stack([torch.full((1, 20, 20), value) for value in (0.0, 0.25, 0.5, 1.0)])
    return images, torch.eye(4)


def test_mixup_blends_images_as_it_blends_targets():
    images, targets = batch()
    blended, shares = mixup(images, targets, alpha=1.0, generator=np.random.default_rng(1))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    values = shares @ images[:, 0, 0, 0]
    torch.testing.assert_close(blended[:, 0, 7, 7], values)
    assert (shares.max(dim=1).values < 0.999).any()


def test_cutmix_counts_the_area():
    images, targets = batch()
    mixed, shares = cutmix(images, targets, alpha=1.0, generator=np.random.default_rng(1))
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(4))
    for own in range(4):
        kept = (mixed[own] == images[own]).float().mean()
        torch.testing.assert_close(shares[own, own], kept)


def test_labels_are_mixed_for_the_share_of_batches_asked():
    images, targets = batch()
    off = np.random.default_rng(1)
    same = mix_labels(images, targets, config=AugmentConfig(), generator=off)
    assert same[0] is images
    assert off.random() == np.random.default_rng(1).random()
    config = AugmentConfig(mixup=(0.4, 0.5), cutmix=(0.3, 1.0))
    generator = np.random.default_rng(1)
    mixed = [
        not torch.equal(mix_labels(images, targets, config=config, generator=generator)[1], targets)
        for _ in range(300)
    ]
    assert 0.6 < np.mean(mixed) < 0.8
