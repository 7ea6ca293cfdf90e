"""Where the lungs lie in a frontal chest X-ray: the dark fields left and right of the middle."""

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging.foreground import Region

__all__ = ["lung_region"]

# Sought on a square copy of this side; all lengths below are in its pixels.
_SIDE = 224
_BLUR, _SURROUNDINGS = 3.0, 38.0
# Air outside the body: so close to the darkest grey, and connected to the frame.
_AIR_SHARE = 0.12
# Of the middle of the image, the part that is darkest against its surroundings.
_DARK_PERCENT, _LEAST_DARK = 40.0, -3.0
_MIDDLE = (slice(40, 190), slice(30, 194))
_FRAME_ROWS, _FRAME_COLUMNS = 6, 4
_LEAST_FIELD, _LEAST_LUNGS = 250, 1500
# Where a lung is expected: the middle of the image, slightly above its centre.
_CENTRE, _SPREAD = (112.0, 105.0), (75.0, 60.0)
_CENTROID_X, _CENTROID_Y = (25.0, 199.0), (35.0, 185.0)
_WIDTHS, _HEIGHTS = (70.0, 215.0), (55.0, 215.0)
# Top, left, bottom, right where no two fields are found: that of most images, roughly.
_USUAL = (26.9, 31.4, 179.2, 192.6)
# Added above and below, and on both sides, as a share of the box.
_MARGIN_ROWS, _MARGIN_COLUMNS = 0.10, 0.06


def lung_region(image: NDArray[np.uint8]) -> Region:
    """Return the box round both lungs, so that children and adults are seen alike.

    Shoulders, arms, neck, abdomen, letters and the frame stay outside. On each side of the middle
    the connected field that is darkest against its surroundings is taken, near the centre rather
    than at the frame; air outside the body does not count.

    Parameters
    ----------
    image
        uint8, (rows, columns), upright, bones bright.

    Returns
    -------
    Region
        With a margin of 10 % above and below and 6 % on both sides, inside the image; all of it
        counts as content. A usual box where no two fields are found, as in lungs that are white
        throughout.
    """
    rows, columns = image.shape
    small = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    box = _box(_fields(np.asarray(small, dtype=np.uint8)))
    top, left, bottom, right = _USUAL if box is None else box
    dy, dx = _MARGIN_ROWS * (bottom - top), _MARGIN_COLUMNS * (right - left)
    first_row = int(max(top - dy, 0) * rows / _SIDE)
    first_column = int(max(left - dx, 0) * columns / _SIDE)
    return Region(
        top=first_row,
        bottom=max(int(np.ceil(min(bottom + dy, _SIDE) * rows / _SIDE)), first_row + 1),
        left=first_column,
        right=max(int(np.ceil(min(right + dx, _SIDE) * columns / _SIDE)), first_column + 1),
        inside=np.ones((1, 1), dtype=np.uint8),
    )


def _fields(small: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Return the largest dark field of each half, (224, 224), or None if a half has none."""
    blurred = cv2.GaussianBlur(small, (0, 0), _BLUR)
    values = blurred.astype(np.float32)
    surroundings = cv2.GaussianBlur(values, (0, 0), _SURROUNDINGS, borderType=cv2.BORDER_REPLICATE)
    difference = values - surroundings
    inside = ~_outer_air(np.asarray(blurred, dtype=np.uint8))
    middle = difference[_MIDDLE][inside[_MIDDLE]]
    if middle.size == 0:
        return None
    level = min(float(np.percentile(middle, _DARK_PERCENT)), _LEAST_DARK)
    dark = ((difference < level) & inside).astype(np.uint8)
    dark[:_FRAME_ROWS] = dark[-_FRAME_ROWS:] = 0
    dark[:, :_FRAME_COLUMNS] = dark[:, -_FRAME_COLUMNS:] = 0
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (9, 9))
    dark = np.asarray(cv2.morphologyEx(dark, cv2.MORPH_OPEN, kernel), dtype=np.uint8)
    _, labels, stats, centres = cv2.connectedComponentsWithStats(dark)
    areas = stats[:, cv2.CC_STAT_AREA].astype(np.float64)
    x, y = centres[:, 0], centres[:, 1]
    offset = ((x - _CENTRE[0]) / _SPREAD[0]) ** 2 + ((y - _CENTRE[1]) / _SPREAD[1]) ** 2
    weights = areas * np.exp(-offset / 2)
    fits = (areas >= _LEAST_FIELD) & (_CENTROID_X[0] < x) & (x < _CENTROID_X[1])
    fits &= (_CENTROID_Y[0] < y) & (y < _CENTROID_Y[1])
    fits[0] = False  # the background
    halves = [fits & (x < _CENTRE[0]), fits & (x >= _CENTRE[0])]
    if not all(half.any() for half in halves):
        return None
    chosen = [int(np.argmax(np.where(half, weights, -1.0))) for half in halves]
    return np.asarray(np.isin(labels, chosen), dtype=np.bool_)


def _outer_air(blurred: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where the image is nearly as dark as its darkest part and connected to the frame."""
    low, high = np.percentile(blurred, [1, 99])
    _, labels = cv2.connectedComponents(
        (blurred < low + _AIR_SHARE * (high - low)).astype(np.uint8)
    )
    rim = np.concatenate(
        [labels[:2].ravel(), labels[:, :2].ravel(), labels[:, -2:].ravel()]
    )  # not below: there a lung may touch the frame
    return np.asarray(np.isin(labels, np.unique(rim[rim > 0])), dtype=np.bool_)


def _box(fields: NDArray[np.bool_] | None) -> tuple[float, float, float, float] | None:
    """Return top, left, bottom and right round both fields, None where they are no lungs."""
    if fields is None or fields.sum() < _LEAST_LUNGS:
        return None
    ys, xs = np.nonzero(fields)
    top, bottom = (float(value) for value in np.percentile(ys, [1, 99]))
    left, right = (float(value) for value in np.percentile(xs, [1, 99]))
    wide = _WIDTHS[0] < right - left < _WIDTHS[1]
    high = _HEIGHTS[0] < bottom - top < _HEIGHTS[1]
    return (top, left, bottom, right) if wide and high else None
