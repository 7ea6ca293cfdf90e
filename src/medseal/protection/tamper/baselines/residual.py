"""What remains between a reference and a registered copy: grey curve fitted, edges allowed for."""

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.tamper.baselines.method import Flags, Plane

__all__ = ["deviations", "grey_curve", "mask_of"]

_MAD_TO_SIGMA = 1.4826
# Noise that is always allowed for: quantisation of a reference of 5 to 6 bits, in levels, and a
# misplacement by a fifth of a pixel, in levels for each level of gradient.
_LEAST_NOISE, _LEAST_SHARE = 1.8, 0.2
_GRADIENT_GROUPS = 12
_LEAST_PLACES = 64
# A mask grows from places above the threshold over neighbours above this share of it.
_GROWTH = 0.5

Curve = NDArray[np.float64]


def _monotone(values: Curve, weights: Curve) -> Curve:
    """Return the nearest rising sequence: pool adjacent violators."""
    means: list[float] = []
    counts: list[float] = []
    sizes: list[int] = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        means.append(value)
        counts.append(weight)
        sizes.append(1)
        while len(means) > 1 and means[-2] > means[-1]:
            total = counts[-2] + counts[-1]
            means[-2] = (means[-2] * counts[-2] + means[-1] * counts[-1]) / total
            counts[-2], sizes[-2] = total, sizes[-2] + sizes[-1]
            del means[-1], counts[-1], sizes[-1]
    return np.repeat(means, sizes)


def grey_curve(reference: Plane, copy: Plane, is_valid: Flags) -> Plane:
    """Return the reference with the grey values of the copy: the best rising curve.

    Parameters
    ----------
    reference, copy
        (rows, columns), levels; the reference has few distinct ones.
    is_valid
        Places that count.

    References
    ----------
    Barlow et al. 1972, Statistical inference under order restrictions (pool adjacent violators).
    """
    known, here = reference[is_valid], copy[is_valid]
    levels = np.unique(known)
    number = np.searchsorted(levels, known)
    order = np.argsort(number, kind="stable")
    groups = np.split(here[order], np.flatnonzero(np.diff(number[order])) + 1)
    medians = np.array([np.median(group) for group in groups], np.float64)
    counts = np.array([group.size for group in groups], np.float64)
    curve = _monotone(medians, counts)
    return np.asarray(np.interp(reference, levels, curve), np.float32)


def _gradient(plane: Plane) -> Plane:
    down, across = cv2.Sobel(plane, cv2.CV_32F, 0, 1), cv2.Sobel(plane, cv2.CV_32F, 1, 0)
    strength = np.hypot(down, across) / np.float32(8)
    return np.asarray(cv2.dilate(strength, np.ones((3, 3), np.uint8)), np.float32)


def _noise(residual: Plane, gradient: Plane, is_valid: Flags) -> Plane:
    """Return the expected deviation of each place, a line in the gradient fitted robustly.

    Misplacement by a part of a pixel, compression and blur change a place the more, the steeper
    its surroundings are.
    """
    size, slope = np.abs(residual[is_valid]), gradient[is_valid]
    order = np.argsort(slope, kind="stable")
    groups = np.array_split(order, _GRADIENT_GROUPS)
    deviation = np.array([_MAD_TO_SIGMA * np.median(size[group]) for group in groups])
    steepness = np.array([np.median(slope[group]) for group in groups])
    design = np.stack([np.ones_like(steepness), steepness**2], axis=1)
    base, share = np.maximum(np.linalg.lstsq(design, deviation**2, rcond=None)[0], 0)
    edges = (share + _LEAST_SHARE**2) * gradient**2
    return np.asarray(np.sqrt(base + edges + _LEAST_NOISE**2), np.float32)


def deviations(reference: Plane, copy: Plane, is_valid: Flags) -> Plane:
    """Return how far each place of a registered copy lies from the reference, in deviations.

    The larger of what a place shows alone and in the mean of 3 x 3; zero where the copy has no
    values, or fewer than 64 in all.
    """
    if np.count_nonzero(is_valid) < _LEAST_PLACES:
        return np.zeros_like(reference)
    expected = grey_curve(reference, copy, is_valid)
    residual = copy - expected
    gradient = np.maximum(_gradient(expected), _gradient(copy))
    single = np.where(is_valid, residual / _noise(residual, gradient, is_valid), 0)
    mean = cv2.blur(np.asarray(single, np.float32), (3, 3))
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(mean[is_valid])))
    # Of independent noise the mean of nine has a third of the deviation.
    joint = mean / np.float32(max(spread, 1 / 3))
    return np.asarray(np.maximum(np.abs(single), np.abs(joint)), np.float32)


def mask_of(deviation: Plane, *, threshold: float) -> Flags:
    """Return the connected places above half the threshold that reach above the threshold."""
    candidates = (deviation > _GROWTH * threshold).astype(np.uint8)
    _, part = cv2.connectedComponents(candidates, connectivity=8)
    reached = np.unique(part[deviation > threshold])
    return np.asarray(np.isin(part, reached[reached > 0]), np.bool_)
