"""Networks by the name of their method, built from a seed."""

from collections.abc import Mapping
from types import MappingProxyType

import torch

from medseal.classification.networks.edge import EdgeCNN
from medseal.classification.networks.efficientnet_lite import EfficientNetLite0
from medseal.classification.networks.five_layer import FiveLayerCNN
from medseal.classification.networks.network import Network, NetworkConfig
from medseal.classification.networks.resnet import ResNet50
from medseal.classification.networks.side_comparison import SideComparison
from medseal.errors import ConfigurationError

__all__ = ["NETWORKS", "build"]

NETWORKS: Mapping[str, type[Network]] = MappingProxyType(
    {
        "edge-cnn": EdgeCNN,
        "efficientnet-lite0": EfficientNetLite0,
        "five-layer-cnn": FiveLayerCNN,
        "resnet50": ResNet50,
        "side-comparison": SideComparison,
    }
)


def build(method: str, config: NetworkConfig, *, seed: int) -> Network:
    """Return the network with its first weights, without touching torch's global generator.

    Raises
    ------
    ConfigurationError
        No network has this name, or it cannot have these settings.
    """
    if method not in NETWORKS:
        raise ConfigurationError(f"no network {method!r}: there are {', '.join(NETWORKS)}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return NETWORKS[method](config)
