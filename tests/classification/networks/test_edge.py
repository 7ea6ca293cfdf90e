import pytest
import torch

from medseal.classification.networks import EdgeCNN, NetworkConfig
from medseal.errors import ConfigurationError


def test_it_is_small():
    network = EdgeCNN(NetworkConfig(channels=3))
    assert sum(p.numel() for p in network.parameters()) <= 300_000


@pytest.mark.parametrize(("truncate", "filters", "reduction"), [(0, 224, 32), (3, 96, 8)])
def test_shapes(truncate, filters, reduction):
    network = EdgeCNN(NetworkConfig(truncate=truncate, classes=3)).eval()
    images = torch.rand(2, 1, 64, 96)
    maps = network.features(images)
    assert maps.shape == (2, filters, 64 // reduction, 96 // reduction)
    assert maps.min() >= 0
    assert network(images).shape == (2, 3)


@pytest.mark.parametrize("wrong", [{"columns": 100}, {"truncate": 6}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"multiples of 32|5 stages"):
        EdgeCNN(NetworkConfig(**wrong))
