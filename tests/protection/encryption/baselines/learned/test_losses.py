import pytest
import torch

from medseal.protection.encryption.baselines.learned.losses import noise_loss, pair_loss


def test_noise_is_nearly_free_and_a_copy_is_not() -> None:
    torch.manual_seed(1)
    ramp = torch.linspace(0, 1, 64).repeat(64, 1)[None, None]
    assert float(noise_loss(ramp, torch.rand(1, 1, 64, 64))) < 0.06
    assert float(noise_loss(ramp, ramp)) > 3
    assert float(noise_loss(ramp, torch.full_like(ramp, 0.5))) == pytest.approx(5, abs=0.5)


def test_restoration_counts_beside_the_weighted_noise() -> None:
    torch.manual_seed(1)
    images, cipher = torch.rand(2, 1, 16, 16), torch.rand(2, 1, 16, 16)
    exact = pair_loss(images, cipher, images, noise_weight=0.5)
    assert float(exact) == pytest.approx(0.5 * float(noise_loss(images, cipher)))
    wrong = pair_loss(images, cipher, images + 0.1, noise_weight=0.5)
    assert float(wrong - exact) == pytest.approx(0.01, rel=1e-3)
