"""What every network offers: maps for Grad-CAM, logits, stages that can be frozen."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn

from medseal.errors import ConfigurationError

__all__ = ["COLOUR_CHANNELS", "Network", "NetworkConfig"]

GREY_CHANNELS, COLOUR_CHANNELS = 1, 3
_MAX_WIDTH = 4.0
# What the card says elsewhere: size and channels under [preprocess], the classes by name.
_ELSEWHERE = frozenset({"rows", "columns", "channels", "classes"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Size of input and output, and what may differ between two networks of one method.

    Attributes
    ----------
    rows, columns
        Size of the input; most networks want multiples of 32.
    channels
        1 for grey, 3 for colour images.
    classes
        Number of classes, at least two.
    dropout
        Share of the last activations that training drops, in [0, 1).
    width
        Factor on the number of filters, where the method has no foreign weights; in (0, 4].
    truncate
        Stages that are kept, the stem being the first; 0 keeps all. EfficientNet-Lite0: 6 ends
        after the stage of 112 filters, at 1/16 of the size.
    freeze_stages
        Stages from the stem on that training leaves as they are, batch statistics included.
    freeze_statistics
        Whether training leaves the batch statistics of all stages as they are.
    peaks
        Places of the maps whose strongest answers make half of the logit of each class but the
        first, which is that of nothing found; 0 takes the mean of all places. For findings that
        are small; EfficientNet-Lite0 alone.
    mirror
        Whether the logits are the mean over the image and its left-right mirror image, in
        validation, test and serving alike.

    Raises
    ------
    ConfigurationError
        A value is out of range.
    """

    rows: int = 224
    columns: int = 224
    channels: int = 1
    classes: int = 2
    dropout: float = 0.5
    width: float = 1.0
    truncate: int = 0
    freeze_stages: int = 0
    freeze_statistics: bool = False
    peaks: int = 0
    mirror: bool = False

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1 or self.channels not in (
            GREY_CHANNELS,
            COLOUR_CHANNELS,
        ):
            raise ConfigurationError("a network takes 1 or 3 channels of at least one row")
        if self.classes < 2 or not 0 <= self.dropout < 1:  # noqa: PLR2004  # one class is no choice
            raise ConfigurationError("at least two classes, and dropout in [0, 1)")
        if (
            not 0 < self.width <= _MAX_WIDTH
            or min(self.truncate, self.freeze_stages, self.peaks) < 0
        ):
            raise ConfigurationError(
                "width must lie in (0, 4], truncate, peaks, freeze_stages from 0"
            )

    def check_multiple(self, reduction: int) -> None:
        """Refuse a size that `reduction` does not divide, with ConfigurationError."""
        if self.rows % reduction or self.columns % reduction:
            raise ConfigurationError(f"rows and columns must be multiples of {reduction}")

    def filters(self, count: int) -> int:
        """Return a number of filters at this width: a multiple of 8, at least 8."""
        return count if self.width == 1 else max(8, round(count * self.width / 8) * 8)

    def to_dict(self) -> dict[str, Any]:
        """Return what stands on the card under [network]: fields that are not the default."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in _ELSEWHERE and getattr(self, field.name) != field.default
        }


class Network(nn.Module, ABC):
    """Stages from image to maps, then a head from maps to logits.

    A subclass sets up its layers, calls `finish`, and gives `stages`, `features` and `head`.

    Parameters
    ----------
    config
        Size of input and output.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the layers of each stage from the stem on; all other layers are the head."""

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """Return the maps that Grad-CAM looks at, (B, filters, h, w), not negative.

        Parameters
        ----------
        images
            (B, channels, H, W), values in [0, 1].
        """

    @abstractmethod
    def head(self, maps: Tensor) -> Tensor:
        """Return the logits for the maps of `features`, (B, classes)."""

    def local_logits(self, maps: Tensor) -> Tensor:
        """Return the logits of each place of the maps, (B, classes, h, w).

        Raises
        ------
        ConfigurationError
            The network does not offer them.
        """
        raise ConfigurationError(f"no logits for the places of {len(maps)} maps: another method")

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits, (B, classes), of images as `features` takes them."""
        logits = self.head(self.features(images))
        if self.config.mirror and not self.training:
            logits = (logits + self.head(self.features(images.flip(3)))) / 2
        return logits

    def finish(self) -> None:
        """Bring the filters into channels-last order and freeze what the settings say."""
        # Filters in channels-last order make every map so: 1.4 to 2.4 times as fast on a CPU.
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                layer.weight.data = layer.weight.data.contiguous(memory_format=torch.channels_last)
        if self.config.peaks and type(self).local_logits is Network.local_logits:
            raise ConfigurationError("this method gives no logits of places: peaks must be 0")
        if self.config.freeze_stages > len(self.stages()):
            raise ConfigurationError(f"there are {len(self.stages())} stages to freeze at most")
        for layer in self._frozen():
            layer.requires_grad_(False)

    def train(self, mode: bool = True) -> "Network":
        """Switch training on or off; frozen parts stay as in evaluation."""
        super().train(mode)
        for layer in self._frozen():
            layer.eval()
        if self.config.freeze_statistics:
            for layer in self.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.eval()
        return self

    def _frozen(self) -> list[nn.Module]:
        return [layer for stage in self.stages()[: self.config.freeze_stages] for layer in stage]
