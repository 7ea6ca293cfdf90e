"""How bright things are: gamma, brightness, contrast, a random monotone curve, inversion."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseal.classification.augment.draws import (
    change_chosen,
    draw_chosen,
    draw_factors,
    per_image,
)

__all__ = ["brightness", "contrast", "curve", "gamma", "invert", "look_up"]

_CURVE_KNOTS = 6
_CURVE_STEPS = 256
# A table this fine shows no steps in 8-bit values, and is 20 times as fast as interpolation.
_TABLE_STEPS = 4096


def gamma(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images to the power of exp(-strength) to exp(strength).

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1]; here and in the whole file.
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
    exponents = per_image(draw_factors(len(chosen), strength, generator))
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)].pow(exponents))


def brightness(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with -strength to strength added; arguments as `gamma`."""
    chosen = draw_chosen(len(images), probability, generator)
    added = generator.uniform(-strength, strength, len(chosen)).astype(np.float32)
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)] + per_image(added))


def contrast(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with the distance to their mean times a factor; arguments as `gamma`."""
    chosen = draw_chosen(len(images), probability, generator)
    factors = per_image(draw_factors(len(chosen), strength, generator))
    before = images[torch.from_numpy(chosen)]
    mean = before.mean(dim=(1, 2, 3), keepdim=True)
    return change_chosen(images, chosen, mean + (before - mean) * factors)


def curve(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images through a random monotone curve with 0 and 1 fixed.

    Parameters
    ----------
    images, probability, generator
        As in `gamma`.
    strength
        In [0, 1]: 0 is the identity, with 1 the six steps of the curve are any that add up to 1.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1].

    References
    ----------
    The non-linear remapping of Zhou et al. 2021, Models Genesis, doi:10.1016/j.media.2020.101840.
    """
    chosen = draw_chosen(len(images), probability, generator)
    steps = generator.dirichlet(np.ones(_CURVE_KNOTS), len(chosen)) * strength
    steps += (1 - strength) / _CURVE_KNOTS
    heights = np.concatenate([np.zeros((len(chosen), 1)), steps.cumsum(axis=1)], axis=1)
    levels = np.linspace(0, 1, _CURVE_STEPS)
    knots = np.linspace(0, 1, _CURVE_KNOTS + 1)
    result = images.clone()
    for index, height in zip(chosen, heights, strict=True):
        # A mean over half a step rounds the corners and keeps the curve monotone.
        width = _CURVE_STEPS // (2 * _CURVE_KNOTS) | 1
        padded = np.pad(np.interp(levels, knots, height), width // 2, mode="edge")
        table = np.convolve(padded, np.full(width, 1 / width), mode="valid")
        result[index] = torch.from_numpy(look_up(images[index].numpy(), table)).clamp(0, 1)
    return result


def look_up(values: NDArray[np.float32], table: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return what `table` makes of values in [0, 1].

    Parameters
    ----------
    values
        float32, any shape.
    table
        Results for evenly spaced values from 0 to 1, linear between them.
    """
    steps = np.linspace(0, 1, _TABLE_STEPS)
    fine = np.interp(steps, np.linspace(0, 1, len(table)), table).astype(np.float32)
    return fine[np.rint(values * (_TABLE_STEPS - 1)).astype(np.intp)]


def invert(images: Tensor, *, probability: float, generator: np.random.Generator) -> Tensor:
    """Return the images, each as its negative with `probability`; arguments as `gamma`."""
    chosen = draw_chosen(len(images), probability, generator)
    return change_chosen(images, chosen, 1 - images[torch.from_numpy(chosen)])
