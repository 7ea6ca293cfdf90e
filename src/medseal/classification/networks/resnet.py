"""ResNet-50 with the names of the usual state dicts, for weights from elsewhere."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.classification.networks.network import COLOUR_CHANNELS, Network, NetworkConfig
from medseal.errors import ConfigurationError

__all__ = ["ResNet50"]

# Of ImageNet, red, green, blue; what the usual weights were trained with.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EXPANSION = 4
_BLOCKS, _FILTERS = (3, 4, 6, 3), (64, 128, 256, 512)


class _Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1; added to the input, which a 1x1 brings to shape if needed."""

    def __init__(self, inputs: int, filters: int, *, stride: int) -> None:
        super().__init__()
        outputs = filters * _EXPANSION
        self.conv1 = nn.Conv2d(inputs, filters, kernel_size=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.conv2 = nn.Conv2d(
            filters, filters, kernel_size=3, stride=stride, padding=1, bias=False
        )
        self.bn2 = nn.BatchNorm2d(filters)
        self.conv3 = nn.Conv2d(filters, outputs, kernel_size=1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(outputs),
            )

    def forward(self, images: Tensor) -> Tensor:
        x = torch.relu(self.bn1(self.conv1(images)))
        x = torch.relu(self.bn2(self.conv2(x)))
        x = self.bn3(self.conv3(x))
        x = x + (images if self.downsample is None else self.downsample(images))
        return torch.relu(x)


class ResNet50(Network):
    """Stem of 7x7 and max pooling, four stages of 3, 4, 6 and 3 bottlenecks, mean, dense layer.

    The stride sits on the 3x3 convolution, as in torchvision and timm. Grey images are repeated
    to three channels; ImageNet's mean and deviation are applied inside. `truncate` counts the
    stem as the first stage.

    Parameters
    ----------
    config
        Size of input and output, at least 32 a side.

    References
    ----------
    He et al. 2016, arXiv 1512.03385.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        if config.truncate > len(_BLOCKS) + 1:
            raise ConfigurationError(f"ResNet-50 has {len(_BLOCKS) + 1} stages with the stem")
        stem = config.filters(64)
        self.conv1 = nn.Conv2d(COLOUR_CHANNELS, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.layers = config.truncate - 1 if config.truncate else len(_BLOCKS)
        inputs = stem
        for number in range(self.layers):
            filters = config.filters(_FILTERS[number])
            blocks = []
            for index in range(_BLOCKS[number]):
                stride = 2 if index == 0 and number > 0 else 1
                blocks.append(_Bottleneck(inputs, filters, stride=stride))
                inputs = filters * _EXPANSION
            setattr(self, f"layer{number + 1}", nn.Sequential(*blocks))
        self.dropout = nn.Dropout(config.dropout)
        self.fc = nn.Linear(inputs, config.classes)
        self.register_buffer("mean", torch.tensor(_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer(
            "deviation", torch.tensor(_DEVIATION).view(1, 3, 1, 1), persistent=False
        )
        self.finish()

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the stem and the stages of bottlenecks."""
        return [[self.conv1, self.bn1], *([layer] for layer in self._layers())]

    def _layers(self) -> list[nn.Module]:
        return [getattr(self, f"layer{number + 1}") for number in range(self.layers)]

    def features(self, images: Tensor) -> Tensor:
        """Return the maps of the last stage that is kept: (B, 2048, H/32, W/32) if all are."""
        x = (images - self.mean) / self.deviation  # (B, 3, H, W)
        x = torch.relu(self.bn1(self.conv1(x)))  # (B, 64, H/2, W/2)
        x = functional.max_pool2d(x, kernel_size=3, stride=2, padding=1)  # (B, 64, H/4, W/4)
        for layer in self._layers():
            x = layer(x)
        return x

    def head(self, maps: Tensor) -> Tensor:
        """Return the logits for the maps of `features`."""
        x = torch.flatten(functional.adaptive_avg_pool2d(maps, 1), start_dim=1)  # (B, filters)
        logits: Tensor = self.fc(self.dropout(x))  # (B, classes)
        return logits
