"""Generator and projection discriminator for small images of a given class."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

__all__ = ["ConditionalNorm", "Discriminator", "Generator", "build_networks"]

_START = 4  # rows and columns of the first map
_SLOPE = 0.2


class ConditionalNorm(nn.Module):
    """Batch normalisation with a scale and an offset for each class.

    Parameters
    ----------
    channels
        Of the maps.
    classes
        Number of classes.

    References
    ----------
    Dumoulin et al. 2017, arXiv 1610.07629.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale = nn.Embedding(classes, channels)
        self.offset = nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, maps: Tensor, labels: Tensor) -> Tensor:
        """Return the maps, (B, channels, H, W), normalised and scaled by class."""
        scale, offset = self.scale(labels)[:, :, None, None], self.offset(labels)[:, :, None, None]
        result: Tensor = self.norm(maps) * scale + offset
        return result


class Generator(nn.Module):
    """Noise and a class to an image, each layer twice the size of the one before.

    Parameters
    ----------
    side
        Rows and columns of the image, a power of two from 8.
    channels
        1 or 3.
    classes
        Number of classes.
    latent, width
        As in `GanConfig`.

    References
    ----------
    Radford et al. 2016, arXiv 1511.06434 (DCGAN).
    """

    def __init__(self, *, side: int, channels: int, classes: int, latent: int, width: int) -> None:
        super().__init__()
        doublings = (side // _START).bit_length() - 1
        filters = [width * 2**depth for depth in range(doublings - 1, -1, -1)]
        self.latent = latent
        self.start = nn.Linear(latent, filters[0] * _START * _START)
        self.first = ConditionalNorm(filters[0], classes)
        pairs = list(pairwise(filters))
        self.layers = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
            for inputs, outputs in pairs
        )
        self.norms = nn.ModuleList(ConditionalNorm(outputs, classes) for _, outputs in pairs)
        self.last = nn.ConvTranspose2d(filters[-1], channels, 4, stride=2, padding=1)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Return images.

        Parameters
        ----------
        noise
            (B, latent), standard normal.
        labels
            int64, (B,).

        Returns
        -------
        Tensor
            (B, channels, side, side), values in [-1, 1].
        """
        maps = self.start(noise).reshape(len(noise), -1, _START, _START)  # (B, filters, 4, 4)
        maps = torch.relu(self.first(maps, labels))
        for layer, norm in zip(self.layers, self.norms, strict=True):
            maps = torch.relu(norm(layer(maps), labels))  # (B, filters / 2, 2 H, 2 W)
        return torch.tanh(self.last(maps))  # (B, channels, side, side)


class Discriminator(nn.Module):
    """How real an image looks, in general and for its class; spectrally normalised.

    Parameters
    ----------
    side, channels, classes, width
        As of the generator.

    References
    ----------
    Miyato et al. 2018, arXiv 1802.05957; Miyato and Koyama 2018, arXiv 1802.05637.
    """

    def __init__(self, *, side: int, channels: int, classes: int, width: int) -> None:
        super().__init__()
        halvings = (side // _START).bit_length() - 1
        filters = [channels, *(width * 2**depth for depth in range(halvings))]
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1))
            for inputs, outputs in pairwise(filters)
        )
        self.real = spectral_norm(nn.Linear(filters[-1], 1))
        self.of_class = spectral_norm(nn.Embedding(classes, filters[-1]))

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the scores.

        Parameters
        ----------
        images
            (B, channels, side, side), values in [-1, 1].
        labels
            int64, (B,).

        Returns
        -------
        Tensor
            (B,); higher is more real.
        """
        maps = images
        for layer in self.layers:
            maps = nn.functional.leaky_relu(layer(maps), _SLOPE)  # (B, filters, H/2, W/2)
        features = maps.sum(dim=(2, 3))  # (B, filters)
        scores: Tensor = self.real(features)[:, 0] + (self.of_class(labels) * features).sum(dim=1)
        return scores


def build_networks(
    *, side: int, channels: int, classes: int, latent: int, width: int, seed: int
) -> tuple[Generator, Discriminator]:
    """Return both networks with their first weights, without touching torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        generator = Generator(
            side=side, channels=channels, classes=classes, latent=latent, width=width
        )
        discriminator = Discriminator(side=side, channels=channels, classes=classes, width=width)
    return generator, discriminator
