"""Rotation, flip and zoom of a whole batch at once, drawn from a generator."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseal.errors import ConfigurationError

__all__ = ["AugmentConfig", "augment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How far training images are changed.

    Attributes
    ----------
    share
        Part of the images that is rotated and zoomed, in [0, 1]. Both interpolate and so blur
        slightly: a network that never sees a sharp image errs on them.
    rotation_degrees
        Largest angle to either side.
    zoom
        Largest relative change of size; 0.1 draws from 0.9 to 1.1.
    flip
        Whether every second image, drawn at random, is mirrored left to right.

    Raises
    ------
    ConfigurationError
        A share outside [0, 1], an angle outside [0, 180] or a zoom outside [0, 0.9].
    """

    share: float = 0.5
    rotation_degrees: float = 15.0
    zoom: float = 0.1
    flip: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ConfigurationError("share must lie in [0, 1]")
        if not 0 <= self.rotation_degrees <= 180:  # noqa: PLR2004  # half a turn
            raise ConfigurationError("rotation_degrees must lie in [0, 180]")
        if not 0 <= self.zoom <= 0.9:  # noqa: PLR2004  # a factor of 0 has no inverse
            raise ConfigurationError("zoom must lie in [0, 0.9]")


def augment(images: Tensor, *, config: AugmentConfig, generator: np.random.Generator) -> Tensor:
    """Return the images mirrored, rotated about the centre and zoomed, one draw an image.

    Parameters
    ----------
    images
        float, (B, channels, H, W), values in [0, 1].
    config
        How far.
    generator
        Source of the draws; the same state gives the same result.

    Returns
    -------
    Tensor
        Same shape and dtype, values in [0, 1]; black where there was no image. Bilinear.
    """
    count, _, rows, columns = images.shape
    limit = math.radians(config.rotation_degrees)
    angle = generator.uniform(-limit, limit, count)
    scale = generator.uniform(1 - config.zoom, 1 + config.zoom, count)
    moved = torch.from_numpy(generator.random(count) < config.share)
    mirrored = torch.from_numpy(config.flip & (generator.random(count) < 0.5))  # noqa: PLR2004  # a fair coin
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    # affine_grid maps output to input coordinates, each axis from -1 to 1: hence the inverse
    # scale, and the aspect ratio for a rotation in pixels.
    cosine, sine = np.cos(angle) / scale, np.sin(angle) / scale
    zero = np.zeros(count)
    first = np.stack([cosine, -sine * rows / columns, zero], axis=1)
    second = np.stack([sine * columns / rows, cosine, zero], axis=1)
    matrix = torch.from_numpy(np.stack([first, second], axis=1)).to(images.dtype)  # (B, 2, 3)
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)  # (B, H, W, 2)
    turned = functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    return torch.where(moved[:, None, None, None], turned, images)
