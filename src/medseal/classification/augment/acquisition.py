"""What a device does to an image: shading, blur, sampling, noise and compression."""

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseal.classification.augment.draws import (
    Picture,
    change_chosen,
    draw_chosen,
    each_image,
    per_image,
)

__all__ = ["bias_field", "blur", "jpeg", "noise", "resolution", "sharpen", "vignette"]

# Control values of the shading along each side: slower than anatomy.
_BIAS_POINTS = 4
_BEST_QUALITY = 95
_LEAST_SIDE = 4
_COLOUR_DIMENSIONS = 3
_SHRINKING = (cv2.INTER_AREA, cv2.INTER_NEAREST, cv2.INTER_LINEAR)
_ENLARGING = (cv2.INTER_LINEAR, cv2.INTER_NEAREST, cv2.INTER_CUBIC)


def bias_field(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images times a smooth field, as of a receiver coil or an uneven lamp.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1]; here and in the whole file.
    probability
        Of each image to be changed.
    strength
        Standard deviation of the logarithm of the field at its control points.
    generator
        Source of the draws.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1].
    """
    chosen = draw_chosen(len(images), probability, generator)
    if len(chosen) == 0:
        return images
    shape = (len(chosen), 1, _BIAS_POINTS, _BIAS_POINTS)
    points = torch.from_numpy(generator.normal(0, strength, shape).astype(np.float32))
    field = functional.interpolate(
        points, list(images.shape[2:]), mode="bicubic", align_corners=True
    )
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)] * field.exp())


def vignette(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images darker towards the edge, by up to `strength` at the corners.

    Arguments as `bias_field`; the centre is drawn in the middle half of the image.
    """
    chosen = draw_chosen(len(images), probability, generator)
    count, (rows, columns) = len(chosen), images.shape[2:]
    y = torch.linspace(-1, 1, rows).reshape(1, 1, rows, 1)
    x = torch.linspace(-1, 1, columns).reshape(1, 1, 1, columns)
    centre = generator.uniform(-0.5, 0.5, (2, count)).astype(np.float32)
    depth = per_image(generator.uniform(0, strength, count).astype(np.float32))
    distance = (y - per_image(centre[0])) ** 2 + (x - per_image(centre[1])) ** 2
    falloff = 1 - depth * distance / 2
    return change_chosen(images, chosen, images[torch.from_numpy(chosen)] * falloff.clamp_min(0))


def blur(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images after a Gaussian blur; arguments as `bias_field`.

    The standard deviation is drawn up to `strength` times the larger side.
    """
    limit = strength * max(images.shape[2:])

    def change(picture: Picture) -> Picture:
        sigma = generator.uniform(0, limit) + 1e-3
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), dtype=np.float32)

    return each_image(images, probability=probability, generator=generator, change=change)


def sharpen(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with up to `strength` times their fine detail added (unsharp mask).

    Arguments as `bias_field`. Detail is the difference to a Gaussian of 1/150 of the larger side.
    """
    sigma = max(images.shape[2:]) / 150

    def change(picture: Picture) -> Picture:
        detail = picture - cv2.GaussianBlur(picture, (0, 0), sigma)
        return np.asarray(picture + np.float32(generator.uniform(0, strength)) * detail)

    return each_image(images, probability=probability, generator=generator, change=change)


def resolution(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images sampled down and up again, by interpolations drawn anew.

    Arguments as `bias_field`; the side shrinks to between `strength` and all of its pixels.
    """
    rows, columns = images.shape[2:]

    def change(picture: Picture) -> Picture:
        scale = generator.uniform(strength, 1)
        size = (max(round(columns * scale), _LEAST_SIDE), max(round(rows * scale), _LEAST_SIDE))
        down, up = _SHRINKING[generator.integers(3)], _ENLARGING[generator.integers(3)]
        small = cv2.resize(picture, size, interpolation=down)
        return np.asarray(cv2.resize(small, (columns, rows), interpolation=up), dtype=np.float32)

    return each_image(images, probability=probability, generator=generator, change=change)


def noise(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with Gaussian noise of a standard deviation of up to `strength`.

    Arguments as `bias_field`.
    """

    def change(picture: Picture) -> Picture:
        drawn = generator.standard_normal(picture.shape, dtype=np.float32)
        return picture + np.float32(generator.uniform(0, strength)) * drawn

    return each_image(images, probability=probability, generator=generator, change=change)


def jpeg(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images after JPEG compression; arguments as `bias_field`.

    The quality is drawn from 95 down to 95 * (1 - `strength`); images of other than 1 or 3
    channels cannot be compressed.
    """
    worst = max(round(_BEST_QUALITY * (1 - strength)), 1)

    def change(picture: Picture) -> Picture:
        quality = int(generator.integers(worst, _BEST_QUALITY + 1))
        levels = np.round(picture * 255).astype(np.uint8)
        if levels.ndim == _COLOUR_DIMENSIONS:
            levels = cv2.cvtColor(levels, cv2.COLOR_RGB2BGR)
        _, data = cv2.imencode(".jpg", levels, [cv2.IMWRITE_JPEG_QUALITY, quality])
        decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_UNCHANGED))
        if decoded.ndim == _COLOUR_DIMENSIONS:
            decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
        return np.asarray(decoded, dtype=np.float32) / np.float32(255)

    return each_image(images, probability=probability, generator=generator, change=change)
