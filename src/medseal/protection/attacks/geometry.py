"""Geometry of levels: size, crops, rotation, perspective, turns and mirrors."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.protection.attacks.levels import Levels

__all__ = [
    "CENTRE",
    "crop_black",
    "crop_resized",
    "flip",
    "kept_rectangle",
    "perspective",
    "quarter_turn",
    "resize_and_back",
    "resize_to",
    "rotate",
    "rotate_expanded",
    "share_inside",
    "transpose",
]

_CORNERS = 4
# Place of a crop along rows and along columns.
CENTRE = (0.5, 0.5)


def resize_to(levels: Levels, *, rows: int, columns: int) -> Levels:
    """Return the levels scaled to a given size, by area means down and cubic up.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rows, columns
        Size of the result, at least 1.
    """
    shrinks = rows * columns < levels.shape[0] * levels.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(levels, (columns, rows), interpolation=method), np.float32)


def resize_and_back(levels: Levels, *, factor: float) -> Levels:
    """Return the levels scaled by a factor in both directions, then to their size again."""
    rows, columns = levels.shape[:2]
    scaled = resize_to(
        levels, rows=max(round(rows * factor), 1), columns=max(round(columns * factor), 1)
    )
    return resize_to(scaled, rows=rows, columns=columns)


def kept_rectangle(
    rows: int, columns: int, *, keep: float, place: Sequence[float]
) -> tuple[slice, slice]:
    """Return the rows and columns that a crop keeps.

    Parameters
    ----------
    rows, columns
        Size of the whole.
    keep
        Share of each *side* that stays, so the square of it of the area: 0.75 keeps 56 % of it.
    place
        Where in the free room the rectangle lies, along rows and along columns: (0, 0) at the
        top left, (0.5, 0.5) in the centre, (1, 1) at the bottom right.

    Raises
    ------
    InputError
        `keep` is not above 0 and at most 1, or `place` does not lie in 0 to 1.
    """
    if not 0 < keep <= 1 or not all(0 <= share <= 1 for share in place):
        raise InputError("a crop keeps more than 0 and at most 1 of a side, at a place in 0 to 1")
    kept = [max(round(side * keep), 1) for side in (rows, columns)]
    top, left = (
        round((side - length) * share)
        for side, length, share in zip((rows, columns), kept, place, strict=True)
    )
    return slice(top, top + kept[0]), slice(left, left + kept[1])


def crop_black(levels: Levels, *, keep: float, place: Sequence[float] = CENTRE) -> Levels:
    """Return the levels at the same size, black outside of a rectangle; see `kept_rectangle`."""
    inside = kept_rectangle(*levels.shape[:2], keep=keep, place=place)
    result = np.zeros_like(levels)
    result[inside] = levels[inside]
    return result


def crop_resized(levels: Levels, *, keep: float, place: Sequence[float] = CENTRE) -> Levels:
    """Return a rectangle of the levels enlarged to the old size; see `kept_rectangle`.

    The same share of each side is kept, so that the aspect stays.
    """
    rows, columns = levels.shape[:2]
    inside = kept_rectangle(rows, columns, keep=keep, place=place)
    return resize_to(levels[inside], rows=rows, columns=columns)


def rotate(
    levels: Levels, *, degrees: float, scale: float = 1.0, shift: Sequence[float] = (0.0, 0.0)
) -> Levels:
    """Return the levels turned about their centre, scaled and shifted; the size stays.

    Parameters
    ----------
    levels
        As in `resize_to`. What comes in from outside is black.
    degrees
        Counter-clockwise.
    scale
        More than 1 enlarges.
    shift
        Pixels down and to the right.
    """
    rows, columns = levels.shape[:2]
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, scale)
    matrix[:, 2] += shift[1], shift[0]
    return np.asarray(
        cv2.warpAffine(levels, matrix, (columns, rows), flags=cv2.INTER_CUBIC), np.float32
    )


def rotate_expanded(levels: Levels, *, degrees: float) -> Levels:
    """Return the levels turned counter-clockwise on a canvas that holds all of them; else black."""
    rows, columns = levels.shape[:2]
    across, down = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    size = math.ceil(rows * across + columns * down), math.ceil(columns * across + rows * down)
    matrix = cv2.getRotationMatrix2D(((columns - 1) / 2, (rows - 1) / 2), degrees, 1.0)
    matrix[:, 2] += (size[1] - columns) / 2, (size[0] - rows) / 2
    return np.asarray(cv2.warpAffine(levels, matrix, size[::-1], flags=cv2.INTER_CUBIC), np.float32)


def share_inside(rows: int, columns: int, *, degrees: float) -> float:
    """Return the largest share of each side that a centred crop keeps free of black corners.

    It is meant for levels that `rotate` turned; the crop has their aspect.
    """
    across, down = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    return 1 / (across + down * max(rows / columns, columns / rows))


def perspective(levels: Levels, *, corners: NDArray[np.floating]) -> Levels:
    """Return the levels as a camera that is not held level sees them; the size stays.

    Parameters
    ----------
    levels
        As in `resize_to`. What comes in from outside is black.
    corners
        (4, 2): pixels down and to the right by which the corners move, in the order top left,
        top right, bottom right, bottom left.
    """
    rows, columns = levels.shape[:2]
    right, bottom = columns - 1, rows - 1
    source = np.array([(0, 0), (right, 0), (right, bottom), (0, bottom)], np.float32)
    moved = source + corners.reshape(_CORNERS, 2)[:, ::-1].astype(np.float32)
    matrix = cv2.getPerspectiveTransform(source, moved)
    return np.asarray(
        cv2.warpPerspective(levels, matrix, (columns, rows), flags=cv2.INTER_CUBIC), np.float32
    )


def quarter_turn(levels: Levels, *, turns: int) -> Levels:
    """Return the levels turned by quarter turns counter-clockwise, every level kept."""
    return np.ascontiguousarray(np.rot90(levels, turns))


def flip(levels: Levels, *, axis: str) -> Levels:
    """Return the levels with their ``rows`` or their ``columns`` in reverse order.

    Raises
    ------
    InputError
        Another axis.
    """
    axes = {"rows": 0, "columns": 1}
    if axis not in axes:
        raise InputError("an image is mirrored along 'rows' or 'columns'")
    return np.ascontiguousarray(np.flip(levels, axes[axis]))


def transpose(levels: Levels) -> Levels:
    """Return the levels with rows and columns exchanged."""
    return np.ascontiguousarray(np.swapaxes(levels, 0, 1))
