"""Where the content of an image lies: the object without its border, or the round field of view."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Region", "disc_region", "foreground_region", "whole_region"]

# Regions are sought on a copy of this largest side: exact to half a per cent, and fast.
_SEARCH_SIDE = 256
# A row or column whose grey values differ by less belongs to a plain border (JPEG leaves noise).
_PLAIN_RANGE = 12
# Otsu parts bright from dark; half of it keeps the dark tissue at the rim of a head.
_OTSU_SHARE = 0.5
_DISC_OTSU_SHARE = 0.3
# Nothing as small as this is a head, a chest or a breast.
_LEAST_AREA_SHARE = 0.05
# Added on each side of the box, as a share of its size.
_BOX_MARGIN = 0.02
# The rim of a field of view is blurred and bright in some cameras: it stays outside.
_DISC_SHARE = 0.97
# Fewer rim points than this share of the rows and columns do not fix an ellipse.
_LEAST_RIM_SHARE = 0.15
# Largest ratio of the axes: images of 3:2 squeezed to a square, and a little more.
_MOST_SQUEEZED = 1.8
# A field cut at the frame may reach outside by as much, relative to its visible half.
_MOST_HIDDEN = 1.6
_FIT_ROUNDS = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Region:
    """A box in an image with what counts as content in it.

    Attributes
    ----------
    top, bottom, left, right
        In pixels, the last row and column not included; may lie outside the image, where there
        is no content.
    inside
        uint8, any size, 1 for content and 0 for background, of the whole box.
    """

    top: int
    bottom: int
    left: int
    right: int
    inside: NDArray[np.uint8]

    def cut(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the box of `image`, (rows, columns) or (rows, columns, 3), black outside it."""
        rows, columns = image.shape[:2]
        part = image[
            max(self.top, 0) : min(self.bottom, rows), max(self.left, 0) : min(self.right, columns)
        ]
        border = (
            max(-self.top, 0),
            max(self.bottom - rows, 0),
            max(-self.left, 0),
            max(self.right - columns, 0),
        )
        if any(border):
            part = cv2.copyMakeBorder(part, *border, cv2.BORDER_CONSTANT, value=0)
        return np.ascontiguousarray(part)

    def mask(self, rows: int, columns: int) -> NDArray[np.uint8]:
        """Return `inside` at the size of the cut image: uint8, (rows, columns), 0 or 1."""
        resized = cv2.resize(self.inside, (columns, rows), interpolation=cv2.INTER_NEAREST)
        return np.asarray(resized, dtype=np.uint8)

    def shrunk(self, share: float) -> "Region":
        """Return the region without `share` of its size, [0, 0.5), on each side."""
        dy = round((self.bottom - self.top) * share)
        dx = round((self.right - self.left) * share)
        rows, columns = self.inside.shape
        my, mx = round(rows * share), round(columns * share)
        return Region(
            top=self.top + dy,
            bottom=max(self.bottom - dy, self.top + dy + 1),
            left=self.left + dx,
            right=max(self.right - dx, self.left + dx + 1),
            inside=self.inside[my : max(rows - my, my + 1), mx : max(columns - mx, mx + 1)],
        )


def whole_region(rows: int, columns: int) -> Region:
    """Return the whole image as content."""
    inside = np.ones((1, 1), dtype=np.uint8)
    return Region(top=0, bottom=rows, left=0, right=columns, inside=inside)


def foreground_region(image: NDArray[np.uint8]) -> Region:
    """Return the box round the largest bright object: a head, a chest, a scanned sector.

    A plain border of any grey is left out first. Then the blurred image is parted at half of
    Otsu's threshold, thin lines are opened away, and the largest connected object is taken, so
    letters, rulers and frames do not widen the box.

    Parameters
    ----------
    image
        uint8, (rows, columns) or (rows, columns, 3), content brighter than the background.

    Returns
    -------
    Region
        With 2 % of margin, inside the image; the whole image when no object of 5 % of its area
        stands out. Content is the object with its holes.

    References
    ----------
    Otsu 1979, doi:10.1109/TSMC.1979.4310076.
    """
    rows, columns = image.shape[:2]
    small, scale = _search_copy(image)
    first_row, last_row = _not_plain(small)
    first_column, last_column = _not_plain(small.T)
    inner = small[first_row:last_row, first_column:last_column]
    if inner.size == 0:
        return whole_region(rows, columns)
    found = _largest_object(inner, share=_OTSU_SHARE)
    if found is None:
        return whole_region(rows, columns)
    ys, xs = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    dy, dx = (ys[-1] - ys[0] + 1) * _BOX_MARGIN, (xs[-1] - xs[0] + 1) * _BOX_MARGIN
    top = max(round((first_row + ys[0] - dy) / scale[0]), 0)
    bottom = min(round((first_row + ys[-1] + 1 + dy) / scale[0]), rows)
    left = max(round((first_column + xs[0] - dx) / scale[1]), 0)
    right = min(round((first_column + xs[-1] + 1 + dx) / scale[1]), columns)
    inside = np.zeros(small.shape, dtype=np.uint8)
    inside[first_row:last_row, first_column:last_column] = found
    part = inside[
        round(top * scale[0]) : max(round(bottom * scale[0]), round(top * scale[0]) + 1),
        round(left * scale[1]) : max(round(right * scale[1]), round(left * scale[1]) + 1),
    ]
    return Region(top=top, bottom=bottom, left=left, right=right, inside=part)


def disc_region(image: NDArray[np.uint8]) -> Region:
    """Return the round field of view of a camera, also when the frame cuts it.

    An ellipse with upright axes is fitted to the visible rim, so a field that was squeezed with
    its image becomes round again when the box is resized to a square.

    Parameters
    ----------
    image
        uint8, (rows, columns) or (rows, columns, 3), the field brighter than its surroundings.

    Returns
    -------
    Region
        The box of the ellipse; it reaches outside the image where the frame cuts the field.
        Content is the ellipse without 3 % at its rim, inside the image. When no rim is seen, the
        box of the bright object, all of it content.
    """
    rows, columns = image.shape[:2]
    small, scale = _search_copy(image)
    found = _largest_object(small, share=_DISC_OTSU_SHARE)
    if found is None:
        return whole_region(rows, columns)
    ys, xs = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    box = (float(xs[0]), float(xs[-1] + 1), float(ys[0]), float(ys[-1] + 1))
    ellipse = _fit_ellipse(_rim_points(found), box)
    round_field = ellipse is not None
    left, right, top, bottom = ellipse or box
    region = Region(
        top=round(top / scale[0]),
        bottom=max(round(bottom / scale[0]), round(top / scale[0]) + 1),
        left=round(left / scale[1]),
        right=max(round(right / scale[1]), round(left / scale[1]) + 1),
        inside=np.ones((1, 1), dtype=np.uint8),
    )
    if not round_field:
        return region
    return Region(
        top=region.top,
        bottom=region.bottom,
        left=region.left,
        right=region.right,
        inside=_ellipse_mask(region, rows, columns),
    )


def _search_copy(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[float, float]]:
    """Return a small grey copy (the brightest channel) and its scale along rows and columns."""
    rows, columns = image.shape[:2]
    shrink = max(rows, columns) / _SEARCH_SIDE
    if shrink > 1:
        size = (max(round(columns / shrink), 1), max(round(rows / shrink), 1))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    # Retina is red and skin light: the brightest channel stands out most from black.
    small = image if image.ndim == 2 else _brightest(image)  # noqa: PLR2004  # (rows, columns)
    return small, (small.shape[0] / rows, small.shape[1] / columns)


def _brightest(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    red, green, blue = cv2.split(image)  # ten times as fast as a maximum over the last axis
    return np.asarray(cv2.max(cv2.max(red, green), blue), dtype=np.uint8)


def _not_plain(grey: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the first row that is not of one grey, and the row after the last such."""
    spread = grey.max(axis=1).astype(np.int16) - grey.min(axis=1)
    busy = np.flatnonzero(spread >= _PLAIN_RANGE)
    return (int(busy[0]), int(busy[-1]) + 1) if len(busy) else (0, 0)


def _largest_object(grey: NDArray[np.uint8], *, share: float) -> NDArray[np.uint8] | None:
    """Return the largest bright object with its holes filled, or None if there is none."""
    blurred = cv2.GaussianBlur(grey, (0, 0), 2)
    level, _ = cv2.threshold(blurred, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = (blurred > max(level * share, 1)).astype(np.uint8)
    bright = cv2.morphologyEx(bright, cv2.MORPH_OPEN, np.ones((7, 7), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(bright, connectivity=4)
    if count < 2:  # noqa: PLR2004  # label 0 is the background
        return None
    best = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    if stats[best, cv2.CC_STAT_AREA] < _LEAST_AREA_SHARE * grey.size:
        return None
    found: NDArray[np.uint8] = (labels == best).astype(np.uint8)
    outlines, _ = cv2.findContours(found, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(found, outlines, -1, 1, thickness=cv2.FILLED)
    return found


def _rim_points(found: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the outermost points of each row and column that do not lie on the frame, (n, 2)."""
    rows, columns = found.shape
    ys, xs = np.flatnonzero(found.any(axis=1)), np.flatnonzero(found.any(axis=0))
    first_x = found[ys].argmax(axis=1)
    last_x = columns - found[ys, ::-1].argmax(axis=1)
    first_y = found[:, xs].argmax(axis=0)
    last_y = rows - found[::-1, xs].argmax(axis=0)
    points: NDArray[np.float64] = np.concatenate(
        [
            np.stack([first_x, ys + 0.5], axis=1),
            np.stack([last_x, ys + 0.5], axis=1),
            np.stack([xs + 0.5, first_y], axis=1),
            np.stack([xs + 0.5, last_y], axis=1),
        ]
    )
    edge = 3
    x, y = points[:, 0], points[:, 1]
    free = (x > edge) & (x < columns - edge) & (y > edge) & (y < rows - edge)
    return np.asarray(points[free], dtype=np.float64)


def _fit_ellipse(
    points: NDArray[np.float64], box: tuple[float, float, float, float]
) -> tuple[float, float, float, float] | None:
    """Return left, right, top and bottom of the upright ellipse through rim points, or None."""
    half_width, half_height = (box[1] - box[0]) / 2, (box[3] - box[2]) / 2
    centre_x, centre_y = (box[0] + box[1]) / 2, (box[2] + box[3]) / 2
    x, y = (points[:, 0] - centre_x) / half_width, (points[:, 1] - centre_y) / half_height
    least = _LEAST_RIM_SHARE * 4 * (half_width + half_height)
    kept = np.ones(len(x), dtype=bool)
    for _ in range(_FIT_ROUNDS):
        if kept.sum() < least:
            return None
        # u x^2 + v y^2 + p x + q y = 1, in least squares.
        terms = np.stack([x**2, y**2, x, y], axis=1)
        u, v, p, q = np.linalg.lstsq(terms[kept], np.ones(int(kept.sum())), rcond=None)[0]
        if u <= 0 or v <= 0:
            return None
        error = np.abs(terms @ np.array([u, v, p, q]) - 1)
        # Notches and glare at the rim leave the fit round by round.
        kept = error <= max(2 * float(np.median(error[kept])), 0.02)
    middle_x, middle_y = -p / (2 * u), -q / (2 * v)
    size = 1 + u * middle_x**2 + v * middle_y**2
    a, b = np.sqrt(size / u), np.sqrt(size / v)
    squeezed = (a * half_width) / (b * half_height)
    if not (1 / _MOST_SQUEEZED < squeezed < _MOST_SQUEEZED and max(a, b) < _MOST_HIDDEN):
        return None
    return (
        float(centre_x + (middle_x - a) * half_width),
        float(centre_x + (middle_x + a) * half_width),
        float(centre_y + (middle_y - b) * half_height),
        float(centre_y + (middle_y + b) * half_height),
    )


def _ellipse_mask(region: Region, rows: int, columns: int) -> NDArray[np.uint8]:
    """Return the content of the box of an ellipse, in the search resolution."""
    steps = (np.arange(_SEARCH_SIDE) + 0.5) / _SEARCH_SIDE
    y, x = 2 * steps[:, None] - 1, 2 * steps[None, :] - 1
    image_y = region.top + steps[:, None] * (region.bottom - region.top)
    image_x = region.left + steps[None, :] * (region.right - region.left)
    seen = (image_y > 0) & (image_y < rows) & (image_x > 0) & (image_x < columns)
    return (((x**2 + y**2) < _DISC_SHARE**2) & seen).astype(np.uint8)
