"""What a pair is trained for: restoration, and a cipher image that looks like noise.

A baseline for measuring; no security claim rests on a learned method. That it looks like noise is
what such papers offer as security; it is none.
"""

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["noise_loss", "pair_loss"]

_LITTLE = 1e-4
# A constant cipher image, which correlates with nothing, must cost more than a copy of the image.
_HISTOGRAM_WEIGHT = 60.0


def _squared_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return the squared correlation within each image, averaged: 0 to 1."""
    one, two = (part.flatten(1) - part.flatten(1).mean(1, keepdim=True) for part in (first, second))
    product = (one * two).mean(1) ** 2
    return (product / ((one**2).mean(1) * (two**2).mean(1) + _LITTLE**2)).mean()


def noise_loss(images: Tensor, cipher: Tensor) -> Tensor:
    """Return how far cipher images are from uniform noise: neighbours, image, histogram.

    Parameters
    ----------
    images, cipher
        (B, 1, H, W) in [0, 1].
    """
    neighbours = sum(
        (
            _squared_correlation(cipher[..., down:, across:], cipher[..., :rows, :columns])
            for down, across, rows, columns in (
                (0, 1, cipher.shape[-2], -1),
                (1, 0, -1, cipher.shape[-1]),
                (0, 2, cipher.shape[-2], -2),
                (2, 0, -2, cipher.shape[-1]),
            )
        ),
        start=torch.zeros(()),
    )
    ordered = cipher.flatten(1).sort(dim=1).values
    even = torch.linspace(0, 1, ordered.shape[1])
    return (
        neighbours
        + _squared_correlation(images, cipher)
        + _HISTOGRAM_WEIGHT * ((ordered - even) ** 2).mean()
    )


def pair_loss(images: Tensor, cipher: Tensor, restored: Tensor, *, noise_weight: float) -> Tensor:
    """Return mean squared error of the restoration plus the weighted noise loss."""
    return functional.mse_loss(restored, images) + noise_weight * noise_loss(images, cipher)
