"""A head as another MR sequence might show it: grey values remapped inside its outline alone."""

import cv2
import numpy as np
from torch import Tensor

from medseal.classification.augment.draws import Picture, each_image
from medseal.classification.augment.lesion import head_mask

__all__ = ["sequence"]

_KNOTS = 6
_NOT_MONOTONE, _FALLING = 0.35, 0.4
_KEEPS_BLACK = 0.6
_LEAST_RANGE = 0.1


def sequence(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with the grey values of the head through a random curve.

    T1, T2 and FLAIR order fluid, grey and white matter differently, so the curve need not rise;
    the air round the head stays as it is.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1], air dark.
    probability
        Of each image to be changed.
    strength
        Largest weight of the random curve against a straight one, in [0, 1].
    generator
        Source of the draws.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1].
    """

    def change(picture: Picture) -> Picture:
        return _remapped(picture, strength, generator)

    return each_image(images, probability=probability, generator=generator, change=change)


def _remapped(picture: Picture, strength: float, generator: np.random.Generator) -> Picture:
    mask = head_mask(picture if picture.ndim == 2 else picture.mean(axis=2))  # noqa: PLR2004  # (H, W)
    inside = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    if picture.ndim > 2:  # noqa: PLR2004  # (H, W, channels)
        inside = inside[:, :, None]
    knots, heights = _curve(strength, generator)
    mapped = np.interp(picture, knots, heights).astype(np.float32)
    mixed = mapped * inside + picture * (1 - inside)
    values = mixed[mask > 0] if mask.any() else mixed
    low, high = np.percentile(values, [1, 99])
    if generator.random() < _KEEPS_BLACK:
        low = min(low, _LEAST_RANGE)
    return np.asarray((mixed - low * inside) / max(high - low, _LEAST_RANGE), np.float32)


def _curve(strength: float, generator: np.random.Generator) -> tuple[Picture, Picture]:
    knots = np.linspace(0, 1, _KNOTS, dtype=np.float32)
    heights = generator.uniform(0, 1, _KNOTS)
    if generator.random() < _NOT_MONOTONE:
        if generator.random() < _FALLING:
            heights = np.sort(heights)[::-1]
    else:
        heights = np.sort(heights)
    straight = knots if heights[-1] >= heights[0] else knots[::-1]
    weight = strength * generator.uniform(0.3, 1)
    return knots, ((1 - weight) * straight + weight * heights).astype(np.float32)
