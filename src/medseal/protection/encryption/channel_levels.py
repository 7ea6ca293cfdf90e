"""Coded bits as grey levels that survive a lossy channel, and back as log-likelihood ratios.

A few levels far apart, Gray coded. What came back is judged by its own histogram: where the levels
lie now (brightness, contrast), how wide the noise is, and how many values are mere outliers (salt
and pepper). Areas without the unrest that levels have (a crop, a label painted over) are erased.
No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["LEVEL_BITS", "Reading", "levels_of", "read_levels"]

# 2, 4 or 8 levels.
LEVEL_BITS = (1, 2, 3)
_TOP = 255
_GREYS = 256
_BITS_A_BYTE = 8

# Expectation maximisation: rounds, and the first guess of the noise in grey levels.
_ROUNDS = 12
_FIRST_NOISE = 12.0
_LEAST_NOISE = 1.0
# An affine map of the levels counts as so many values of each level.
_PRIOR_COUNT = 200.0
# Share of outliers of any grey, first guess; and the least share, of those and of salt and pepper.
_FIRST_STRAY, _LEAST_OUTLIERS = 0.01, 1e-4
# Least number of levels of which some lie inside.
_INNER = 4
# Steps of the tail of the normal distribution: beyond, it is an outlier anyway.
_TAIL = 6.0

# An area is erased where the variance in a window is below this share of a high percentile of all.
_WINDOW = 5
_QUIET, _UNREST = 0.12, 80

Bits = NDArray[np.uint8]
Greys = NDArray[np.uint8]
Curve = NDArray[np.float64]


def _gray(bits: int) -> NDArray[np.uint8]:
    """Return the word of each level, lowest first; neighbours differ in one bit."""
    places = np.arange(1 << bits, dtype=np.uint8)
    return (places ^ (places >> 1)).astype(np.uint8)


def _nominal(bits: int) -> NDArray[np.float64]:
    return np.linspace(0, _TOP, 1 << bits)


def levels_of(coded: Bits, bits: int) -> Greys:
    """Return the grey levels that carry coded bits.

    Parameters
    ----------
    coded
        (count * bits,) of 0 and 1, the highest bit of each word first.
    bits
        1 to 3 of each level.

    Returns
    -------
    numpy.ndarray
        (count,), evenly spaced from 0 to 255.
    """
    words = coded.reshape(-1, bits) @ (1 << np.arange(bits - 1, -1, -1)).astype(np.uint8)
    grey_of_word = np.empty(1 << bits, np.uint8)
    grey_of_word[_gray(bits)] = np.rint(_nominal(bits))
    return grey_of_word[words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a receiver makes of the greys that came back.

    Attributes
    ----------
    log_likelihoods
        (count, bits) float32: ln P(bit = 0) - ln P(bit = 1), 0 for an erasure.
    levels
        Where each level lies now; below 0 or above 255 where the channel cut it off.
    noise
        Standard deviation around them.
    outliers, erased
        Share of values that belong to no level, and in areas that were erased.
    """

    log_likelihoods: NDArray[np.float32]
    levels: Curve
    noise: float
    outliers: float
    erased: float


def _quiet(image: Greys) -> NDArray[np.bool_] | None:
    """Return where the image lacks the unrest of levels: (rows, columns); None for nowhere."""
    if min(image.shape) < _WINDOW:
        return None
    size = (_WINDOW, _WINDOW)
    mean = cv2.boxFilter(image, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT_101)
    square = cv2.sqrBoxFilter(image, cv2.CV_32F, size, borderType=cv2.BORDER_REFLECT_101)
    square -= mean * mean
    # Of a few places: three quarters of an image may be painted over.
    low = square < _QUIET * np.percentile(square[::_WINDOW, ::_WINDOW], _UNREST)
    if not low.any():
        return None
    window = np.ones(size, np.uint8)
    # A single window may be quiet by chance; an area that was painted over has many.
    area = cv2.morphologyEx(low.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    if not area.any():
        return None
    return np.asarray(cv2.dilate(area, window)).view(np.bool_)


def _normal_tail(x: Curve) -> Curve:
    """Return P(Z > x) of a normal Z (Abramowitz and Stegun 26.2.17, error below 7.5e-8)."""
    size = np.minimum(np.abs(x), _TAIL)
    t = 1 / (1 + 0.2316419 * size)
    series = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    tail = _density(size) * series
    return np.where(x >= 0, tail, 1 - tail)


def _density(x: Curve) -> Curve:
    return np.asarray(np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi), np.float64)


def _likelihoods(levels: Curve, noise: float) -> Curve:
    """Return P(grey | level) of rounded, clipped normal noise: (levels, 256)."""
    edges = np.arange(_GREYS - 1) + 0.5
    beyond = np.zeros((len(levels), _GREYS + 1))
    beyond[:, 0] = 1
    beyond[:, 1:-1] = _normal_tail((edges[None] - levels[:, None]) / noise)
    return np.maximum(beyond[:, :-1] - beyond[:, 1:], 0.0)


def _latent(levels: Curve, noise: float) -> tuple[Curve, Curve]:
    """Return mean and mean square of the value before clipping, by level and grey: (levels, 256).

    Only the ends differ from the grey itself: there all values beyond were cut off.
    """
    mean = np.repeat(np.arange(_GREYS, dtype=np.float64)[None], len(levels), axis=0)
    square = mean**2
    for end, edge, side in ((0, 0.5, -1.0), (_GREYS - 1, _TOP - 0.5, 1.0)):
        start = np.clip(side * (edge - levels) / noise, -_TAIL, _TAIL)
        ratio = _density(start) / np.maximum(_normal_tail(start), 1e-12)
        mean[:, end] = levels + side * noise * ratio
        square[:, end] = (mean[:, end]) ** 2 + noise**2 * np.clip(
            1 + start * ratio - ratio**2, 0.0, 1.0
        )
    return mean, square


def _ends_share(filled: Curve, levels: Curve, total: float) -> float:
    """Return the share of salt and pepper: what the inner levels lack beyond chance.

    Noise moves as many values across the outermost thresholds in one direction as in the other.
    """
    count = len(levels)
    if count < _INNER:
        return _LEAST_OUTLIERS
    lower, upper = (levels[0] + levels[1]) / 2, (levels[-2] + levels[-1]) / 2
    inner = filled[int(np.clip(upper, 0, _TOP))] - filled[int(np.clip(lower, 0, _TOP))]
    lacking = 1 - inner * count / (count - 2)
    return float(np.clip(lacking - 1 / np.sqrt(total), _LEAST_OUTLIERS, 0.5))


def _fit(histogram: Curve, bits: int) -> tuple[Curve, float, Curve]:
    """Return the levels, the noise, and how likely each grey is as an outlier: (256,)."""
    count, total = 1 << bits, histogram.sum()
    filled = np.cumsum(histogram) / total
    # The median of the lowest and of the highest level stand even if their ends were cut off.
    low = float(np.searchsorted(filled, 1 / (2 * count)))
    high = float(np.searchsorted(filled, 1 - 1 / (2 * count)))
    levels = np.linspace(low, max(high, low + count), count)
    noise, stray = _FIRST_NOISE, _FIRST_STRAY
    ends = np.zeros(_GREYS)
    ends[[0, _TOP]] = _ends_share(filled, levels, total) / 2
    places = np.arange(count)
    for _ in range(_ROUNDS):
        joint = (1 - ends.sum() - stray) / count * _likelihoods(levels, noise)
        sums = joint.sum(axis=0) + ends + stray / _GREYS
        weights = histogram * joint / sums
        mean, square = _latent(levels, noise)
        shares = weights.sum(axis=1) + 1e-9
        means = (weights * mean).sum(axis=1) / shares
        slope, offset = np.polyfit(places, means, 1, w=np.sqrt(shares))
        affine = offset + slope * places
        moved = (shares * means + _PRIOR_COUNT * affine) / (shares + _PRIOR_COUNT)
        spread = (weights * (square - 2 * moved[:, None] * mean + moved[:, None] ** 2)).sum()
        levels = moved
        noise = max(_LEAST_NOISE, float(np.sqrt(max(spread, 0.0) / shares.sum())))
        stray = max(_LEAST_OUTLIERS, float((histogram * stray / _GREYS / sums).sum() / total))
    return levels, noise, ends + stray / _GREYS


def read_levels(image: Greys, places: NDArray[np.integer], bits: int) -> Reading:
    """Return what each place of a received image says of its bits.

    Parameters
    ----------
    image
        (rows, columns) uint8, as it came back.
    places
        (count,): flat places of the levels, in the order of the coded bits.
    bits
        1 to 3 of each level.
    """
    quiet = _quiet(image)
    seen = image if quiet is None or quiet.all() else image[~quiet]
    histogram = np.bincount(seen.reshape(-1), minlength=_GREYS).astype(np.float64)
    levels, noise, strays = _fit(histogram, bits)
    outliers = float(strays.sum())
    joint = (1 - outliers) * _likelihoods(levels, noise) + strays
    greys = np.take(image.reshape(-1), places)
    log_likelihoods = np.empty((len(places), bits), np.float32)
    for place in range(bits):
        ones = (_gray(bits) >> (bits - 1 - place) & 1).astype(bool)
        table = np.log(joint[~ones].sum(axis=0)) - np.log(joint[ones].sum(axis=0))
        log_likelihoods[:, place] = np.take(table.astype(np.float32), greys)
    if quiet is not None:
        log_likelihoods[np.take(quiet.reshape(-1), places)] = 0
    return Reading(
        log_likelihoods=log_likelihoods,
        levels=levels,
        noise=noise,
        outliers=outliers,
        erased=0.0 if quiet is None else float(quiet.mean()),
    )
