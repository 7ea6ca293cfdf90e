"""Where things lie: mirrored, turned, zoomed, shifted, sheared, cropped, bent."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from medseal.classification.augment.draws import draw_chosen, draw_factors

__all__ = ["Fill", "Geometry", "flip_vertically", "rotate_zoom_flip", "warp"]

Fill = Literal["black", "edge", "mirror"]
_PADDING = {"black": "zeros", "edge": "border", "mirror": "reflection"}
# Widest and narrowest window of a random crop, as in Szegedy et al. 2015.
_MOST_ASPECT = 4 / 3
# Control points of the elastic field along each side: bends of a quarter of the image.
_ELASTIC_POINTS = 5
Matrices = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """How far `warp` goes; each pair is (probability, strength).

    Attributes
    ----------
    turn
        Probability of a rotation by any angle.
    translation
        Strength: largest shift, as a share of the side.
    shear
        Strength: largest shift of one edge against the opposite, as a share of the side.
    resized_crop
        Strength: smallest area of the window that is enlarged to the whole, as a share.
    elastic
        Strength: standard deviation of the shift of a control point, as a share of the side.
    fill
        What stands where there was no image.
    """

    turn: float = 0.0
    translation: tuple[float, float] = (0.0, 0.0)
    shear: tuple[float, float] = (0.0, 0.0)
    resized_crop: tuple[float, float] = (0.0, 1.0)
    elastic: tuple[float, float] = (0.0, 0.0)
    fill: Fill = "black"


def rotate_zoom_flip(
    images: Tensor,
    *,
    share: float,
    rotation_degrees: float,
    zoom: float,
    flip: bool,
    generator: np.random.Generator,
) -> Tensor:
    """Return the images mirrored, rotated about the centre and zoomed, one draw an image.

    Parameters
    ----------
    images
        float, (B, channels, H, W), values in [0, 1].
    share
        Of the images that is rotated and zoomed.
    rotation_degrees
        Largest angle to either side.
    zoom
        Largest relative change of size.
    flip
        Whether every second image, drawn at random, is mirrored left to right.
    generator
        Source of the draws.

    Returns
    -------
    Tensor
        Same shape and dtype, values in [0, 1]; black where there was no image. Bilinear.
    """
    count, _, rows, columns = images.shape
    limit = math.radians(rotation_degrees)
    angle = generator.uniform(-limit, limit, count)
    scale = generator.uniform(1 - zoom, 1 + zoom, count)
    moved = torch.from_numpy(generator.random(count) < share)
    mirrored = torch.from_numpy(flip & (generator.random(count) < 0.5))  # noqa: PLR2004  # a fair coin
    images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
    if not (rotation_degrees or zoom) or not bool(moved.any()):
        return images
    chosen = np.flatnonzero(moved.numpy())
    # affine_grid maps output to input coordinates, each axis from -1 to 1: hence the inverse
    # scale, and the aspect ratio for a rotation in pixels.
    cosine, sine = (np.cos(angle) / scale)[chosen], (np.sin(angle) / scale)[chosen]
    zero = np.zeros(len(chosen))
    first = np.stack([cosine, -sine * rows / columns, zero], axis=1)
    second = np.stack([sine * columns / rows, cosine, zero], axis=1)
    matrix = torch.from_numpy(np.stack([first, second], axis=1)).to(images.dtype)  # (n, 2, 3)
    result = images.clone()
    result[moved] = _sample(images[moved], matrix, None, "black")
    return result


def flip_vertically(
    images: Tensor, *, probability: float, generator: np.random.Generator
) -> Tensor:
    """Return the images, each upside down with `probability`."""
    chosen = torch.from_numpy(draw_chosen(len(images), probability, generator))
    result = images.clone()
    result[chosen] = images[chosen].flip(2)
    return result


def warp(images: Tensor, *, geometry: Geometry, generator: np.random.Generator) -> Tensor:
    """Return the images turned, shifted, sheared, cropped and bent in one interpolation.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1].
    geometry
        How often and how far.
    generator
        Source of the draws, one an image and step.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1]. Images that no step chose are untouched.
    """
    count, _, rows, columns = images.shape
    matrices: Matrices = np.tile(np.eye(3), (count, 1, 1))
    touched = np.zeros(count, dtype=bool)
    for probability, step in (
        (geometry.turn, _turns),
        (geometry.shear[0], _shears),
        (geometry.resized_crop[0], _windows),
        (geometry.translation[0], _shifts),
    ):
        if probability:
            chosen = draw_chosen(count, probability, generator)
            drawn = step(len(chosen), (rows, columns), geometry, generator)
            matrices[chosen] = matrices[chosen] @ drawn
            touched[chosen] = True
    field = None
    if geometry.elastic[0]:
        chosen = draw_chosen(count, geometry.elastic[0], generator)
        field = np.zeros((count, 2, _ELASTIC_POINTS, _ELASTIC_POINTS), np.float32)
        # Coordinates span 2, hence twice the share of the side.
        shape = (len(chosen), *field.shape[1:])
        field[chosen] = generator.normal(0, 2 * geometry.elastic[1], shape)
        touched[chosen] = True
    if not touched.any():
        return images
    matrix = torch.from_numpy(matrices[touched, :2]).to(images.dtype)  # (n, 2, 3)
    bend = None if field is None else torch.from_numpy(field[touched])
    result = images.clone()
    moved = torch.from_numpy(touched)
    result[moved] = _sample(images[moved], matrix, bend, geometry.fill)
    return result


def _sample(images: Tensor, matrix: Tensor, field: Tensor | None, fill: Fill) -> Tensor:
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)  # (n, H, W, 2)
    if field is not None:
        size = list(images.shape[2:])
        bent = functional.interpolate(field, size, mode="bicubic", align_corners=True)
        grid = grid + bent.permute(0, 2, 3, 1)  # (n, H, W, 2)
    return functional.grid_sample(
        images, grid, mode="bilinear", padding_mode=_PADDING[fill], align_corners=False
    )


def _identity(count: int) -> Matrices:
    return np.tile(np.eye(3), (count, 1, 1))


def _turns(
    count: int, size: tuple[int, int], _: Geometry, generator: np.random.Generator
) -> Matrices:
    angle = generator.uniform(-math.pi, math.pi, count)
    matrices = _identity(count)
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angle)
    matrices[:, 0, 1] = -np.sin(angle) * size[0] / size[1]
    matrices[:, 1, 0] = np.sin(angle) * size[1] / size[0]
    return matrices


def _shears(
    count: int, _: tuple[int, int], geometry: Geometry, generator: np.random.Generator
) -> Matrices:
    matrices = _identity(count)
    drawn = generator.uniform(-geometry.shear[1], geometry.shear[1], (count, 2))
    matrices[:, 0, 1], matrices[:, 1, 0] = drawn[:, 0], drawn[:, 1]
    return matrices


def _windows(
    count: int, _: tuple[int, int], geometry: Geometry, generator: np.random.Generator
) -> Matrices:
    side = np.sqrt(generator.uniform(geometry.resized_crop[1], 1, count))
    aspect = np.sqrt(draw_factors(count, math.log(_MOST_ASPECT), generator))
    matrices = _identity(count)
    for axis, share in enumerate((side * aspect, side / aspect)):
        matrices[:, axis, axis] = np.minimum(share, 1)
        free = 1 - matrices[:, axis, axis]
        matrices[:, axis, 2] = free * generator.uniform(-1, 1, count)
    return matrices


def _shifts(
    count: int, _: tuple[int, int], geometry: Geometry, generator: np.random.Generator
) -> Matrices:
    matrices = _identity(count)
    limit = 2 * geometry.translation[1]
    matrices[:, :2, 2] = generator.uniform(-limit, limit, (count, 2))
    return matrices
