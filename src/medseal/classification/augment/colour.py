"""What a camera does to colour: white balance, saturation, hue, a gamma for each channel."""

import math

import numpy as np
import torch
from torch import Tensor

from medseal.classification.augment.draws import (
    change_chosen,
    draw_chosen,
    draw_factors,
    per_image,
)

__all__ = ["channel_gamma", "hue", "saturation", "white_balance"]

_CHANNELS = 3
# ITU-R BT.601: luminance, and the NTSC axes on which hue is an angle.
_TO_YIQ = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float64
)
_TO_RGB = np.linalg.inv(_TO_YIQ)


def white_balance(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with a gain of exp(-strength) to exp(strength) for each channel.

    Parameters
    ----------
    images
        float32, (B, 3, H, W), RGB, values in [0, 1]; here and in the whole file.
    probability
        Of each image to be changed.
    strength
        How far.
    generator
        Source of the draws.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1].
    """
    chosen = draw_chosen(len(images), probability, generator)
    gains = per_image(draw_factors((len(chosen), _CHANNELS), strength, generator))
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)] * gains)


def channel_gamma(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return each channel to a power of its own; arguments as `white_balance`."""
    chosen = draw_chosen(len(images), probability, generator)
    exponents = per_image(draw_factors((len(chosen), _CHANNELS), strength, generator))
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)].pow(exponents))


def saturation(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with the distance to grey times a factor; arguments as `white_balance`."""
    chosen = draw_chosen(len(images), probability, generator)
    factors = per_image(draw_factors(len(chosen), strength, generator))
    before = images[torch.from_numpy(chosen)]
    weights = torch.tensor(_TO_YIQ[0], dtype=before.dtype).reshape(1, _CHANNELS, 1, 1)
    grey = (before * weights).sum(dim=1, keepdim=True)
    return change_chosen(images, chosen, grey + (before - grey) * factors)


def hue(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with their hues turned by up to `strength` of the circle either way.

    Arguments as `white_balance`. The luminance stays but for clipping.
    """
    chosen = draw_chosen(len(images), probability, generator)
    angle = 2 * math.pi * generator.uniform(-strength, strength, len(chosen))
    turn = np.zeros((len(chosen), _CHANNELS, _CHANNELS))
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = np.cos(angle)
    turn[:, 2, 1] = np.sin(angle)
    turn[:, 1, 2] = -turn[:, 2, 1]
    before = images[torch.from_numpy(chosen)]
    matrix = torch.tensor(_TO_RGB @ turn @ _TO_YIQ, dtype=before.dtype)  # (n, 3, 3)
    after = torch.einsum("nij,njhw->nihw", matrix, before)
    return change_chosen(images, chosen, after)
