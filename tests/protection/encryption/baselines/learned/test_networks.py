import torch

from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, build

SMALL = LearnedConfig(channels=4, layers=2)


def test_cipher_and_restored_images_have_the_size_of_the_image() -> None:
    pair = build(SMALL)
    images = torch.rand(2, 1, 12, 20)
    cipher = pair.hidden(images)
    assert cipher.shape == pair.restored(cipher).shape == images.shape
    assert 0 <= float(cipher.min()) <= float(cipher.max()) <= 1


def test_cipher_images_are_whole_levels_and_still_have_a_gradient() -> None:
    pair = build(SMALL)
    cipher = pair.hidden(torch.rand(1, 1, 8, 8))
    levels = cipher.detach() * 255
    assert torch.allclose(levels, levels.round(), atol=1e-3)
    cipher.sum().backward()
    assert all(weight.grad is not None for weight in pair.encoder.parameters())


def test_weights_follow_from_the_seed() -> None:
    first, again, other = (
        torch.cat([weight.flatten() for weight in build(config).parameters()])
        for config in (SMALL, SMALL, LearnedConfig(channels=4, layers=2, seed=2))
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
