"""Bring a copy back to the places and levels of its record."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.attacks.levels import Levels
from medseal.protection.tamper.canonical import TILE, Plane, brightness
from medseal.protection.tamper.reference.maps import clipped_places
from medseal.protection.tamper.reference.picture import CoarsePicture
from medseal.protection.tamper.reference.shown_levels import record_levels
from medseal.protection.tamper.registration import Registration, rectified, register

__all__ = ["Aligned", "Unreadable", "align"]

# Share of the tiles that a copy of the same image shows as they were: on training images at least
# .93 with up to 9 % of the area forged, and .80 at most for another image of the kind.
_LEAST_EXPLAINED = 0.8
_LEAST_OVERLAP = 0.4
_COLOUR_AXES, _SATURATED_LEVEL, _HALF = 3, 254.25, 0.5

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why a copy could not be compared."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aligned:
    """A copy in the places and levels of its record, (16 down, 16 across) each.

    Attributes
    ----------
    plane
        (rows, columns), brightness of the copy as it is.
    copy
        Levels; where nothing is known the coarse picture stands in.
    clipped
        Places whose level, or one of whose colours, may have been cut off.
    unknown
        Places outside the copy, or clipped so that they say nothing.
    registration
        How the copy lies on the record.
    """

    plane: Plane
    copy: Plane
    clipped: Flags
    unknown: Flags
    registration: Registration


def _saturated(levels: Levels, registration: Registration, size: tuple[int, int]) -> Flags:
    """Return the record's places where a colour of the copy is as strong as can be.

    The brightness of such a place is that of no colour of the original, and yet it is not white.
    """
    if levels.ndim != _COLOUR_AXES:
        return np.zeros(size, np.bool_)
    full = np.asarray((levels >= _SATURATED_LEVEL).any(axis=2), np.float32)
    moved, seen = rectified(full, registration, size)
    return np.asarray((moved >= _HALF) & seen)


def align(
    levels: Levels, picture: CoarsePicture, *, shape: tuple[int, int]
) -> Aligned | Unreadable:
    """Return a copy brought back, or why it cannot be.

    Parameters
    ----------
    levels
        (rows, columns) or (rows, columns, 3), of the copy's frame.
    picture
        What the record keeps of the frame.
    shape
        Rows and columns of the original.
    """
    plane, coarse = brightness(levels), picture.coarse
    registration = register(plane, coarse, reference_error=picture.error, expected_shape=shape)
    if registration is None:
        return Unreadable(reason="the copy could not be laid on the record")
    if registration.explained < _LEAST_EXPLAINED:
        detail = f"{100 * registration.explained:.0f} % of the record explained"
        return Unreadable(reason=f"another image, or too degraded ({detail})")
    if registration.overlap < _LEAST_OVERLAP:
        return Unreadable(reason="the copy shows too little of the record")
    size = (coarse.shape[0] * TILE, coarse.shape[1] * TILE)
    shown, seen = rectified(plane, registration, size)
    restored, lost = record_levels(shown, registration.curve, picture, seen)
    known = seen & ~lost
    filled = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)
    return Aligned(
        plane=plane,
        copy=np.where(known, restored, filled).astype(np.float32),
        clipped=clipped_places(shown) & seen | _saturated(levels, registration, size),
        unknown=~known,
        registration=registration,
    )
