"""Patches of levels moved about: copied within an image, or spliced in from another one."""

from dataclasses import dataclass

import cv2
import numpy as np

from medseal.protection.attacks.levels import Levels
from medseal.protection.attacks.places import Alpha, Patch, Window, blended, draw_window, soft_shape

__all__ = ["AS_IS", "Fitting", "copy_move", "like", "splice"]

_COLOUR_DIMENSIONS = 3
# ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
# Draws of a place to copy from until it lies apart from the place that it is copied to.
_ATTEMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """What is done to a patch between the place it comes from and the place it goes to.

    Attributes
    ----------
    degrees
        Turned counter-clockwise.
    scale
        Enlarged; below 1 reduced.
    is_mirrored
        Left and right exchanged.
    match
        Share of the difference in mean grey value that is made up for, 0 to 1.
    """

    degrees: float = 0.0
    scale: float = 1.0
    is_mirrored: bool = False
    match: float = 0.0


AS_IS = Fitting()


def like(donor: Levels, levels: Levels) -> Levels:
    """Return a donor in grey or in three colours, as the levels that it is brought into."""
    if donor.ndim == levels.ndim:
        return donor
    if levels.ndim == _COLOUR_DIMENSIONS:
        return np.repeat(donor[:, :, None], levels.shape[2], axis=2)
    return np.asarray(donor @ _LUMA, np.float32)


def _taken(source: Levels, window: Window, fitting: Fitting) -> Levels:
    """Return a window of the source, turned and scaled about its centre; exact if neither."""
    rows, columns = (inside.stop - inside.start for inside in window)
    if fitting.degrees == 0 and fitting.scale == 1:
        content = source[window]
    else:
        middle = np.array([(columns - 1) / 2, (rows - 1) / 2])
        matrix = cv2.getRotationMatrix2D((0, 0), fitting.degrees, 1 / fitting.scale)
        origin = np.array([window[1].start, window[0].start])
        matrix[:, 2] = origin + middle - matrix[:, :2] @ middle
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        content = cv2.warpAffine(
            source, matrix, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
    return np.asarray(content[:, ::-1] if fitting.is_mirrored else content, np.float32)


def _pasted(levels: Levels, window: Window, content: Levels, match: float, alpha: Alpha) -> Levels:
    difference = levels[window].mean(axis=(0, 1)) - content.mean(axis=(0, 1))
    return blended(levels, window, content + np.float32(match) * difference, alpha)


def copy_move(
    levels: Levels, rng: np.random.Generator, *, patch: Patch, fitting: Fitting = AS_IS
) -> Levels:
    """Copy a patch of the levels over another place.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rng
        Source of both places and of a blob's border.
    patch
        Size, shape and border.
    fitting
        What is done to the patch on the way.

    Raises
    ------
    InputError
        The patch does not fit the levels.
    """
    target = draw_window(levels, rng, rows=patch.rows, columns=patch.columns)
    for _ in range(_ATTEMPTS):
        source = draw_window(levels, rng, rows=patch.rows, columns=patch.columns)
        down, across = (abs(a.start - b.start) for a, b in zip(source, target, strict=True))
        if 2 * down >= patch.rows or 2 * across >= patch.columns:
            break
    content = _taken(levels, source, fitting)
    return _pasted(levels, target, content, fitting.match, soft_shape(rng, patch))


def splice(
    levels: Levels,
    rng: np.random.Generator,
    *,
    donor: Levels,
    patch: Patch,
    fitting: Fitting = AS_IS,
) -> Levels:
    """Copy a patch of other levels, `donor`, over a place; the other arguments as `copy_move`.

    Raises
    ------
    InputError
        The patch does not fit both.
    """
    target = draw_window(levels, rng, rows=patch.rows, columns=patch.columns)
    source = draw_window(donor, rng, rows=patch.rows, columns=patch.columns)
    content = like(_taken(donor, source, fitting), levels)
    return _pasted(levels, target, content, fitting.match, soft_shape(rng, patch))
