"""The networks on a batch of pairs, with what a random key would read of their features."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from medseal.protection.tamper.reference.codes import BACK_GAIN, MIXTURES, MODULUS
from medseal.protection.tamper.reference.config import ReferenceConfig
from medseal.protection.tamper.reference.maps import tile_maps
from medseal.protection.tamper.reference.networks import ReferenceNetwork
from medseal.protection.tamper.reference.samples import Sample
from medseal.protection.tamper.reference.sizes import MIDDLE_LEVEL, UNIT_LEVELS

__all__ = ["Batch", "Pair", "batch_of", "random_reading"]

# As in `codes.saturated`.
_HALF_WAY = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Batch:
    """Samples as tensors, (B, 1, ...) each; see `samples.Sample`."""

    record: Tensor
    copy: Tensor
    mask: Tensor
    maps: Tensor
    counts: Tensor
    families: tuple[str, ...]


class Pair(nn.Module):
    """The network, and what reads a forgery from the energy of the residual alone."""

    def __init__(self, config: ReferenceConfig) -> None:
        super().__init__()
        self.network = ReferenceNetwork(config.network)
        self.energy_scale = nn.Parameter(torch.tensor(8.0))
        self.energy_offset = nn.Parameter(torch.tensor(-5.0))

    def forward(self, batch: Batch, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return logits of tiles, of places, and of tiles by the energy alone."""
        count = len(batch.record)
        maps, features = self.network.read(torch.cat([batch.record, batch.copy]))
        record, here = features[:count].float(), features[count:].float()
        residual, energy = random_reading(here, record, generator)
        maps = tuple(one[count:] for one in maps)
        tiles = torch.cat([energy, batch.maps], 1)
        tile_logits, mask_logits = self.network.judge(maps, residual, tiles)
        by_energy = self.energy_scale * energy + self.energy_offset
        return tile_logits.float(), mask_logits.float(), by_energy


def random_reading(
    here: Tensor, record: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return residual and energy as a random key would read them; see `codes.Readout`.

    A value that was quantised after a random offset differs from what it was by noise that is
    uniform over one step, whatever it was (subtractive dither), so that no rounding stands in the
    way of a gradient.
    """
    batch, count, rows, columns = here.shape
    shape = (batch, rows * columns, MIXTURES, count)
    drawn = torch.randint(0, 2, shape, generator=generator, dtype=torch.int8)
    signs = (2.0 * drawn - 1) * count**-0.5
    noise = torch.rand(batch, rows * columns, MIXTURES, generator=generator) - 0.5
    half = MODULUS / 2
    difference = (here - record).flatten(2).transpose(1, 2)  # (B, T, F)
    # Sums of products: matrices this small are multiplied slowly.
    read = (signs * difference[:, :, None]).sum(3)  # (B, T, M)
    apart = (read + noise + half) % MODULUS - half
    back = (signs * apart[..., None]).sum(2).transpose(1, 2)  # (B, F, T)
    square = apart.square()
    energy = (square / (square + _HALF_WAY)).mean(2).reshape(batch, 1, rows, columns)
    return BACK_GAIN * back.reshape(here.shape), energy


def _normalised(plane: Tensor) -> Tensor:
    """Return levels as the network takes them."""
    return (plane - MIDDLE_LEVEL) / UNIT_LEVELS


def batch_of(samples: Sequence[Sample]) -> Batch:
    """Return samples as tensors, levels as the network takes them."""

    def stacked(name: str) -> Tensor:
        return torch.from_numpy(np.stack([getattr(one, name) for one in samples]))[:, None]

    maps = [tile_maps(one.copy, one.bounds, one.clipped, one.outside) for one in samples]
    return Batch(
        record=_normalised(stacked("record")).contiguous(memory_format=torch.channels_last),
        copy=_normalised(stacked("copy")).contiguous(memory_format=torch.channels_last),
        mask=stacked("mask"),
        maps=torch.from_numpy(np.stack(maps)),
        counts=torch.tensor([float(one.counts) for one in samples]),
        families=tuple(one.family for one in samples),
    )
