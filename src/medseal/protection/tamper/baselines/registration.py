"""Bring a copy into the place of a small reference: orientation, then an affine map by ECC."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.baselines.method import Flags, Plane
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation

__all__ = ["Registered", "register"]

_COARSE_SIDE = 32
# Sides of the reference at which the map is refined, coarse to fine, and turns tried at the first.
_PYRAMID = (48, 96)
_STARTS_DEGREES = (0.0, -5.0, 5.0, -10.0, 10.0)
_GOOD_CORRELATION = 0.97
_STEPS, _EPSILON, _FILTER = 40, 1e-4, 3
_INVALID_MARGIN = 3

Affine = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registered:
    """A copy as it lies on the reference.

    Attributes
    ----------
    plane
        (rows, columns) of the reference, brightness; inverted if the copy is a negative.
    is_valid
        (rows, columns), where the copy has values.
    orientation
        In which the copy was read.
    matrix
        (2, 3), from places of the reference, (column, row), to places of the copy after its
        orientation was undone, scaled to the size of the reference.
    """

    plane: Plane
    is_valid: Flags
    orientation: Orientation
    matrix: Affine

    def on_copy(self, mask: Flags, rows: int, columns: int) -> Flags:
        """Return a mask of the reference as it lies on the copy of that size."""
        sides = (columns, rows) if self.orientation.swaps_sides else (rows, columns)
        scale = [side / small for side, small in zip(sides, mask.shape, strict=True)]
        # Places are centres: a place x at one scale is (x + 0.5) * s - 0.5 at another.
        down, across = scale
        matrix = self.matrix.astype(np.float64)
        matrix[:, 2] += 0.5
        matrix = np.diag([across, down]) @ matrix
        matrix[:, 2] -= 0.5
        mapped = cv2.warpAffine(mask.astype(np.float32), matrix, (sides[1], sides[0]))
        return self.orientation.apply(np.asarray(mapped > 0.5, np.bool_))  # noqa: PLR2004  half


def _resized(plane: Plane, rows: int, columns: int) -> Plane:
    shrinks = rows * columns < plane.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=method), np.float32)


def _correlation(one: Plane, other: Plane) -> float:
    if min(np.ptp(one), np.ptp(other)) == 0:
        return 0.0
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def _undone(plane: Plane, orientation: Orientation) -> Plane:
    upright = orientation.undo(plane[None, :, :, None])[0, :, :, 0]
    return np.ascontiguousarray(upright, np.float32)


def _oriented(plane: Plane, reference: Plane) -> tuple[Orientation, bool]:
    """Return the orientation with the strongest correlation, and whether it is negative."""
    known = _resized(reference, _COARSE_SIDE, _COARSE_SIDE)
    small = _resized(plane, _COARSE_SIDE, _COARSE_SIDE)
    found = [_correlation(known, _undone(small, each)) for each in ORIENTATIONS]
    best = int(np.argmax(np.abs(found)))
    return ORIENTATIONS[best], found[best] < 0


def _ecc(reference: Plane, copy: Plane, start: Affine) -> tuple[float, Affine]:
    """Return the correlation that a refinement of an affine map reaches, and the map."""
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _EPSILON)
    everywhere = np.full(copy.shape, 255, np.uint8)
    try:
        reached, matrix = cv2.findTransformECC(
            reference, copy, start.copy(), cv2.MOTION_AFFINE, criteria, everywhere, _FILTER
        )
    except cv2.error as error:
        # Images that have nothing in common do not converge; other errors are not ours to hide.
        if error.code != cv2.Error.StsNoConv:
            raise
        return -1.0, start
    return float(reached), np.asarray(matrix, np.float32)


def _turned(degrees: float, rows: int, columns: int) -> Affine:
    centre = ((columns - 1) / 2, (rows - 1) / 2)
    return np.asarray(cv2.getRotationMatrix2D(centre, degrees, 1.0), np.float32)


def _scaled(matrix: Affine, factor: float) -> Affine:
    result = matrix.astype(np.float64)
    # As in `Registered.on_copy`, on both sides of the map.
    linear, shift = result[:, :2], result[:, 2]
    centre = np.full(2, (factor - 1) / 2)
    result[:, 2] = factor * shift + centre - linear @ centre
    return result.astype(np.float32)


def _search(reference: Plane, copy: Plane) -> Affine:
    """Return the affine map from the reference to a copy of the same size; none from or to air."""
    matrix = np.eye(2, 3, dtype=np.float32)
    if min(np.ptp(reference), np.ptp(copy)) < 1:
        return matrix
    side = max(reference.shape)
    sides = [each for each in _PYRAMID if each < side] + [side]
    best, previous = -1.0, sides[0]
    for level, current in enumerate(sides):
        rows, columns = (max(round(s * current / side), 8) for s in reference.shape)
        pair = _resized(reference, rows, columns), _resized(copy, rows, columns)
        if level == 0:
            for degrees in _STARTS_DEGREES:
                reached, found = _ecc(*pair, _turned(degrees, rows, columns))
                if reached > best:
                    best, matrix = reached, found
                if best > _GOOD_CORRELATION:
                    break
        else:
            _, matrix = _ecc(*pair, _scaled(matrix, current / previous))
        previous = current
    return matrix


def register(plane: Plane, reference: Plane) -> Registered:
    """Return a copy as it lies on the reference.

    1. The orientation by correlation at 32 x 32. 2. An affine map by the enhanced correlation
    coefficient, coarse to fine. 3. The copy is resampled by it at twice the size and averaged.

    Parameters
    ----------
    plane
        Brightness of the copy, (rows, columns) of any size.
    reference
        (rows, columns), small.

    References
    ----------
    Evangelidis and Psarakis 2008, doi:10.1109/TPAMI.2008.113 (ECC).
    """
    # 1.
    orientation, is_negative = _oriented(plane, reference)
    upright = _undone(plane, orientation)
    if is_negative:
        upright = np.float32(255) - upright
    rows, columns = reference.shape
    # 2.
    matrix = _search(reference, _resized(upright, rows, columns))
    # 3.
    doubled = _resized(upright, 2 * rows, 2 * columns)
    fine = _scaled(matrix, 2.0)
    size = (2 * columns, 2 * rows)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(doubled, fine, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    ones = np.ones_like(doubled)
    covered = cv2.warpAffine(ones, fine, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    whole = _resized(np.asarray(covered, np.float32), rows, columns) > 0.999  # noqa: PLR2004
    kernel = np.ones((_INVALID_MARGIN, _INVALID_MARGIN), np.uint8)
    inside = cv2.erode(whole.astype(np.uint8), kernel, borderValue=1)
    return Registered(
        plane=_resized(np.asarray(moved, np.float32), rows, columns),
        is_valid=np.asarray(inside, np.bool_),
        orientation=orientation,
        matrix=matrix,
    )
