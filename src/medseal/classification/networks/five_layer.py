"""The five-layer network of paper 1: convolutions, batch normalisation, two dense layers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from medseal.classification.networks.network import Network, NetworkConfig
from medseal.errors import ConfigurationError

__all__ = ["FiveLayerCNN"]

# Five halvings by max pooling.
_REDUCTION = 2**5


def _block(inputs: int, filters: int, *, pools_last: bool = False) -> nn.Sequential:
    """Return 3x3 convolution, batch normalisation, and ReLU and 2x2 max pooling in either order.

    The order changes neither values nor gradients: the ReLU of a maximum is the maximum of the
    ReLUs. Pooling first leaves a quarter of the ReLU, which is 1.3 times as fast in training.
    """
    pool = nn.MaxPool2d(2)  # (B, filters, H/2, W/2)
    return nn.Sequential(
        nn.Conv2d(inputs, filters, kernel_size=3, padding=1),  # (B, filters, H, W)
        nn.BatchNorm2d(filters),
        *((nn.ReLU(), pool) if pools_last else (pool, nn.ReLU())),
    )


class FiveLayerCNN(Network):
    """Five convolutions of 32, 32, 64, 64 and 128 filters, then dense 256 and 128.

    The softmax of the paper is applied in the loss and in `predict`, which needs the logits for
    the temperature.

    Parameters
    ----------
    config
        Size of input and output; both sides are multiples of 32. `truncate` is not offered.

    References
    ----------
    Paper 1, 3.2.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        config.check_multiple(_REDUCTION)
        if config.truncate:
            raise ConfigurationError("the five-layer network cannot be truncated")
        widths = [config.filters(count) for count in (32, 32, 64, 64, 128)]
        self.block1 = _block(config.channels, widths[0])
        self.block2 = _block(widths[0], widths[1])
        self.block3 = _block(widths[1], widths[2])
        self.block4 = _block(widths[2], widths[3])
        self.block5 = _block(widths[3], widths[4], pools_last=True)
        area = (config.rows // _REDUCTION) * (config.columns // _REDUCTION)
        self.dense1 = nn.Linear(widths[4] * area, config.filters(256))
        self.dense2 = nn.Linear(config.filters(256), config.filters(128))
        self.output = nn.Linear(config.filters(128), config.classes)
        self.dropout = nn.Dropout(config.dropout)
        self.finish()

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the five blocks."""
        return [[self.block1], [self.block2], [self.block3], [self.block4], [self.block5]]

    def features(self, images: Tensor) -> Tensor:
        """Return the maps of the last convolution, after its ReLU and before its pooling."""
        x = self.block1(images)  # (B, 32, H/2, W/2)
        x = self.block2(x)  # (B, 32, H/4, W/4)
        x = self.block3(x)  # (B, 64, H/8, W/8)
        x = self.block4(x)  # (B, 64, H/16, W/16)
        maps: Tensor = self.block5[:3](x)  # (B, 128, H/16, W/16)
        return maps

    def head(self, maps: Tensor) -> Tensor:
        """Return the logits for the maps of `features`."""
        x = self.block5[3](maps)  # (B, 128, H/32, W/32)
        x = torch.flatten(x, start_dim=1)  # (B, 128 * H/32 * W/32)
        x = self.dropout(torch.relu(self.dense1(x)))  # (B, 256)
        x = self.dropout(torch.relu(self.dense2(x)))  # (B, 128)
        logits: Tensor = self.output(x)  # (B, classes)
        return logits
