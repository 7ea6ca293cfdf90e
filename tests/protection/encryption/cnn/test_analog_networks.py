import pytest
import torch

from medseal.protection.encryption.cnn.analog_networks import RestorationNetwork
from medseal.protection.encryption.cnn.analog_plan import NetworkConfig


@pytest.mark.parametrize("backbone", ["unet", "resnet", "autoencoder"])
def test_it_begins_by_changing_nothing_and_learns(backbone: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = RestorationNetwork(NetworkConfig(backbone=backbone, width=8, depth=1))
    maps, target = torch.randn(2, 5, 24, 16), torch.randn(2, 1, 24, 16)
    first = network(maps)
    assert first.shape == (2, 1, 24, 16)
    assert not first.any()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    before = (first - target).square().mean()
    for _ in range(2):
        optimiser.zero_grad()
        loss = (network(maps) - target).square().mean()
        loss.backward()
        optimiser.step()
    assert (network(maps) - target).square().mean() < before
