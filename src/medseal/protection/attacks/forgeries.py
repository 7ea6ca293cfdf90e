"""What happens to a copy with ill intent: each returns the forged image and where it was changed.

Every function takes a `MedicalImage`, changes one frame of it and returns the new image with a
mask (rows, columns) that is True exactly where a stored value changed.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.imaging import MedicalImage, value_range
from medseal.imaging.image import StoredValues, frozen

__all__ = ["burn_text", "change_block", "copy_move", "insert_lesion", "remove", "splice"]

# Places tried until one changes something; in flat air a copied patch changes nothing.
_ATTEMPTS = 64
_INPAINT_RADIUS = 3

Mask = NDArray[np.bool_]
Forged = tuple[MedicalImage, Mask]


def _stored(image: MedicalImage, values: NDArray[np.floating]) -> StoredValues:
    """Return values as they can be stored."""
    if image.stored_values.dtype.kind != "f":
        values = np.rint(values)
    clipped = np.clip(values, *image.storable_range)
    return np.asarray(clipped, image.stored_values.dtype)


def _frame(image: MedicalImage, frame: int) -> NDArray[np.generic]:
    return np.asarray(image.stored_values[frame])


def _inside(mask: Mask, changed: StoredValues, source: StoredValues) -> StoredValues:
    """Return `changed` where the mask (rows, columns, 1) is True, else `source`."""
    return np.asarray(np.where(mask, changed, source), source.dtype)


def _forged(image: MedicalImage, frame: int, changed: StoredValues) -> Forged:
    mask = np.asarray((changed != image.stored_values[frame]).any(axis=2), np.bool_)
    values = image.stored_values.copy()
    values[frame] = changed
    return image.with_stored_values(frozen(values)), mask


def _attempt(image: MedicalImage, frame: int, draw: Callable[[], StoredValues]) -> Forged:
    """Return the first of several drawn forgeries that changes a value."""
    for _ in range(_ATTEMPTS):
        forged, mask = _forged(image, frame, draw())
        if mask.any():
            return forged, mask
    raise InputError("the image is too flat for this forgery; nothing would change")


def _corner(
    image: MedicalImage, rows: int, columns: int, rng: np.random.Generator
) -> tuple[int, int]:
    if not (0 < rows <= image.rows and 0 < columns <= image.columns):
        raise InputError(f"a patch of {rows} x {columns} does not fit the image")
    top = int(rng.integers(0, image.rows - rows + 1))
    return top, int(rng.integers(0, image.columns - columns + 1))


def copy_move(
    image: MedicalImage, rng: np.random.Generator, *, rows: int, columns: int, frame: int = 0
) -> Forged:
    """Copy a patch of the image over another place of it."""
    source = _frame(image, frame)

    def draw() -> StoredValues:
        top, left = _corner(image, rows, columns, rng)
        top2, left2 = _corner(image, rows, columns, rng)
        result = source.copy()
        result[top2 : top2 + rows, left2 : left2 + columns] = source[
            top : top + rows, left : left + columns
        ]
        return result

    return _attempt(image, frame, draw)


def splice(
    image: MedicalImage,
    donor: MedicalImage,
    rng: np.random.Generator,
    *,
    rows: int,
    columns: int,
    frame: int = 0,
) -> Forged:
    """Copy a patch of another image's first frame over a place, matched in value range.

    Raises
    ------
    InputError
        The samples differ or the patch does not fit both images.
    """
    if donor.samples != image.samples:
        raise InputError("both images must have the same number of samples")
    low, high = value_range(image)
    donor_low, donor_high = value_range(donor)
    scale = (high - low) / (donor_high - donor_low)
    source = _frame(image, frame)

    def draw() -> StoredValues:
        top, left = _corner(donor, rows, columns, rng)
        patch = donor.stored_values[0, top : top + rows, left : left + columns].astype(np.float64)
        top, left = _corner(image, rows, columns, rng)
        result = source.copy()
        fitted = (patch - donor_low) * scale + low
        result[top : top + rows, left : left + columns] = _stored(image, fitted)
        return result

    return _attempt(image, frame, draw)


def _disc(image: MedicalImage, centre: tuple[int, int], radius: float) -> NDArray[np.float64]:
    """Return the distance from the centre in radii: (rows, columns)."""
    row, column = np.ogrid[: image.rows, : image.columns]
    return np.asarray(np.hypot(row - centre[0], column - centre[1]) / radius, np.float64)


def remove(
    image: MedicalImage, rng: np.random.Generator, *, radius: float, frame: int = 0
) -> Forged:
    """Erase a disc by filling it in from its surroundings (Telea 2004)."""
    source = _frame(image, frame)

    def draw() -> StoredValues:
        hole = (_disc(image, _corner(image, 1, 1, rng), radius) <= 1).astype(np.uint8)
        filled = [
            cv2.inpaint(
                np.ascontiguousarray(source[:, :, sample], np.float32),
                hole,
                _INPAINT_RADIUS,
                cv2.INPAINT_TELEA,
            )
            for sample in range(image.samples)
        ]
        inside = hole.astype(np.bool_)[:, :, None]
        return _inside(inside, _stored(image, np.stack(filled, axis=2)), source)

    return _attempt(image, frame, draw)


def insert_lesion(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    radius: float,
    contrast: float = 0.25,
    frame: int = 0,
) -> Forged:
    """Blend in a round lesion with a soft edge, `contrast` of the value range at its centre."""
    low, high = value_range(image)
    source = _frame(image, frame)

    def draw() -> StoredValues:
        distance = _disc(image, _corner(image, 1, 1, rng), radius)
        profile = np.where(distance < 1, (1 + np.cos(np.pi * np.minimum(distance, 1))) / 2, 0)
        added = profile[:, :, None] * contrast * (high - low)
        return _inside(added != 0, _stored(image, source.astype(np.float64) + added), source)

    return _attempt(image, frame, draw)


def change_block(
    image: MedicalImage,
    rng: np.random.Generator,
    *,
    size: int,
    steps: int,
    frame: int = 0,
) -> Forged:
    """Add `steps` stored values to a square block; size 1 and one step is the smallest edit."""
    source = _frame(image, frame)

    def draw() -> StoredValues:
        top, left = _corner(image, size, size, rng)
        result = source.copy()
        block = np.s_[top : top + size, left : left + size]
        result[block] = _stored(image, source[block].astype(np.float64) + steps)
        return result

    return _attempt(image, frame, draw)


def burn_text(
    image: MedicalImage, text: str, rng: np.random.Generator, *, height: int = 12, frame: int = 0
) -> Forged:
    """Write a line of text in the brightest value into the stored values."""
    _, high = value_range(image)
    source = _frame(image, frame)
    font = cv2.FONT_HERSHEY_SIMPLEX
    scale = cv2.getFontScaleFromHeight(font, height)
    (width, _), _ = cv2.getTextSize(text, font, scale, 1)

    def draw() -> StoredValues:
        top, left = _corner(image, min(height, image.rows), min(width, image.columns), rng)
        canvas = np.zeros((image.rows, image.columns), np.uint8)
        cv2.putText(canvas, text, (left, top + height - 1), font, scale, 255, 1)
        bright = _stored(image, np.full(source.shape, high, np.float64))
        return _inside(canvas[:, :, None] > 0, bright, source)

    return _attempt(image, frame, draw)
