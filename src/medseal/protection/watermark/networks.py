"""The two networks of the mark, in PyTorch for training: embedding and extraction."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.errors import ConfigurationError

__all__ = ["COPY_MAPS", "HOST_MAPS", "EmbeddingNetwork", "ExtractionNetwork", "NetworkConfig"]

# Maps that `frame.copy_maps` and `frame.host_maps` give; the last is a factor, not an input.
COPY_MAPS, HOST_MAPS = 4, 6
# Softplus of it is 1: an untrained gain changes nothing.
_UNIT_GAIN = 0.5413
_MOST_CHANNELS, _MOST_BLOCKS = 512, 32


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Size of the two networks.

    Attributes
    ----------
    embedding_channels, extraction_channels
        Of every hidden map.
    embedding_blocks, extraction_blocks
        Residual blocks of two convolutions.
    """

    embedding_channels: int = 32
    embedding_blocks: int = 2
    extraction_channels: int = 48
    extraction_blocks: int = 3

    def __post_init__(self) -> None:
        """Refuse what is no network.

        Raises
        ------
        ConfigurationError
            A number is out of range.
        """
        channels = (self.embedding_channels, self.extraction_channels)
        blocks = (self.embedding_blocks, self.extraction_blocks)
        if not all(1 <= count <= _MOST_CHANNELS for count in channels):
            raise ConfigurationError(f"[network] channels are 1 to {_MOST_CHANNELS}")
        if not all(0 <= count <= _MOST_BLOCKS for count in blocks):
            raise ConfigurationError(f"[network] blocks are 0 to {_MOST_BLOCKS}")


class _Trunk(nn.Module):
    """Convolutions at half the resolution, shared by both networks: two maps of gain and offset."""

    def __init__(self, maps: int, channels: int, blocks: int, *, scale: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(4 * maps, channels, 3, padding=1)
        self.inner = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2 * blocks)
        )
        self.last = nn.Conv2d(channels, 8, 3, padding=1)
        with torch.no_grad():
            self.last.weight.mul_(scale)
            nn.init.zeros_(self.last.bias)  # type: ignore[arg-type]  # it has a bias

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        halves = functional.pixel_unshuffle(maps, 2)  # (B, 4 maps, H/2, W/2)
        hidden = functional.relu(self.first(halves.contiguous(memory_format=torch.channels_last)))
        for index in range(0, len(self.inner), 2):
            inside = functional.relu(self.inner[index](hidden))
            hidden = functional.relu(hidden + self.inner[index + 1](inside))
        both = functional.pixel_shuffle(self.last(hidden), 2)  # (B, 2, H, W)
        return functional.softplus(2 * both[:, :1].float() + _UNIT_GAIN), both[:, 1:].float()


class EmbeddingNetwork(nn.Module):
    """Pattern and cover image to a residual, up to one factor: louder where it is not seen."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.trunk = _Trunk(
            HOST_MAPS, config.embedding_channels, config.embedding_blocks, scale=0.1
        )

    def forward(self, host: Tensor, pattern: Tensor) -> Tensor:
        """Return the residual: (B, 6, H, W) and (B, 1, H, W) to (B, 1, H, W); even sides."""
        gain, offset = self.trunk(torch.cat([host[:, :-1], pattern], dim=1))
        residual: Tensor = host[:, -1:] * (pattern * gain + offset)
        return residual


class ExtractionNetwork(nn.Module):
    """A copy to an estimate of the pattern at each place, weighted by how far it is to be trusted.

    It knows no key: what it gives is correlated with the pattern of a key.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.trunk = _Trunk(
            COPY_MAPS - 1, config.extraction_channels, config.extraction_blocks, scale=0.3
        )
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, copy: Tensor) -> Tensor:
        """Return the estimate: (B, 4, H, W) to (B, 1, H, W); even sides."""
        gain, offset = self.trunk(copy[:, :-1])
        estimate: Tensor = (copy[:, -1:] * gain + offset) * self.scale
        return estimate
