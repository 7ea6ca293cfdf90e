"""Encoder and decoder of the paper-style cipher: from an image to noise and back.

A baseline for measuring; no security claim rests on a learned method.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

__all__ = ["LearnedConfig", "Pair", "build"]

_FOLD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnedConfig:
    """Size and training of a pair; the paper gives neither epochs nor rates nor sizes.

    Attributes
    ----------
    channels, layers
        Of the hidden convolutions of each network.
    steps, batch_size, learning_rate
        Of Adam with a cosine schedule.
    noise_weight
        How much a noise-like cipher image counts beside the mean squared error.
    seed
        Of weights and batches: it is the key's only source.
    """

    channels: int = 32
    layers: int = 3
    steps: int = 8000
    batch_size: int = 8
    learning_rate: float = 1e-3
    noise_weight: float = 0.001
    seed: int = 1


def _network(config: LearnedConfig) -> nn.Sequential:
    """Return an autoencoder of one resolution: values in [0, 1] to values in [0, 1]."""
    parts: list[nn.Module] = [nn.PixelUnshuffle(_FOLD)]  # (B, 4, H/2, W/2)
    inputs = _FOLD * _FOLD
    for _ in range(config.layers):
        parts += [nn.Conv2d(inputs, config.channels, 3, padding=1), nn.LeakyReLU(0.1)]
        inputs = config.channels
    parts += [nn.Conv2d(inputs, _FOLD * _FOLD, 3, padding=1), nn.PixelShuffle(_FOLD)]
    return nn.Sequential(*parts, nn.Sigmoid())  # (B, 1, H, W)


class Pair(nn.Module):
    """Both networks; together they are the key."""

    def __init__(self, config: LearnedConfig) -> None:
        super().__init__()
        self.encoder = _network(config)
        self.decoder = _network(config)

    def hidden(self, images: Tensor) -> Tensor:
        """Return cipher images in [0, 1], (B, 1, H, W), rounded to 256 levels as they travel."""
        cipher: Tensor = self.encoder(images)
        # Rounding has no gradient: the way back sees the values before it.
        return cipher + ((cipher * 255).round() / 255 - cipher).detach()

    def restored(self, cipher: Tensor) -> Tensor:
        """Return images in [0, 1], (B, 1, H, W)."""
        images: Tensor = self.decoder(cipher)
        return images


def build(config: LearnedConfig) -> Pair:
    """Return an untrained pair whose weights follow from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return Pair(config)
