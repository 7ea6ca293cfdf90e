import pytest
import torch

from medseal.classification.networks import NetworkConfig, SideComparison
from medseal.errors import ConfigurationError

SETTINGS = NetworkConfig(rows=64, columns=64, truncate=4, dropout=0.0)


@pytest.fixture
def network():
    """With fixed weights, statistics of one batch, and a dense layer that is not zero."""
    torch.manual_seed(5)
    network = SideComparison(SETTINGS)
    torch.nn.init.normal_(network.output[4].weight)
    network.train()
    with torch.no_grad():
        network(torch.rand(8, 1, 64, 64))
    return network.eval()


def test_shapes(network):
    images = torch.rand(2, 1, 64, 64)
    maps = network.features(images)
    assert maps.shape == (2, 24 + 40, 8, 8)
    assert network.head(maps).shape == (2, 2)


def test_both_directions_from_the_expected_difference_count_alike(network):
    expected = network.output[0].running_mean.clone()
    step = torch.rand(1, len(expected)) * network.output[0].running_var.sqrt()
    with torch.inference_mode():
        more, less = network.output(expected + step), network.output(expected - step)
    torch.testing.assert_close(more, less, atol=1e-3, rtol=1e-3)


def test_the_statistics_are_means_over_all_batches():
    network = SideComparison(SETTINGS).train()
    generator = torch.Generator().manual_seed(3)
    batches = [torch.rand(6, 64, 8, 8, generator=generator) for _ in range(3)]
    with torch.no_grad():
        for maps in batches:
            network.head(maps)
    upper = torch.cat(batches)[:, :, :3]  # the first of three bands of eight rows
    expected = (upper[..., :4].mean((2, 3)) - upper[..., 4:].mean((2, 3))).mean(0)
    torch.testing.assert_close(network.output[0].running_mean[:64], expected)


def test_what_both_sides_share_does_not_count(network):
    maps = torch.rand(2, 64, 8, 8)
    shared = torch.rand(2, 64, 8, 1)
    with torch.inference_mode():
        torch.testing.assert_close(network.head(maps), network.head(maps + shared))
        other = maps.clone()
        other[:, :, :, :4] += 1
        assert (network.head(maps) - network.head(other)).abs().min() > 1e-3


def test_the_spread_of_a_map_does_not_count(network):
    with torch.inference_mode():
        maps = network.features(torch.rand(2, 1, 64, 64))
    assert maps[:, :24].abs().max() < 1e3
    spread = maps[:, 24:].std(dim=(2, 3))  # of the last stage: not pooled afterwards
    assert spread.max() < 1.0 + 1e-4


def test_one_step_lowers_the_loss():
    torch.manual_seed(6)
    network = SideComparison(SETTINGS).train()
    images, labels = torch.rand(8, 1, 64, 64), torch.tensor([0, 1] * 4)
    images[labels == 1, :, :, :32] *= 0.3
    optimiser = torch.optim.Adam(network.output.parameters(), lr=0.01)
    losses = []
    for _ in range(2):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert losses[1] < losses[0]


@pytest.mark.parametrize("wrong", [{"truncate": 2}, {"truncate": 0}, {"truncate": 6, "peaks": 2}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="truncate from 3 to 8 and no peaks"):
        SideComparison(NetworkConfig(**wrong))


def test_places_have_no_logits(network):
    with pytest.raises(ConfigurationError, match="another method"):
        network.local_logits(torch.rand(1, 64, 8, 8))
