"""EfficientNet-Lite0: inverted residual blocks, to start from ImageNet weights."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.classification.networks.network import COLOUR_CHANNELS, Network, NetworkConfig
from medseal.errors import ConfigurationError

__all__ = ["EfficientNetLite0"]

_REDUCTION = 2**5
_STEM, _LAST = 32, 1280
# TensorFlow's values: batch_norm_momentum 0.99 and batch_norm_epsilon 1e-3.
_MOMENTUM, _EPSILON = 0.01, 1e-3


class _Stage(NamedTuple):
    blocks: int
    kernel: int
    stride: int
    expansion: int
    filters: int


_STAGES = (
    _Stage(blocks=1, kernel=3, stride=1, expansion=1, filters=16),
    _Stage(blocks=2, kernel=3, stride=2, expansion=6, filters=24),
    _Stage(blocks=2, kernel=5, stride=2, expansion=6, filters=40),
    _Stage(blocks=3, kernel=3, stride=2, expansion=6, filters=80),
    _Stage(blocks=3, kernel=5, stride=1, expansion=6, filters=112),
    _Stage(blocks=4, kernel=5, stride=2, expansion=6, filters=192),
    _Stage(blocks=1, kernel=3, stride=1, expansion=6, filters=320),
)


def _norm(filters: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(filters, eps=_EPSILON, momentum=_MOMENTUM)


class _SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, for even sizes: with stride 2 more after it."""

    def forward(self, images: Tensor) -> Tensor:
        kernel, stride = self.kernel_size[0], self.stride[0]
        total = kernel - stride
        before, after = total // 2, total - total // 2
        if before == after:
            return functional.conv2d(
                images, self.weight, None, self.stride, before, groups=self.groups
            )
        padded = functional.pad(images, [before, after, before, after])
        return functional.conv2d(padded, self.weight, None, self.stride, groups=self.groups)


def _conv(
    inputs: int, filters: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    return _SameConv(inputs, filters, kernel, stride=stride, groups=groups, bias=False)


class _Block(nn.Module):
    """Widen by 1x1, filter each channel, narrow by 1x1; added to the input where shapes agree."""

    def __init__(self, inputs: int, stage: _Stage, *, stride: int) -> None:
        super().__init__()
        wide = inputs * stage.expansion
        self.adds = stride == 1 and inputs == stage.filters
        self.widens = stage.expansion != 1
        if self.widens:
            self.expand = _conv(inputs, wide)
            self.expand_norm = _norm(wide)
        self.depthwise = _conv(wide, wide, kernel=stage.kernel, stride=stride, groups=wide)
        self.depthwise_norm = _norm(wide)
        self.project = _conv(wide, stage.filters)
        self.project_norm = _norm(stage.filters)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        if self.widens:
            x = functional.relu6(self.expand_norm(self.expand(x)))
        x = functional.relu6(self.depthwise_norm(self.depthwise(x)))
        narrow: Tensor = self.project_norm(self.project(x))
        return narrow + images if self.adds else narrow


class EfficientNetLite0(Network):
    """Stem, seven stages of 16 blocks, 1x1 convolution to 1280 maps, mean, one dense layer.

    `truncate` counts the stem as the first stage; with 1 to 8 the 1x1 convolution to 1280 maps is
    left out too. Grey images are repeated to three channels.

    Parameters
    ----------
    config
        Size of input and output; both sides are multiples of 32. `width` is not offered.

    References
    ----------
    Tan and Le 2019, arXiv 1905.11946; tensorflow/tpu, models/official/efficientnet/lite, which
    also gives the scaling of the input: (values of 0 to 255 - 127) / 128.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__(config)
        config.check_multiple(_REDUCTION)
        if config.width != 1 or config.truncate > len(_STAGES) + 1:
            raise ConfigurationError(
                f"EfficientNet-Lite0 has one width and {len(_STAGES) + 1} stages with the stem"
            )
        kept = _STAGES[: config.truncate - 1] if config.truncate else _STAGES
        self.stem = _conv(COLOUR_CHANNELS, _STEM, kernel=3, stride=2)
        self.stem_norm = _norm(_STEM)
        blocks: list[_Block] = []
        self._ends: list[int] = []
        filters = _STEM
        for stage in kept:
            for number in range(stage.blocks):
                stride = stage.stride if number == 0 else 1
                blocks.append(_Block(filters, stage, stride=stride))
                filters = stage.filters
            self._ends.append(len(blocks))
        self.blocks = nn.ModuleList(blocks)
        self.whole = config.truncate == 0
        if self.whole:
            self.last = _conv(filters, _LAST)
            self.last_norm = _norm(_LAST)
            filters = _LAST
        self.dropout = nn.Dropout(config.dropout)
        self.output = nn.Linear(filters, config.classes)
        self.finish()

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the stem, the stages of blocks, and the last convolution where it is kept."""
        starts = [0, *self._ends[:-1]]
        inner = [list(self.blocks[a:b]) for a, b in zip(starts, self._ends, strict=False)]
        last = [[self.last, self.last_norm]] if self.whole else []
        return [[self.stem, self.stem_norm], *inner, *last]

    def features(self, images: Tensor) -> Tensor:
        """Return the maps of the last stage that is kept: (B, 1280, H/32, W/32) if all are."""
        x = (images * 255 - 127) / 128
        x = x.expand(-1, COLOUR_CHANNELS, -1, -1)  # (B, 3, H, W)
        x = functional.relu6(self.stem_norm(self.stem(x)))  # (B, 32, H/2, W/2)
        for block in self.blocks:
            x = block(x)
        if self.whole:
            x = functional.relu6(self.last_norm(self.last(x)))  # (B, 1280, H/32, W/32)
        return x

    def head(self, maps: Tensor) -> Tensor:
        """Return the logits for the maps of `features`."""
        if self.config.peaks:
            return _pooled(self.local_logits(maps), self.config.peaks)
        x = torch.flatten(functional.adaptive_avg_pool2d(maps, 1), start_dim=1)  # (B, filters)
        logits: Tensor = self.output(self.dropout(x))  # (B, classes)
        return logits

    def local_logits(self, maps: Tensor) -> Tensor:
        """Return the logits of each place of the maps, (B, classes, h, w)."""
        # Whole maps are dropped, so that the mean over the places drops what `head` drops.
        kept = functional.dropout2d(maps, self.config.dropout, training=self.training)
        weight = self.output.weight[:, :, None, None]
        return functional.conv2d(kept, weight, self.output.bias)


def _pooled(local: Tensor, peaks: int) -> Tensor:
    """Return the logits of the image for those of its places, (B, classes)."""
    places = local.flatten(2)  # (B, classes, h w)
    mean = places.mean(dim=2)
    strongest = places.topk(min(peaks, places.shape[2]), dim=2).values.mean(dim=2)
    return torch.cat([mean[:, :1], (mean[:, 1:] + strongest[:, 1:]) / 2], dim=1)
