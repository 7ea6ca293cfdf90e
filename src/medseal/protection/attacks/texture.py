"""Fine detail of levels changed while local means stay: erased by a filter, or a pattern added."""

from typing import Literal

import cv2
import numpy as np

from medseal.errors import InputError
from medseal.protection.attacks.geometry import resize_and_back
from medseal.protection.attacks.levels import Levels
from medseal.protection.attacks.places import (
    Alpha,
    Patch,
    blended,
    draw_window,
    soft_shape,
    weights,
)

__all__ = ["FILTERS", "PATTERNS", "Filter", "Pattern", "add_texture", "erase_detail"]

Filter = Literal["box", "Gaussian", "bilateral", "median", "resampled"]
FILTERS: tuple[Filter, ...] = ("box", "Gaussian", "bilateral", "median", "resampled")
Pattern = Literal["checkerboard", "rows", "columns", "diagonal", "noise"]
PATTERNS: tuple[Pattern, ...] = ("checkerboard", "rows", "columns", "diagonal", "noise")

# What a bilateral filter takes for one grey value, in levels.
_ALIKE_LEVELS = 25.0
_MEDIAN_LARGE = 4
_LONGEST_PERIOD = 64
_MEAN_SIDE_IN_SIZES = 3


def _smoothed(seen: Levels, *, size: int, method: Filter) -> Levels:
    mirrored = cv2.BORDER_REFLECT_101
    if method == "box":
        return np.asarray(cv2.blur(seen, (size, size), borderType=mirrored), np.float32)
    if method == "Gaussian":
        return np.asarray(cv2.GaussianBlur(seen, (0, 0), size / 3, borderType=mirrored), np.float32)
    if method == "bilateral":
        return np.asarray(cv2.bilateralFilter(seen, size | 1, _ALIKE_LEVELS, size / 2), np.float32)
    if method == "median":
        # Of float32 the library knows medians of 3 and 5 places alone.
        return np.asarray(cv2.medianBlur(seen, 3 if size < _MEDIAN_LARGE else 5), np.float32)
    return resize_and_back(seen, factor=1 / size)


def erase_detail(
    levels: Levels,
    rng: np.random.Generator,
    *,
    patch: Patch,
    size: int = 3,
    method: Filter = "box",
    amount: float = 1.0,
) -> Levels:
    """Smooth a patch; its means over a few `size` pixels stay.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rng
        Source of the place and of a blob's border.
    patch
        Size, shape and border.
    size
        Side of the detail that is erased, in pixels, at least 2.
    method
        A ``box``, ``Gaussian``, ``bilateral`` or ``median`` filter, or ``resampled``: scaled down
        by `size` and back.
    amount
        Share of the detail that goes.

    Raises
    ------
    InputError
        The size is smaller than 2, or the patch does not fit the levels.
    """
    if size < 2:  # noqa: PLR2004  one pixel holds no detail
        raise InputError("detail that can be erased is at least 2 pixels large")
    window = draw_window(levels, rng, rows=patch.rows, columns=patch.columns)
    seen = np.ascontiguousarray(levels[window])
    change = _smoothed(seen, size=size, method=method) - seen
    side = min(_MEAN_SIDE_IN_SIZES * size, patch.rows, patch.columns)
    change = change - np.asarray(cv2.blur(change, (side, side)), np.float32)
    alpha = soft_shape(rng, patch)
    return blended(levels, window, seen + np.float32(amount) * change, alpha)


def _pattern(rng: np.random.Generator, patch: Patch, *, period: int, pattern: Pattern) -> Alpha:
    """Return a pattern of mean 0 and deviation 1 over a period, (rows, columns)."""
    rows, columns = patch.rows, patch.columns
    if pattern == "noise":
        coarse = rng.standard_normal((-(-rows * 2 // period), -(-columns * 2 // period)))
        grown = np.kron(coarse, np.ones((-(-period // 2),) * 2))[:rows, :columns]
        return np.asarray(grown - grown.mean(), np.float32)
    start = int(rng.integers(period))
    wave = np.where(np.arange(period) < period // 2, 1.0, -1.0)
    wave = (wave - wave.mean()) / wave.std()
    down = (np.arange(rows) + start)[:, None] + np.zeros(columns, np.int64)
    across = (np.arange(columns) + start)[None, :] + np.zeros((rows, 1), np.int64)
    if pattern == "checkerboard":
        return np.asarray(wave[down % period] * wave[across % period], np.float32)
    phase = {"rows": down, "columns": across, "diagonal": down + across}[pattern]
    return np.asarray(wave[phase % period], np.float32)


def add_texture(
    levels: Levels,
    rng: np.random.Generator,
    *,
    patch: Patch,
    amplitude: float,
    period: int = 2,
    pattern: Pattern = "checkerboard",
) -> Levels:
    """Add a fine pattern of mean zero to a patch.

    Parameters
    ----------
    levels, rng, patch
        As for `erase_detail`.
    amplitude
        Standard deviation of the pattern in levels.
    period
        Pixels after which the pattern repeats, 2 to 64; grains of noise are half as large.
    pattern
        ``checkerboard``, stripes along ``rows``, ``columns`` or the ``diagonal``, or ``noise``.

    Raises
    ------
    InputError
        The period is outside of 2 to 64, or the patch does not fit the levels.
    """
    if not 2 <= period <= _LONGEST_PERIOD:  # noqa: PLR2004  shorter ones have no two values
        raise InputError(f"a pattern repeats after 2 to {_LONGEST_PERIOD} pixels")
    window = draw_window(levels, rng, rows=patch.rows, columns=patch.columns)
    drawn = _pattern(rng, patch, period=period, pattern=pattern)
    content = levels[window] + np.float32(amplitude) * weights(drawn, levels)
    return blended(levels, window, content, soft_shape(rng, patch))
