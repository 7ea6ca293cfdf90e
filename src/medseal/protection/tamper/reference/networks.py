"""The networks: features of tiles for the fingerprint, and a mask from what differs.

One trunk serves both. A record keeps a few bits of the features of each tile; the comparison sees
the copy at four scales and, for each tile, how far its features lie from those of the record. A
network holds no key and proves nothing: what is equal is decided by the digest.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from medseal.protection.tamper.canonical import TILE
from medseal.protection.tamper.reference.config import NetworkConfig
from medseal.protection.tamper.reference.sizes import (
    BANDS,
    CELLS,
    DETAIL_CELLS,
    DETAIL_FLOOR,
    LOCAL_FLOOR,
    LOCAL_SIDE,
    SPREAD_FLOOR,
)

__all__ = ["TILE_MAPS", "ReferenceNetwork"]

# Deviation of a feature at first, in steps.
_FIRST_SIZE = 2.5

TILE_MAPS = 4
"""Maps of the comparison beside the residual: its energy, difference of means, clipped, outside."""


def _convolution(inside: int, outside: int, *, stride: int = 1, size: int = 3) -> nn.Conv2d:
    return nn.Conv2d(inside, outside, size, stride=stride, padding=size // 2)


def _mean(plane: Tensor, side: int) -> Tensor:
    """Return the mean round each place, of those within the plane; rows first, then columns."""
    for size in ((side, 1), (1, side)):
        pad = (size[0] // 2, size[1] // 2)
        plane = functional.avg_pool2d(plane, size, stride=1, padding=pad, count_include_pad=False)
    return plane


def _detail(plane: Tensor) -> Tensor:
    """Return how strong each band of detail is, in half logarithms: (B, 2, 2 h, 2 w)."""
    bands = [_mean(plane, fine) - _mean(plane, coarse) for fine, coarse in BANDS]
    squares = torch.cat(bands, 1).float().square()
    strength = functional.avg_pool2d(squares, TILE // DETAIL_CELLS)
    return torch.log(strength + DETAIL_FLOOR) / 2


def _relative(plane: Tensor) -> Tensor:
    """Return the plane less its local mean, in units of its local deviation."""
    apart = plane - _mean(plane, LOCAL_SIDE)
    spread = _mean(apart.square(), LOCAL_SIDE)
    relative: Tensor = apart / (torch.sqrt(spread + SPREAD_FLOOR) + LOCAL_FLOOR)
    return relative


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)
        # Starts as the identity, so that no normalisation is needed.
        nn.init.zeros_(self.second.weight)

    def forward(self, maps: Tensor) -> Tensor:
        inner = functional.relu(self.first(maps))
        return functional.relu(maps + self.second(inner))


class _Trunk(nn.Module):
    """Features at halves, quarters, eighths and sixteenths of a plane.

    It sees the plane, and the plane in units of its local deviation: an edge that registration
    leaves a little off differs by much there, a lesion in even tissue by little.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        half, quarter, eighth, tile = config.channels
        self.halves = _convolution(2, half, stride=2, size=5)
        self.quarters = _convolution(half, quarter, stride=2)
        self.eighths = _convolution(quarter, eighth, stride=2)
        self.eighths_inner = _Residual(eighth)
        self.tile = _convolution(eighth, tile, stride=2)
        self.tile_inner = _Residual(tile)

    def forward(self, plane: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        both = torch.cat([plane, _relative(plane)], 1)  # (B, 2, H, W)
        half = functional.relu(self.halves(both))  # (B, C1, H/2, W/2)
        quarter = functional.relu(self.quarters(half))  # (B, C2, H/4, W/4)
        eighth = self.eighths_inner(functional.relu(self.eighths(quarter)))  # (B, C3, H/8, W/8)
        tile = self.tile_inner(functional.relu(self.tile(eighth)))  # (B, C4, H/16, W/16)
        return half, quarter, eighth, tile


class _Up(nn.Module):
    """Twice the size, joined with the trunk's features of that size."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.narrow = _convolution(inside, outside, size=1)
        self.skip = _convolution(outside, outside, size=1)
        self.join = _convolution(outside, outside)

    def forward(self, maps: Tensor, skip: Tensor) -> Tensor:
        larger = functional.interpolate(self.narrow(maps), scale_factor=2.0, mode="nearest")
        return functional.relu(self.join(functional.relu(larger + self.skip(skip))))


class ReferenceNetwork(nn.Module):
    """Trunk, features and comparison.

    Planes are (B, 1, 16 h, 16 w), levels less 128 in units of 64.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        half, quarter, eighth, tile = config.channels
        self.trunk = _Trunk(config)
        known = tile + CELLS**2 + len(BANDS) * DETAIL_CELLS**2
        self.features = _convolution(known, config.features, size=1)
        # Held to a size at which steps of one are fine enough to tell and coarse enough to last.
        self.scaled = nn.BatchNorm2d(config.features, momentum=0.02)
        nn.init.constant_(self.scaled.weight, _FIRST_SIZE)
        given = tile + 2 * config.features + TILE_MAPS
        self.compare = _convolution(given, config.inner, size=1)
        self.overall = nn.Linear(2 * config.inner, config.inner)
        self.inner = nn.ModuleList(_Residual(config.inner) for _ in range(config.blocks))
        self.tile_logit = _convolution(config.inner, 1, size=1)
        self.up_eighths = _Up(config.inner, eighth)
        self.up_quarters = _Up(eighth, quarter)
        self.up_halves = _Up(quarter, half)
        self.mask_logit = _convolution(half, 1)

    def read(self, plane: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        """Return the trunk's maps of planes, and the features of their tiles: (B, F, h, w)."""
        maps = self.trunk(plane)
        cells = functional.avg_pool2d(plane, TILE // CELLS)  # (B, 1, 4 h, 4 w)
        coarse = functional.pixel_unshuffle(cells, CELLS)  # (B, 16, h, w)
        fine = functional.pixel_unshuffle(_detail(plane), DETAIL_CELLS)  # (B, 8, h, w)
        known = torch.cat([maps[-1], coarse, fine], 1)
        return maps, self.scaled(self.features(known))

    def judge(
        self, maps: tuple[Any, ...], residual: Tensor, tiles: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return logits of tiles (B, 1, h, w) and of places (B, 1, 8 h, 8 w).

        Parameters
        ----------
        maps
            From `read`.
        residual
            (B, F, h, w), how far the features of the copy lie from the record's.
        tiles
            (B, TILE_MAPS, h, w).
        """
        half, quarter, eighth, tile = maps
        hidden = self.compare(
            torch.cat([tile, residual, residual.square(), tiles], 1)
        )  # (B, N, h, w)
        flat = functional.relu(hidden).flatten(2)
        overall = self.overall(torch.cat([flat.mean(2), flat.square().mean(2)], 1))
        hidden = functional.relu(hidden + overall[:, :, None, None])
        for block in self.inner:
            hidden = block(hidden)
        larger = self.up_eighths(hidden, eighth)  # (B, C3, 2 h, 2 w)
        larger = self.up_quarters(larger, quarter)  # (B, C2, 4 h, 4 w)
        larger = self.up_halves(larger, half)  # (B, C1, 8 h, 8 w)
        return self.tile_logit(hidden), self.mask_logit(larger)
