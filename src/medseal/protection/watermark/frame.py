"""The working frame: images at one of two scales, and what the networks are shown of them."""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.attacks import compression, grey_values

__all__ = [
    "FRAME_SIDE",
    "LEAST_ENERGY",
    "LOCAL_SIDE",
    "SIMILARITY_ENERGY",
    "SMALL_FRAME_SIDE",
    "Plane",
    "box_mean",
    "copy_channels",
    "copy_maps",
    "frame_side",
    "host_maps",
    "host_views",
    "presence",
    "resample",
    "visibility",
    "working_shape",
]

# Long side in places: a mark of native detail is lost in the first compression, blur or resize. A
# small image has no places to spare, so its frame is coarser.
FRAME_SIDE, SMALL_FRAME_SIDE = 256, 160
_SMALL_SIDE = 320
# Elongated images get a longer frame, so that the short side still holds two tiles.
_LEAST_SHORT_SIDE = 128
# Windows of the local statistics: of the networks in the frame, and of structural similarity.
LOCAL_SIDE = 9
_SIMILARITY = 7
# Half of (0.03 * 255)^2, the constant of the structural similarity index (Wang et al. 2004).
SIMILARITY_ENERGY = 29.26
# Native deviation (levels) below which a place is air, and over which the mark sets in.
_FLAT, _RAMP = 0.25, 0.5
LEAST_ENERGY = 0.05
# What the rough view of a cover image has gone through.
_ROUGH_CONTRAST, _ROUGH_QUALITY = 1.15, 60
# A tenth of what an image without texture leaves: nowhere is exactly nothing to be had.
_LEAST_ROOM = 0.03

Plane = NDArray[np.float32]


def frame_side(rows: int, columns: int) -> int:
    """Return the long side of the working frame of an image, before its short side is looked at."""
    return FRAME_SIDE if max(rows, columns) >= _SMALL_SIDE else SMALL_FRAME_SIDE


def working_shape(rows: int, columns: int, *, side: int | None = None) -> tuple[int, int]:
    """Return rows and columns of the working frame of an image, both even.

    Parameters
    ----------
    rows, columns
        Of the image.
    side
        Long side of the frame; that of the image's own size if None.
    """
    side = frame_side(rows, columns) if side is None else side
    scale = max(side / max(rows, columns), _LEAST_SHORT_SIDE / min(rows, columns))
    first, second = (max(2 * round(length * scale / 2), 2) for length in (rows, columns))
    return first, second


def resample(plane: Plane, shape: tuple[int, int]) -> Plane:
    """Return a plane in another size, by area means down and cubic up."""
    if plane.shape == shape:
        return plane
    shrinks = shape[0] * shape[1] < plane.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(plane, shape[::-1], interpolation=method), np.float32)


def box_mean(plane: Plane, side: int) -> Plane:
    """Return the mean over windows of `side` x `side`, edges repeated."""
    return np.asarray(cv2.blur(plane, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)


def _local(frame: Plane) -> tuple[Plane, Plane, Plane]:
    """Return local mean, deviation from it, and its local energy."""
    mean = box_mean(frame, LOCAL_SIDE)
    detail = frame - mean
    return mean, detail, box_mean(detail * detail, LOCAL_SIDE) + np.float32(LEAST_ENERGY)


def copy_channels(
    mean: Any, detail: Any, energy: Any, *, log: Callable[[Any], Any], sqrt: Callable[[Any], Any]
) -> list[Any]:
    """Return what the extraction network is shown, for arrays and for tensors alike.

    Parameters
    ----------
    mean, detail, energy
        Local mean, deviation from it and its local energy, all of one shape.
    log, sqrt
        Of the library that they belong to.

    Returns
    -------
    list
        Detail by its local deviation, logarithm of the local energy, local brightness, and detail
        by its local energy, to which the network applies its gain.
    """
    return [
        detail / (sqrt(energy) + 3),
        log(energy + 1) / 4 - 0.8,
        mean / 128 - 1,
        detail * 5 / (energy + 30),
    ]


def copy_maps(frame: Plane) -> NDArray[np.float32]:
    """Return what the extraction network is shown of a copy.

    Parameters
    ----------
    frame
        (rows, columns), levels 0 to 255.

    Returns
    -------
    numpy.ndarray
        (4, rows, columns), see `copy_channels`.
    """
    return np.stack(copy_channels(*_local(frame), log=np.log, sqrt=np.sqrt)).astype(np.float32)


def host_views(frame: Plane) -> tuple[Plane, Plane]:
    """Return a cover image as it is, and roughly treated, both in the working frame.

    A codeword that fits what is heard in both is helped by what survives of the host, not only by
    the faint detail of dark places that the first compression takes away.
    """
    rough = grey_values.contrast(frame, factor=_ROUGH_CONTRAST)
    return frame, compression.jpeg(np.clip(rough, 0, 255), quality=_ROUGH_QUALITY)


def visibility(plane: Plane) -> tuple[Plane, Plane]:
    """Return deviation, and loss of similarity for one unit of energy times 2, at each place.

    Parameters
    ----------
    plane
        (rows, columns), native levels 0 to 255.
    """
    size = (_SIMILARITY, _SIMILARITY)
    # Centred, so that single precision holds the difference of the two squares.
    centred = plane - np.float32(127.5)
    mean = cv2.blur(centred, size)
    # In place: a large image has little memory to spare.
    mean *= mean
    centred *= centred
    variance = cv2.blur(centred, size, dst=centred)
    variance -= mean
    np.maximum(variance, 0, out=variance)
    deviation = np.sqrt(variance, out=mean)
    variance += np.float32(SIMILARITY_ENERGY)
    return deviation, np.divide(np.float32(1), variance, out=variance)


def presence(deviation: Plane, shape: tuple[int, int]) -> Plane:
    """Return 0 in flat air to 1 where there is something to hide in, in the working frame.

    Parameters
    ----------
    deviation
        (rows, columns), native, in levels; see `visibility`.
    shape
        Of the working frame.
    """
    raised = (resample(deviation, shape) - np.float32(_FLAT)) / np.float32(_RAMP)
    return np.asarray(np.clip(raised, 0, 1), np.float32)


def host_maps(plane: Plane, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Return what the embedding network is shown of a cover image.

    Parameters
    ----------
    plane
        (rows, columns), native levels 0 to 255.
    shape
        Of the working frame.

    Returns
    -------
    numpy.ndarray
        (6, *shape): the first three of `copy_channels`, the logarithm of the room, one number for
        the whole image (how textured the places with room are), and the room: the amplitude that
        structural similarity leaves at each place, relative, 0 in flat air.
    """
    deviation, cost = visibility(plane)
    cost = np.clip(resample(cost, shape), 1e-5, 1)
    present = presence(deviation, shape)
    amplitude = np.sqrt(np.maximum(1 / (np.float32(SIMILARITY_ENERGY) * cost), 1))
    room = (amplitude - np.float32(1 - _LEAST_ROOM)) * present
    squares = room * room
    spent = float((squares * cost).mean() / (squares.mean() + 1e-9))
    texture = np.float32(np.log10(spent * SIMILARITY_ENERGY + 1e-6) + 1)
    shown = copy_channels(*_local(resample(plane, shape)), log=np.log, sqrt=np.sqrt)[:-1]
    free = np.log(room + np.float32(_LEAST_ROOM)) / 2
    whole = np.full(shape, texture, np.float32)
    return np.stack([*shown, free, whole, room]).astype(np.float32)
