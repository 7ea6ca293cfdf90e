import numpy as np
import torch

from medseal.classification.gan.losses import change_both, discriminator_loss, generator_loss


def test_hinge_by_hand():
    real, generated = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert discriminator_loss(real, generated).item() == 0.25 + 0.5
    assert generator_loss(generated).item() == 1.5


def test_changes_are_drawn_differ_and_pass_gradients_on():
    images = (torch.rand(8, 3, 16, 24) - 0.5).requires_grad_()
    first, again, other = (change_both(images, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == images.shape
    first.sum().backward()
    touched = (images.grad != 0).flatten(1).float().mean(dim=1)
    assert touched.min() > 0.5


def test_a_quarter_of_each_side_is_cut_out():
    changed = change_both(torch.full((50, 1, 32, 32), 0.9), np.random.default_rng(1))
    gone = (changed == 0).flatten(1).sum(dim=1)
    assert gone.min() >= 64
    assert gone.max() <= 70


def test_shift_brings_in_black_and_moves_by_up_to_an_eighth():
    y = torch.arange(32.0).reshape(1, 1, 32, 1).expand(200, 1, 32, 32) / 100
    changed = change_both(y, np.random.default_rng(1))
    black = (changed < -0.5).all(dim=3).sum(dim=(1, 2))
    assert black.max() == 4
    assert (black == 0).float().mean() < 0.3
