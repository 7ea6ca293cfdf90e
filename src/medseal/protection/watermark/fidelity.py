"""Structural similarity of a frame and its marked copy, as both usual definitions give it."""

from collections.abc import Callable

import cv2
import numpy as np

from medseal.protection.watermark.frame import Plane

__all__ = ["FULL_LEVEL", "similarity"]

FULL_LEVEL = 255.0
_MIDDLE = np.float32(FULL_LEVEL / 2)
_C1, _C2 = (0.01 * FULL_LEVEL) ** 2, (0.03 * FULL_LEVEL) ** 2
_SIGMA, _GAUSSIAN_RADIUS, _SQUARE_RADIUS = 1.5, 5, 3
# Rows at once, which bounds the memory that a large frame takes.
_STRIP_ROWS = 1024


def _gaussian(plane: Plane) -> Plane:
    side = 2 * _GAUSSIAN_RADIUS + 1
    return np.asarray(cv2.GaussianBlur(plane, (side, side), _SIGMA), np.float32)


def _square(plane: Plane) -> Plane:
    side = 2 * _SQUARE_RADIUS + 1
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)


def _mean_similarity(
    cover: Plane, change: Plane, *, window: Callable[[Plane], Plane], stride: int
) -> float:
    """Return the mean index over the places that the larger window covers whole.

    With y = x + d: var y = var x + 2 cov(x, d) + var d and cov(x, y) = var x + cov(x, d), so that
    single precision does not lose the small difference.
    """
    inner = slice(_GAUSSIAN_RADIUS, -_GAUSSIAN_RADIUS, stride)

    def local(values: Plane) -> Plane:
        return window(values)[inner, inner]

    centred = cover - _MIDDLE
    mean, moved = local(centred), local(change)
    variance = local(centred * centred) - mean * mean
    shared = local(centred * change) - mean * moved
    spread = local(change * change) - moved * moved
    first = mean + _MIDDLE
    second = first + moved
    luminance = (2 * first * second + _C1) / (first * first + second * second + _C1)
    structure = (2 * (variance + shared) + _C2) / (2 * (variance + shared) + spread + _C2)
    return float((luminance * structure).mean(dtype=np.float64))


def similarity(cover: Plane, change: Plane, *, is_estimate: bool = False) -> float:
    """Return the structural similarity of a plane and the plane plus `change`.

    Parameters
    ----------
    cover, change
        (rows, columns), levels on a scale where the value range is 255; at least 11 x 11.
    is_estimate
        Look at every third row and column with the square window alone, which is the stricter one
        for most marks.

    Returns
    -------
    float
        The lesser of the index with the Gaussian window of Wang et al. 2004 and with the square
        one of 7 x 7, each over the places that both cover whole.

    References
    ----------
    Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    windows, stride = ((_square,), 3) if is_estimate else ((_gaussian, _square), 1)
    totals, count = np.zeros(len(windows)), 0
    for start in range(_GAUSSIAN_RADIUS, cover.shape[0] - _GAUSSIAN_RADIUS, _STRIP_ROWS):
        stop = min(start + _STRIP_ROWS, cover.shape[0] - _GAUSSIAN_RADIUS)
        rows = slice(start - _GAUSSIAN_RADIUS, stop + _GAUSSIAN_RADIUS)
        part, moved = cover[rows], change[rows]
        totals += (stop - start) * np.array(
            [_mean_similarity(part, moved, window=each, stride=stride) for each in windows]
        )
        count += stop - start
    return float((totals / max(count, 1)).min())
