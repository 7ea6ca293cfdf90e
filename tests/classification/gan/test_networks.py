import pytest
import torch

from medseal.classification.gan.networks import ConditionalNorm, build_networks


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_range(side, channels):
    generator, discriminator = build_networks(
        side=side, channels=channels, classes=3, latent=8, width=4, seed=1
    )
    labels = torch.tensor([0, 1, 2, 1])
    images = generator(torch.randn(4, 8), labels)
    assert images.shape == (4, channels, side, side)
    assert images.abs().max() <= 1
    assert discriminator(images, labels).shape == (4,)


def test_the_class_decides_image_and_score():
    generator, discriminator = build_networks(
        side=32, channels=1, classes=2, latent=8, width=4, seed=1
    )
    for name, parameter in generator.named_parameters():
        if "offset" in name:  # classes start alike, training tells them apart
            parameter.data = torch.randn_like(parameter)
    generator.eval()
    noise = torch.randn(3, 8)
    first, second = (generator(noise, torch.full((3,), label)) for label in (0, 1))
    assert (first - second).abs().mean() > 0.01
    discriminator.eval()
    scores = [discriminator(first, torch.full((3,), label)) for label in (0, 1)]
    assert not torch.allclose(*scores)


def test_same_seed_same_weights_and_the_global_generator_stays():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, again, other = (
        build_networks(side=32, channels=1, classes=2, latent=8, width=4, seed=seed)[0]
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(first.start.weight, again.start.weight)
    assert not torch.equal(first.start.weight, other.start.weight)


def test_the_discriminator_is_spectrally_normal():
    _, discriminator = build_networks(side=32, channels=1, classes=2, latent=8, width=8, seed=1)
    for layer in (*discriminator.layers, discriminator.real, discriminator.of_class):
        for _ in range(30):
            weight = layer.weight  # each look in training is one power iteration
        norm = torch.linalg.matrix_norm(weight.flatten(1), ord=2)
        assert norm.item() == pytest.approx(1, abs=0.02)


def test_conditional_norm_by_hand():
    norm = ConditionalNorm(1, 2)
    norm.scale.weight.data = torch.tensor([[1.0], [3.0]])
    norm.offset.weight.data = torch.tensor([[0.0], [5.0]])
    maps = torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1)
    result = norm(maps, torch.tensor([0, 1])).flatten()
    torch.testing.assert_close(result, torch.tensor([-1.0, 8.0]), atol=1e-3, rtol=0)
