"""EfficientNet-Lite0 that sees nothing but how the left half of a chest differs from the right."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.classification.networks.efficientnet_lite import EfficientNetLite0
from medseal.classification.networks.network import COLOUR_CHANNELS, NetworkConfig
from medseal.errors import ConfigurationError

__all__ = ["SideComparison"]

# Upper, middle and lower part of the lungs.
_BANDS = 3
# Stages from this one on are compared; the two before it see edges of a few pixels.
_FIRST = 2
_LEAST_SPREAD = 1e-2


class _Absolute(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.abs()


class SideComparison(EfficientNetLite0):
    """Stages of EfficientNet-Lite0, then the difference of their maps between both sides.

    Exposure, contrast, sharpness and view of a radiograph act on both lungs alike and differ
    between sites, often with the label; an infiltrate is rarely the same on both sides. So each
    map is divided by its spread, and of it only the difference between the means of a band of the
    left half and of its mirror image goes on. Its mean over the training images, for the heart
    lies left, is taken off; how far it is from there, in either direction, enters the dense layer.

    Wants images cut to the lungs, training without mirroring, stages that are all frozen and few
    steps: more of them find again what tells the sites apart.

    Parameters
    ----------
    config
        Size of input and output; `truncate` from 3 to 8, `peaks` is not offered.

    References
    ----------
    Tan and Le 2019, arXiv 1905.11946, for the stages.
    """

    def __init__(self, config: NetworkConfig) -> None:
        if config.truncate <= _FIRST or config.peaks:
            raise ConfigurationError("side-comparison wants truncate from 3 to 8 and no peaks")
        super().__init__(config)
        self._compared = self._ends[_FIRST - 1 :]
        with torch.inference_mode():
            filters = self.features(torch.zeros(1, 1, config.rows, config.columns)).shape[1]
        count = _BANDS * filters
        # Without momentum the statistics are means over all steps: right after a few of them.
        self.output = nn.Sequential(  # type: ignore[assignment]  # the stages' own head is linear
            nn.BatchNorm1d(count, affine=False, momentum=None),
            _Absolute(),
            nn.BatchNorm1d(count, affine=False, momentum=None),
            self.dropout,
            nn.Linear(count, config.classes),
        )
        for parameter in self.output.parameters():
            nn.init.zeros_(parameter)  # the first steps then go along the difference of the classes

    def features(self, images: Tensor) -> Tensor:
        """Return the maps of all compared stages in units of their spread, at the last one's size.

        Parameters
        ----------
        images
            (B, channels, H, W), values in [0, 1].

        Returns
        -------
        Tensor
            (B, filters, h, w); signed. With `truncate` 6: 256 filters, H/16 and W/16.
        """
        x = (images * 255 - 127) / 128
        x = x.expand(-1, COLOUR_CHANNELS, -1, -1)  # (B, 3, H, W)
        x = functional.relu6(self.stem_norm(self.stem(x)))  # (B, 32, H/2, W/2)
        found: list[Tensor] = []
        for number, block in enumerate(self.blocks, start=1):
            x = block(x)
            if number in self._compared:
                maps = x.float()
                found.append(maps / (maps.std(dim=(2, 3), keepdim=True) + _LEAST_SPREAD))
        size = (found[-1].shape[2], found[-1].shape[3])
        return torch.cat([functional.adaptive_avg_pool2d(maps, size) for maps in found], dim=1)

    def head(self, maps: Tensor) -> Tensor:
        """Return the logits for the maps of `features`."""
        logits: Tensor = self.output(_differences(maps))  # (B, classes)
        return logits

    def local_logits(self, maps: Tensor) -> Tensor:
        """Refuse: a place alone has no other side; raises ConfigurationError."""
        raise ConfigurationError(f"no logits for the places of {len(maps)} maps: another method")


def _differences(maps: Tensor) -> Tensor:
    """Return the difference between the sides in each band, (B, bands * filters)."""
    half = maps.shape[3] // 2
    difference = (maps - maps.flip(3))[:, :, :, :half]  # (B, filters, h, w/2)
    bands = torch.tensor_split(difference, _BANDS, dim=2)
    return torch.cat([band.mean(dim=(2, 3)) for band in bands], dim=1)
