"""A small network for devices: depthwise-separable convolutions, 0.1 million parameters."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.classification.networks.network import Network, NetworkConfig
from medseal.errors import ConfigurationError

__all__ = ["EdgeCNN"]

_REDUCTION = 2**5
_STEM = 24
# Filters and stride of each block; the first of each pair halves the size.
_BLOCKS = ((48, 2), (64, 1), (96, 2), (96, 1), (160, 2), (160, 1), (224, 2), (224, 1))


def _separable(inputs: int, filters: int, *, stride: int) -> nn.Sequential:
    """Return a 3x3 convolution of each channel, then a 1x1 convolution across channels."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, filters, kernel_size=1, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
    )


class EdgeCNN(Network):
    """Stem, four pairs of separable convolutions, mean, one dense layer.

    Parameters
    ----------
    config
        Size of input and output; both sides are multiples of 32. `truncate` counts stages, the
        stem being the first.

    References
    ----------
    Howard et al. 2017, arXiv 1704.04861.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        config.check_multiple(_REDUCTION)
        pairs = len(_BLOCKS) // 2
        if config.truncate > pairs + 1:
            raise ConfigurationError(f"the edge network has {pairs + 1} stages with the stem")
        kept = _BLOCKS[: 2 * (config.truncate - 1)] if config.truncate else _BLOCKS
        filters = config.filters(_STEM)
        self.stem = nn.Sequential(
            nn.Conv2d(config.channels, filters, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(filters),
            nn.ReLU(),
        )
        blocks = []
        for count, stride in kept:
            blocks.append(_separable(filters, config.filters(count), stride=stride))
            filters = config.filters(count)
        self.blocks = nn.ModuleList(blocks)
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(filters, config.classes)
        self.finish()

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the stem and the pairs of blocks."""
        pairs = range(0, len(self.blocks), 2)
        return [[self.stem], *(list(self.blocks[start : start + 2]) for start in pairs)]

    def features(self, images: Tensor) -> Tensor:
        """Return the maps of the last block: (B, 224, H/32, W/32) if all are kept."""
        x: Tensor = self.stem(images)  # (B, 24, H/2, W/2)
        for block in self.blocks:
            x = block(x)
        return x

    def head(self, maps: Tensor) -> Tensor:
        """Return the logits for the maps of `features`."""
        x = torch.flatten(functional.adaptive_avg_pool2d(maps, 1), start_dim=1)  # (B, 224)
        logits: Tensor = self.output(self.dropout(x))  # (B, classes)
        return logits
