import numpy as np
import pytest
import torch

from medseal.errors import ConfigurationError, WeightsError
from medseal.protection.tamper.blind.networks import (
    STRIDE,
    BlindNetwork,
    NetworkConfig,
    restore,
    stored_tensors,
)

TINY = NetworkConfig(channels=(4, 6, 6, 8), blocks=(1, 0, 1, 1))


def network_of(config=TINY, *, seed=3):
    torch.manual_seed(seed)
    network = BlindNetwork(config).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
    return network


def levels(rows, columns, *, seed=0):
    drawn = np.random.default_rng(seed).integers(0, 256, (1, 1, rows, columns))
    return torch.from_numpy(drawn.astype(np.float32))


def test_maps_are_as_large_as_the_tile():
    with torch.no_grad():
        found = network_of()(levels(64, 80).repeat(2, 1, 1, 1))
    assert found.forged.shape == found.trusted.shape == (2, 1, 64, 80)
    assert found.score.shape == (2,)
    assert found.features.shape == (2, TINY.channels[-1])


def test_a_place_is_seen_where_it_lies():
    """What changes in the map lies about the place that changes in the tile."""
    plane = levels(128, 128)
    other = plane.clone()
    other[0, 0, 32:36, 96:100] = 0
    network = network_of()
    with torch.no_grad():
        moved = (network(other).forged - network(plane).forged).abs()[0, 0]
    row, column = divmod(int(moved.argmax()), 128)
    assert abs(row - 34) < STRIDE
    assert abs(column - 98) < STRIDE


def test_the_same_offset_everywhere_leaves_the_residuals_alone():
    network = network_of()
    plane = levels(64, 64) / 2
    seen, brighter = network._seen(plane), network._seen(plane + 40)
    shown = [0, 1, 2, 3]
    assert torch.allclose(brighter[:, shown] - seen[:, shown], torch.tensor(40 / 128))
    assert torch.allclose(brighter[:, 4:], seen[:, 4:], atol=1e-4)


def test_what_is_stored_is_the_network_up_to_half_precision():
    network, other = network_of(), network_of(seed=9)
    restore(other, stored_tensors(network))
    plane = levels(64, 64)
    with torch.no_grad():
        assert torch.allclose(network(plane).forged, other(plane).forged, atol=2e-2)
        assert not torch.allclose(network_of(seed=9)(plane).forged, other(plane).forged, atol=2e-2)


def test_tensors_of_another_size_are_refused():
    tensors = stored_tensors(network_of(NetworkConfig(channels=(4, 6, 6, 6), blocks=(1, 0, 1, 1))))
    with pytest.raises(WeightsError, match="this size"):
        restore(network_of(), tensors)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"channels": (4, 4)}, "4 numbers each"),
        ({"channels": (4, 4, 4, 0)}, "channels are 1"),
        ({"blocks": (1, 1, 1, 99)}, "blocks are 0"),
    ],
)
def test_what_is_no_network_is_refused(settings, message):
    with pytest.raises(ConfigurationError, match=message):
        NetworkConfig(**settings)
