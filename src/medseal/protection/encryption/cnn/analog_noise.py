"""What a channel did to an analog cipher image, read from its pixels alone.

Unmasked, a pixel lies near one of a few points on a circle. From the distances follow the channel's
tone curve, the spread of its noise, and the pixels that it destroyed: in areas, or alone. No
security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.encryption.cnn.analog_carrier import LEVELS, POINT_DISTANCE

__all__ = ["Channel", "blank_areas", "kept_of", "loud_channel", "point_densities", "read_channel"]

Floats = NDArray[np.float32]

_SPREADS = (0.6, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.5, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0)
_LOUD_SPREADS = (23.0, 26.0, 30.0, 35.0, 41.0)
_LOST_SHARES = (0.002, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35)
# A window of random levels has a deviation of 74; what replaces it, or lies flat, has less.
_WINDOW = 9
_LEAST_DEVIATION = 42.0
_AREA_WINDOW = 13
_AREA_LOG_ODDS = 2.0
_MOST_EVIDENCE = 4.0
_MOST_LOG_ODDS = 30.0
_ROUNDS = 2
# A residual is louder in some parts of an image than in others.
_NEAR_WINDOW, _LEAST_SHARE = 7, np.float32(0.05)
_NEAR_TAILS = ((0.8, 0.8), (0.2, 2.5))
_TAILS = ((0.2, 14.0), (0.01, 35.0))
_LEAST_COUNT = 40
_LIKELY = 0.5
_LOUD_SPREAD = 34.0
_SIGNIFICANT = 3.0
# Levels that are read together in the tone curve: few where there are many pixels.
_LEAST_WIDTH, _MOST_WIDTH, _WIDTH_PIXELS = 4.0, 40.0, 3e5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Channel:
    """A reading of the channel.

    Attributes
    ----------
    offsets
        How far a received level lies above what was sent, on average: (256,).
    spread
        Standard deviation of noise and residual together, in levels.
    lost
        Probability of each pixel to say nothing of what was sent, by its surroundings and its
        received level: (rows, columns).
    kept
        Probability of each pixel to have come through, by what it says itself too.
    """

    offsets: Floats
    spread: float
    lost: Floats
    kept: Floats


def _wrapped(distance: Floats, period: int) -> Floats:
    return np.asarray((distance + period / 2) % period - period / 2, np.float32)


def blank_areas(frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a frame shows something else than random levels: (rows, columns)."""
    values = frame.astype(np.float32)
    size = (_WINDOW, _WINDOW)
    mean = cv2.blur(values, size, borderType=cv2.BORDER_REFLECT)
    square = cv2.blur(values * values, size, borderType=cv2.BORDER_REFLECT)
    flat = (square - mean * mean < _LEAST_DEVIATION**2).astype(np.uint8)
    return np.asarray(flat, np.bool_)


def _offsets(frame: NDArray[np.uint8], content: Floats, weight: Floats, period: int) -> Floats:
    """Return the tone curve: mean distance of each received level, followed around the circle."""
    turn = 2 * np.pi / period
    levels = frame.reshape(-1)
    weights = weight.reshape(-1).astype(np.float64)
    angle = (content.reshape(-1) * np.float32(turn)).astype(np.float32)
    count = np.bincount(levels, weights, LEVELS)
    sums = np.bincount(levels, weights * np.cos(angle), LEVELS) + 1j * np.bincount(
        levels, weights * np.sin(angle), LEVELS
    )
    width = float(np.clip(_WIDTH_PIXELS / max(count.sum(), 1), _LEAST_WIDTH, _MOST_WIDTH))
    inner = slice(1, LEVELS - 1)
    distance = np.arange(LEVELS - 2)[:, None] - np.arange(LEVELS - 2)[None]
    kernel = np.exp(-0.5 * (distance / width) ** 2)
    smooth, pixels = sums.copy(), count.copy()
    smooth[inner], pixels[inner] = kernel @ sums[inner], kernel @ count[inner]
    significant = np.abs(smooth) > _SIGNIFICANT * np.sqrt(np.maximum(pixels, 1))
    found = np.where(significant, np.angle(smooth), 0.0)
    middle = LEVELS // 2
    upper = np.unwrap(found[middle:])
    lower = np.unwrap(found[: middle + 1][::-1])[::-1]
    curve = np.concatenate([lower[:-1], upper]) / turn
    # What is less than a level is chance: values that came through whole must stay whole.
    return np.asarray(np.where(np.abs(curve) < 1, 0, curve), np.float32)


def _density(distance: Floats, spread: float, period: int) -> Floats:
    """Return the density of wrapped noise: normal, with the heavier tails of a residual."""
    total = np.zeros_like(distance)
    parts = [(1 - sum(share for share, _ in _TAILS), spread)]
    parts += [(share, float(np.hypot(spread, tail))) for share, tail in _TAILS]
    for turn in (-1, 0, 1):
        square = np.square(distance + np.float32(turn * period))
        for share, wide in parts:
            total += np.float32(share / wide) * np.exp(square * np.float32(-0.5 / wide**2))
    return np.asarray(total / np.float32(np.sqrt(2 * np.pi)), np.float32)


def _fitted(distance: Floats, weight: Floats, period: int) -> tuple[float, float]:
    """Return spread and share of pixels lost alone that make the distances most likely."""
    bins = np.clip(np.floor(distance + period / 2), 0, period - 1).astype(np.int64)
    counts = np.bincount(bins.reshape(-1), weight.reshape(-1).astype(np.float64), period)
    centres = np.arange(period, dtype=np.float32) - period / 2 + np.float32(0.5)
    best = (-np.inf, 1.0, 0.0)
    for spread in _SPREADS + _LOUD_SPREADS:
        density = _density(centres, float(np.hypot(spread, 0.3)), period)
        for lost in _LOST_SHARES:
            likelihood = float(counts @ np.log((1 - lost) * density + lost / period))
            best = max(best, (likelihood, float(spread), lost))
    return best[1], best[2]


def _edge_losses(frame: NDArray[np.uint8], distance: Floats, weight: Floats, period: int) -> Floats:
    """Return how many pixels of each received level are lost alone, beyond those of all: (256,).

    Salt and pepper sit at the ends of the scale, where few pixels lie by right.
    """
    turn = 2 * np.pi / period
    losses = np.zeros(LEVELS, np.float32)
    usual = float(np.average(np.cos(distance * turn), weights=weight))
    for level in (0, LEVELS - 1):
        here = (frame == level) & (weight > _LIKELY)
        if here.sum() >= _LEAST_COUNT and usual > 0:
            coherent = max(float(np.cos(distance[here] * turn).mean()), 0.0)
            losses[level] = float(np.clip(1 - coherent / usual, 0, 0.995))
    return losses


def read_channel(
    frame: NDArray[np.uint8], content: NDArray[np.uint8], *, period: int, known: NDArray[np.bool_]
) -> Channel:
    """Return a reading of the channel.

    Parameters
    ----------
    frame
        Received levels, (rows, columns).
    content
        Unmasked, less the point where it is known: (rows, columns).
    period
        Distance of the points that remain possible: 64 where none is known, 256 where they are.
    known
        Pixels to be read; the others are only judged by their surroundings.
    """
    flat = blank_areas(frame)
    use = known.astype(np.float32)
    weight = np.where(flat, np.float32(0.02), np.float32(1))
    values = content.astype(np.float32)
    offsets = np.zeros(LEVELS, np.float32)
    spread, alone = 8.0, 0.01
    losses = np.zeros(LEVELS, np.float32)
    for _ in range(_ROUNDS):
        offsets = _offsets(frame, values, weight * use, period)
        distance = _wrapped(values - offsets[frame], period)
        spread, alone = _fitted(distance, weight * use, period)
        losses = _edge_losses(frame, distance, weight * use, period)
        own = (1 - alone) * (1 - losses[frame])
        good = own * _density(distance, spread, period) + (1 - own) / period
        # Bounded below, so that an area that is lost does not win over its neighbours.
        evidence = np.maximum(np.log(good * period), -_MOST_EVIDENCE) * use
        size = (_AREA_WINDOW, _AREA_WINDOW)
        total = cv2.boxFilter(evidence, -1, size, normalize=False, borderType=cv2.BORDER_REFLECT)
        odds = np.clip(total + _AREA_LOG_ODDS, -_MOST_LOG_ODDS, _MOST_LOG_ODDS)
        weight = np.asarray(1 / (1 + np.exp(-odds)), np.float32)
    prior = weight * (1 - alone) * (1 - losses[frame])
    good = prior * _density(distance, spread, period)
    kept = good / (good + (1 - prior) / period)
    return Channel(
        offsets=offsets,
        spread=spread,
        lost=np.asarray(1 - prior, np.float32),
        kept=np.asarray(kept, np.float32),
    )


def _around(values: Floats) -> Floats:
    """Return the mean of each place's neighbours, without its own value."""
    size = (_NEAR_WINDOW, _NEAR_WINDOW)
    total = cv2.boxFilter(values, -1, size, normalize=False, borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.maximum(total - values, 0) / (_NEAR_WINDOW**2 - 1), np.float32)


def kept_of(distance: Floats, kept: Floats, lost: Floats) -> Floats:
    """Return the probability of each shift to have come through, by its neighbours in the image.

    Where an image has much that its coarse picture lacks, large shifts are no sign of a loss.

    Parameters
    ----------
    distance
        Shifts as they were heard, in the places of the image: (rows, columns).
    kept, lost
        As in `Channel`, in the same places.
    """
    result = kept
    for _ in range(_ROUNDS):
        sure = result * np.square(1 - lost)
        power, share = (_around(values) for values in (sure * np.square(distance), sure))
        spread = np.sqrt(power / (share + _LEAST_SHARE) + np.float32(1))
        good = np.zeros_like(distance)
        for part, factor in _NEAR_TAILS:
            square = np.square(distance / (spread * np.float32(factor)))
            good += np.float32(part / factor) * np.exp(np.float32(-0.5) * square)
        good *= (1 - lost) / (spread * np.float32(np.sqrt(2 * np.pi)))
        result = np.asarray(good / (good + lost / LEVELS), np.float32)
    # What its surroundings say counts once more: a false value costs more than a missing one.
    usual = np.float32(np.median(1 - lost))
    return np.asarray(result * np.minimum((1 - lost) / usual, 1), np.float32)


def loud_channel(frame: NDArray[np.uint8]) -> Channel:
    """Return the channel of noise too loud for its spread to be read: only flat areas are lost."""
    lost = np.where(blank_areas(frame), np.float32(0.98), np.float32(0.01))
    offsets = np.zeros(LEVELS, np.float32)
    return Channel(offsets=offsets, spread=_LOUD_SPREAD, lost=lost, kept=1 - lost)


def point_densities(content: Floats, lost: Floats, spread: float) -> Floats:
    """Return the density of each of the four points: (4, cells).

    Parameters
    ----------
    content
        Unmasked, less the tone curve's offset: (cells,).
    lost
        Probability to say nothing: (cells,).
    spread
        Standard deviation in levels.
    """
    least = np.float32(1e-7)
    return np.stack(
        [
            (1 - lost) * _density(_wrapped(content - point, LEVELS), spread, LEVELS)
            + lost / LEVELS
            + least
            for point in range(0, LEVELS, POINT_DISTANCE)
        ]
    )
