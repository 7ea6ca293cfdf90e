"""The networks: each from images to maps to logits, so that every one can be explained."""

from medseal.classification.networks.edge import EdgeCNN
from medseal.classification.networks.efficientnet_lite import EfficientNetLite0
from medseal.classification.networks.five_layer import FiveLayerCNN
from medseal.classification.networks.network import Network, NetworkConfig
from medseal.classification.networks.registry import NETWORKS, build
from medseal.classification.networks.resnet import ResNet50
from medseal.classification.networks.side_comparison import SideComparison

__all__ = [
    "NETWORKS",
    "EdgeCNN",
    "EfficientNetLite0",
    "FiveLayerCNN",
    "Network",
    "NetworkConfig",
    "ResNet50",
    "SideComparison",
    "build",
]
