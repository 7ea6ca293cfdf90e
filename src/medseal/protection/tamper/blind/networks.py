"""The blind network: levels of one tile to a map of forgery, its reliability and one score."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medseal.errors import ConfigurationError, WeightsError

__all__ = [
    "STRIDE",
    "TOP_PLACES",
    "BlindNetwork",
    "Found",
    "NetworkConfig",
    "restore",
    "stored_tensors",
]

# The score sees the means of so many of the highest places of the map.
TOP_PLACES = (1, 16, 128, 512)
# Levels at which a high-pass residual counts as strong: traces of compression, and edges.
_SCALES = (2.0, 12.0)
# Sides of a tile are multiples of this: the stem and three halvings.
STRIDE = 16
_STAGES = 4
_MOST_CHANNELS, _MOST_BLOCKS = 512, 8
_MIDDLE = 128.0
_SCORE_HIDDEN = 64
_KERNELS = ("weights.weight", "forged.weight", "trusted.weight", "hidden.weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Size of the network.

    Attributes
    ----------
    channels
        Of the maps at a half, a quarter, an eighth and a sixteenth of the resolution.
    blocks
        Residual blocks of two convolutions at each of them.
    """

    channels: tuple[int, ...] = (32, 64, 96, 128)
    blocks: tuple[int, ...] = (1, 1, 2, 2)

    def __post_init__(self) -> None:
        """Refuse what is no network.

        Raises
        ------
        ConfigurationError
            There are not four of each, or a number is out of range.
        """
        if not len(self.channels) == len(self.blocks) == _STAGES:
            raise ConfigurationError(f"[network] channels and blocks have {_STAGES} numbers each")
        if not all(1 <= count <= _MOST_CHANNELS for count in self.channels):
            raise ConfigurationError(f"[network] channels are 1 to {_MOST_CHANNELS}")
        if not all(0 <= count <= _MOST_BLOCKS for count in self.blocks):
            raise ConfigurationError(f"[network] blocks are 0 to {_MOST_BLOCKS}")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What the network gives for a batch of tiles.

    Attributes
    ----------
    forged, trusted
        (B, 1, H, W) log-odds: that the place was changed; that what the map says there is right.
    score
        (B) log-odds that the tile holds a change.
    features
        (B, C) means of the deepest maps: what kind of image it is.
    """

    forged: Tensor
    trusted: Tensor
    score: Tensor
    features: Tensor


def _high_pass() -> Tensor:
    """Return six fixed high-pass filters, (6, 1, 5, 5).

    References
    ----------
    Fridrich and Kodovsky 2012, doi:10.1109/TIFS.2012.2190402.
    """
    kernels = torch.zeros(6, 5, 5)
    kernels[0, 2, 1:4] = kernels[1, 1:4, 2] = torch.tensor([-0.5, 1, -0.5])
    kernels[2, 2, 2:4] = kernels[3, 2:4, 2] = torch.tensor([1.0, -1.0])
    kernels[4, 1:4, 1:4] = torch.tensor([[-1, 2, -1], [2, -4, 2], [-1, 2, -1]]) / 4
    outer, inner, middle = [-1, 2, -2, 2, -1], [2, -6, 8, -6, 2], [-2, 8, -12, 8, -2]
    kernels[5] = torch.tensor([outer, inner, middle, inner, outer]) / 12
    return kernels[:, None]


class _Convolution(nn.Module):
    """Convolution and batch normalisation, then ReLU where asked for."""

    def __init__(
        self, inputs: int, outputs: int, *, side: int = 3, stride: int = 1, bent: bool = True
    ) -> None:
        super().__init__()
        self.weights = nn.Conv2d(inputs, outputs, side, stride, side // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=0.03)
        self.bent = bent

    def forward(self, maps: Tensor) -> Tensor:
        result: Tensor = self.norm(self.weights(maps))
        return functional.relu(result) if self.bent else result


class _Block(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Convolution(channels, channels)
        self.second = _Convolution(channels, channels, bent=False)

    def forward(self, maps: Tensor) -> Tensor:
        return functional.relu(maps + self.second(self.first(maps)))


class BlindNetwork(nn.Module):
    """A U-Net behind fixed high-pass filters; a score from the top of its map and its depth."""

    high_pass: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = config.channels
        self.register_buffer("high_pass", _high_pass())
        maps = 1 + len(_SCALES) * len(self.high_pass)
        self.stem = _Convolution(4 * maps, channels[0])
        pairs = list(pairwise(channels))
        self.down = nn.ModuleList(_Convolution(few, many, stride=2) for few, many in pairs)
        self.blocks = nn.ModuleList(
            nn.Sequential(*(_Block(count) for _ in range(repeats)))
            for count, repeats in zip(channels, config.blocks, strict=True)
        )
        self.up = nn.ModuleList(_Convolution(many, few, side=1) for few, many in pairs)
        self.joined = nn.ModuleList(_Convolution(few, few) for few, _ in pairs)
        self.forged = nn.Conv2d(channels[0], 4, 3, padding=1)
        self.trusted = nn.Conv2d(channels[0], 4, 3, padding=1)
        self.hidden = nn.Linear(len(TOP_PLACES) + 2 * channels[-1], _SCORE_HIDDEN)
        self.score = nn.Linear(_SCORE_HIDDEN, 1)
        # Few places are forged: begin there, not at one half.
        nn.init.constant_(self.forged.bias, -3.0)  # type: ignore[arg-type]  # it has a bias

    def _seen(self, levels: Tensor) -> Tensor:
        """Return levels and bounded residuals at half the resolution: (B, 52, H/2, W/2)."""
        with torch.no_grad(), torch.autocast(levels.device.type, enabled=False):
            framed = functional.pad(levels, (2, 2, 2, 2), mode="replicate")
            residuals = functional.conv2d(framed, self.high_pass)
            bounded = [torch.tanh(residuals / scale) for scale in _SCALES]
            maps = torch.cat([levels / _MIDDLE - 1, *bounded], dim=1)  # (B, 13, H, W)
            halves = functional.pixel_unshuffle(maps, 2)  # (B, 52, H/2, W/2)
            return halves.contiguous(memory_format=torch.channels_last)

    def forward(self, levels: Tensor) -> Found:
        """Return what is found in tiles of levels: (B, 1, H, W), sides multiples of `STRIDE`."""
        maps = self.blocks[0](self.stem(self._seen(levels)))  # (B, C0, H/2, W/2)
        kept = [maps]
        for down, blocks in zip(self.down, list(self.blocks)[1:], strict=True):
            maps = blocks(down(maps))  # (B, C, H/4 .. H/16, W/4 .. W/16)
            kept.append(maps)
        deep = maps.float()
        for place in reversed(range(len(self.up))):
            above = functional.interpolate(self.up[place](maps), scale_factor=2, mode="nearest")
            maps = self.joined[place](above + kept[place])  # back to (B, C0, H/2, W/2)
        forged = functional.pixel_shuffle(self.forged(maps), 2).float()  # (B, 1, H, W)
        # The reliability watches: it does not change what the map sees.
        trusted = functional.pixel_shuffle(self.trusted(maps.detach()), 2).float()
        highest = forged.flatten(1).topk(TOP_PLACES[-1], dim=1).values  # (B, 512)
        tops = torch.stack([highest[:, :count].mean(1) for count in TOP_PLACES], dim=1)
        mean, most = deep.mean((2, 3)), deep.amax((2, 3))
        with torch.autocast(levels.device.type, enabled=False):
            hidden = functional.relu(self.hidden(torch.cat([tops, mean, most], dim=1)))
            score = self.score(hidden)[:, 0]
        return Found(forged=forged, trusted=trusted, score=score, features=mean)


def stored_tensors(network: BlindNetwork) -> dict[str, NDArray[np.floating]]:
    """Return the state of the network as it is stored: kernels in float16, the rest in float32."""
    return {
        name: tensor.detach()
        .float()
        .cpu()
        .numpy()
        .astype(np.float16 if name.endswith(_KERNELS) else np.float32)
        for name, tensor in network.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }


def restore(network: BlindNetwork, tensors: Mapping[str, NDArray[np.generic]]) -> None:
    """Bring a network to what `stored_tensors` gave.

    Raises
    ------
    WeightsError
        The tensors are not of a network of this size.
    """
    own = network.state_dict()
    given = {name: torch.from_numpy(np.array(one, np.float32)) for name, one in tensors.items()}
    counts = {name: one for name, one in own.items() if name.endswith("num_batches_tracked")}
    try:
        network.load_state_dict(counts | {name: one for name, one in given.items() if name in own})
    except RuntimeError as error:
        raise WeightsError("these are not the tensors of a blind network of this size") from error
