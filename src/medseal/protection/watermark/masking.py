"""Where an image can carry a mark and how loudly it must be heard there."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.carrier import TILE

__all__ = ["Plane", "Strength", "box_mean", "fold", "high_pass", "masking", "strips"]

# All levels below are on a scale where the value range of the image is 255.
# Half widths in pixels of the windows for the local mean and the local energy; 2 r + 1 is a power
# of two plus one, which `box_mean` needs.
_MEAN_RADIUS = 2
_ENERGY_RADIUS = 2
# Local deviation below which nothing is embedded (air), and over which the mark sets in.
_FLAT_LEVEL = 0.25
_RAMP_LEVEL = 0.5
# Distance from black and from white below which a mark is clipped on one side, shifts the mean
# brightness and costs so much more similarity.
_HEADROOM_LEVEL = 8.0
_MIDDLE_LEVEL = 127.5
_CLIPPED_LOSS = 2.5
# Energy of attacks to come: without it the reader would trust the flattest places alone.
_NOISE_ENERGY = 30.0
# Edges exceed the texture beside them by more than this many deviations and are clipped.
_EDGE_DEVIATIONS = 3.0
_EDGE_LEVEL = 2.0
# Half of (0.03 * 255)**2, the constant of the structural similarity index.
_SSIM_ENERGY = 29.26
# Rows handled at once (a multiple of the tile) and rows around them that the windows reach.
_STRIP_ROWS = 4 * TILE
_HALO_ROWS = 32

Plane = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strength:
    """What the host allows and how the reader weighs it, each (rows, columns).

    Attributes
    ----------
    heard
        Weighted high-pass image: what the reader correlates.
    weight
        Weight of the reader at each place; 0 in flat air.
    shape
        Relative amplitude of the embedder at each place; 0 in flat air, and on edges, which the
        reader clips.
    visibility
        Loss of structural similarity for one unit of energy added at each place.
    """

    heard: Plane
    weight: Plane
    shape: Plane
    visibility: Plane


def box_mean(plane: Plane, radius: int) -> Plane:
    """Return the mean over windows of 2 `radius` + 1, edges repeated; 2 `radius` a power of two.

    Sums of doubling length are exact enough in single precision, where a running sum is not.
    """
    result = plane
    for axis in (0, 1):
        margin = [(0, 0), (0, 0)]
        margin[axis] = (radius, radius)
        padded = np.moveaxis(np.pad(result, margin, mode="edge"), axis, 0)
        total, length = padded, 1
        while length < 2 * radius:
            total = total[:-length] + total[length:]
            length *= 2
        total = total[: padded.shape[0] - 2 * radius] + padded[2 * radius :]
        total *= np.float32(1 / (2 * radius + 1))
        result = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(result)


def high_pass(plane: Plane) -> Plane:
    """Return `plane` without its local mean, which flattens the spectrum of natural images."""
    return plane - box_mean(plane, _MEAN_RADIUS)


def _least_nearby(plane: Plane) -> Plane:
    """Return the least of nine neighbouring windows: air beside an edge counts as air."""
    reach = _ENERGY_RADIUS
    result = plane
    for axis in (0, 1):
        margin = [(0, 0), (0, 0)]
        margin[axis] = (reach, reach)
        padded = np.moveaxis(np.pad(result, margin, mode="edge"), axis, 0)
        least = np.minimum(padded[: -2 * reach], padded[2 * reach :])
        result = np.moveaxis(np.minimum(least, padded[reach:-reach]), 0, axis)
    return result


def masking(plane: Plane) -> Strength:
    """Return where and how strongly a plane of levels 0 to 255 can be marked.

    Parameters
    ----------
    plane
        (rows, columns), levels on a scale where the value range is 255.
    """
    detail = high_pass(plane)
    energy = box_mean(detail * detail, _ENERGY_RADIUS)
    # The variance of the plane itself: beside an edge the high-pass image of air is not flat.
    centred = plane - np.float32(_MIDDLE_LEVEL)
    mean = box_mean(centred, _ENERGY_RADIUS)
    variance = np.maximum(box_mean(centred * centred, _ENERGY_RADIUS) - mean * mean, 0)
    texture = _least_nearby(np.sqrt(variance))
    presence = np.clip((texture - np.float32(_FLAT_LEVEL)) / np.float32(_RAMP_LEVEL), 0, 1)
    headroom = np.float32(_MIDDLE_LEVEL) - np.abs(mean)
    clipped = 1 - np.clip(headroom / np.float32(_HEADROOM_LEVEL), 0, 1)
    weight = presence / (energy + np.float32(_NOISE_ENERGY))
    limit = np.float32(_EDGE_DEVIATIONS) * (texture + np.float32(_EDGE_LEVEL))
    heard = np.clip(detail, -limit, limit) * weight
    root = np.sqrt(texture * texture + np.float32(_SSIM_ENERGY))
    return Strength(
        heard=heard,
        weight=weight,
        shape=weight * root * (np.abs(detail) < limit),
        visibility=(0.5 + np.float32(0.5 * (_CLIPPED_LOSS - 1)) * clipped)
        / (variance + np.float32(_SSIM_ENERGY)),
    )


def fold(plane: Plane) -> Plane:
    """Return the sum over all tiles: (rows, columns) to (128, 128), the rest taken as 0."""
    rows, columns = plane.shape
    whole = np.zeros((-(-rows // TILE) * TILE, -(-columns // TILE) * TILE), np.float32)
    whole[:rows, :columns] = plane
    tiles = whole.reshape(whole.shape[0] // TILE, TILE, whole.shape[1] // TILE, TILE)
    return np.asarray(tiles.sum(axis=(0, 2)), np.float32)


def strips(rows: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield strips of a tall image: rows with their surroundings, the rows in these, the rows.

    Each strip starts on a tile, so that folding the strips and adding equals folding the whole.
    """
    for start in range(0, rows, _STRIP_ROWS):
        stop = min(start + _STRIP_ROWS, rows)
        first = max(start - _HALO_ROWS, 0)
        yield (
            slice(first, min(stop + _HALO_ROWS, rows)),
            slice(start - first, stop - first),
            slice(start, stop),
        )
