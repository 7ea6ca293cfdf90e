"""Bring a copy back to the places and levels of its record."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.canonical import TILE, Plane
from medseal.protection.tamper.reference.maps import clipped_places
from medseal.protection.tamper.reference.picture import CoarsePicture
from medseal.protection.tamper.registration import Registration, rectified, register
from medseal.protection.tamper.shown_levels import record_levels

__all__ = ["Aligned", "Unreadable", "align"]

# Share of the tiles that a copy of the same image shows as they were: on training images at least
# .93 with up to 9 % of the area forged, and .80 at most for another image of the kind.
_LEAST_EXPLAINED = 0.8
_LEAST_OVERLAP = 0.4

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
    copy
        Levels; where nothing is known the coarse picture stands in.
    clipped
        Places whose level may have been cut off at black or white.
    unknown
        Places outside the copy, or clipped so that they say nothing.
    registration
        How the copy lies on the record.
    """

    copy: Plane
    clipped: Flags
    unknown: Flags
    registration: Registration


def align(plane: Plane, picture: CoarsePicture, *, shape: tuple[int, int]) -> Aligned | Unreadable:
    """Return a copy brought back, or why it cannot be.

    Parameters
    ----------
    plane
        (rows, columns), brightness of the copy's frame.
    picture
        What the record keeps of the frame.
    shape
        Rows and columns of the original.
    """
    coarse = picture.coarse
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
    levels, lost = record_levels(shown, registration.curve, picture, seen)
    known = seen & ~lost
    filled = cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR)
    return Aligned(
        copy=np.where(known, levels, filled).astype(np.float32),
        clipped=clipped_places(shown) & seen,
        unknown=~known,
        registration=registration,
    )
