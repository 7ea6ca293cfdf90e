"""Where an edit of levels goes: a window with something in it, a soft shape, and the blend."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels

__all__ = ["Alpha", "Patch", "Shape", "Window", "blended", "draw_window", "soft_shape", "weights"]

Window = tuple[slice, slice]
Alpha = NDArray[np.float32]
Shape = Literal["rectangle", "ellipse", "blob"]

# Share of the draws that look for a place with content, and how long they look.
_CONTENT_PROBABILITY = 0.85
_ATTEMPTS = 16
# Content: some contrast, or neither black nor white, within at least this side.
_LEAST_DEVIATION = 2.0
_BLACK, _WHITE = 20.0, 235.0
_CONTENT_SIDE = 9
_SAMPLED_SIDE = 24
_COLOUR_DIMENSIONS = 3
# How far a blob's border wanders in and out, and in how many waves.
_WAVES = np.arange(2, 6)
_WAVE_HEIGHT = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What part of an image an edit changes, wherever it lies.

    Attributes
    ----------
    rows, columns
        Size in pixels; the shape fills it.
    shape
        ``rectangle``, ``ellipse``, or ``blob``, whose border wanders.
    feather
        Width of the border in which the edit fades out, in pixels inwards; 0 is a hard one.

    Raises
    ------
    InputError
        It has no rows or no columns, or its feather is negative.
    """

    rows: int
    columns: int
    shape: Shape = "rectangle"
    feather: float = 0.0

    def __post_init__(self) -> None:
        if min(self.rows, self.columns) < 1 or self.feather < 0:
            raise InputError("a patch has a row, a column and a feather of 0 or more")


def _has_content(levels: Levels, window: Window) -> bool:
    parts = []
    for inside, side in zip(window, levels.shape, strict=False):
        missing = max(_CONTENT_SIDE - (inside.stop - inside.start), 0)
        start = max(inside.start - missing // 2, 0)
        stop = min(inside.stop + missing - missing // 2, side)
        parts.append(slice(start, stop, max((stop - start) // _SAMPLED_SIDE, 1)))
    seen = levels[parts[0], parts[1]]
    return bool(seen.std() >= _LEAST_DEVIATION or _BLACK <= seen.mean() <= _WHITE)


def draw_window(levels: Levels, rng: np.random.Generator, *, rows: int, columns: int) -> Window:
    """Return a window of a given size; in 85 % of the draws one with content, if there is one.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rng
        Source of the place.
    rows, columns
        Size of the window in pixels.

    Raises
    ------
    InputError
        The window does not fit the levels.
    """
    free_rows, free_columns = levels.shape[0] - rows, levels.shape[1] - columns
    if min(free_rows, free_columns) < 0:
        raise InputError(f"a patch of {rows} x {columns} does not fit the image")
    attempts = _ATTEMPTS if rng.random() < _CONTENT_PROBABILITY else 1
    for attempt in range(attempts):
        top, left = int(rng.integers(free_rows + 1)), int(rng.integers(free_columns + 1))
        window = slice(top, top + rows), slice(left, left + columns)
        if attempt == attempts - 1 or _has_content(levels, window):
            break
    return window


def soft_shape(rng: np.random.Generator, patch: Patch) -> Alpha:
    """Return how much of a new content shows in each place of a patch: (rows, columns), 0 to 1.

    The generator is the source of a blob's border; other shapes take nothing from it.
    """
    half = (patch.rows / 2, patch.columns / 2)
    down = (np.arange(patch.rows, dtype=np.float32)[:, None] + 0.5 - half[0]) / half[0]
    across = (np.arange(patch.columns, dtype=np.float32)[None, :] + 0.5 - half[1]) / half[1]
    if patch.shape == "rectangle":
        inward = np.minimum((1 - np.abs(down)) * half[0], (1 - np.abs(across)) * half[1])
    else:
        border: float | Alpha = 1.0
        if patch.shape == "blob":
            angle = np.arctan2(down, across)[:, :, None] * _WAVES.astype(np.float32)
            heights = rng.uniform(0, _WAVE_HEIGHT, _WAVES.size) / _WAVES * 2
            phases = rng.uniform(0, 2 * np.pi, _WAVES.size)
            waves = np.cos(angle + phases.astype(np.float32)) @ heights.astype(np.float32)
            border = (1 + waves) / np.float32(1 + heights.sum())
        inward = (border - np.hypot(down, across)) * min(half)
    if patch.feather == 0:
        return np.asarray(inward > 0, np.float32)
    return np.asarray(np.clip(inward / patch.feather, 0, 1), np.float32)


def weights(alpha: Alpha, levels: Levels) -> Alpha:
    """Return alpha, (rows, columns), in a shape that multiplies these levels."""
    return alpha[:, :, None] if levels.ndim == _COLOUR_DIMENSIONS else alpha


def blended(levels: Levels, window: Window, content: Levels, alpha: Alpha) -> Levels:
    """Return the levels with `content` in a window, as far as `alpha` lets it show.

    What the edit changes stays within black and white, or within the levels if they reach further.

    Parameters
    ----------
    levels
        As in `draw_window`.
    window
        Where the content goes.
    content
        Levels of the window's size.
    alpha
        (rows, columns) of the window, 0 to 1.
    """
    result = levels.copy()
    old = levels[window]
    new = old + weights(alpha, levels) * (content - old)
    low, high = min(float(levels.min()), 0.0), max(float(levels.max()), WHITE_LEVEL)
    result[window] = np.clip(new, np.float32(low), np.float32(high))
    return result
