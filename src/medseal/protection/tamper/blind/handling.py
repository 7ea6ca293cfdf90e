"""What happens to a copy in good faith, drawn at random: alike for a forged tile and its twin."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, exp

import numpy as np
from numpy.typing import NDArray

from medseal.protection.attacks import compression, filters, geometry, grey_values
from medseal.protection.attacks.levels import WHITE_LEVEL, Change, Levels

__all__ = ["Handling", "random_handling"]

# Of the draws, those with one step, with two and with three.
_STEPS = (0.6, 0.3, 0.1)
# A place belongs to a mask that has moved if so much of it does.
_LEAST_SHARE = 0.4
# Places at the border that filters and turns spoil.
_MARGIN = 12
_MOST_DEGREES = 12.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    """One kind with its settings drawn; `scale` is what it does to the sides."""

    change: Change
    moves: bool = False
    scale: float = 1.0
    reach: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Handling:
    """Steps in sequence; an empty one changes nothing.

    Attributes
    ----------
    names
        Kinds of the steps.
    """

    names: tuple[str, ...]
    _steps: tuple[_Step, ...]

    def side_before(self, side: int) -> int:
        """Return the side of a square that is enough for one of `side` afterwards."""
        if not self._steps:
            return side
        needed = float(side)
        for step in reversed(self._steps):
            needed = needed / step.scale * step.reach
        return ceil(needed) + _MARGIN

    def apply(self, levels: Levels) -> Levels:
        """Return the levels afterwards, between black and white; not rounded by the last step."""
        for place, step in enumerate(self._steps):
            changed = step.change(compression.to_8_bits(levels) if place else levels)
            levels = np.asarray(np.clip(changed, 0, WHITE_LEVEL), np.float32)
        return levels

    def moved(self, mask: Mask) -> Mask:
        """Return where the places of a mask lie afterwards."""
        if not any(step.moves for step in self._steps):
            return mask
        shown = mask.astype(np.float32) * np.float32(WHITE_LEVEL)
        for step in self._steps:
            if step.moves:
                shown = step.change(shown)
        return np.asarray(shown > _LEAST_SHARE * WHITE_LEVEL, np.bool_)


def _jpeg(rng: np.random.Generator) -> _Step:
    quality = round(98 - 50 * rng.random() ** 1.3)
    return _Step(change=lambda levels: compression.jpeg(levels, quality=quality))


def _jpeg2000(rng: np.random.Generator) -> _Step:
    ratio = rng.uniform(4, 16)
    return _Step(change=lambda levels: compression.jpeg2000(levels, ratio=ratio))


def _noise(rng: np.random.Generator) -> _Step:
    sigma, seed = rng.uniform(0.5, 6), int(rng.integers(2**63))
    # The twin gets the same noise: what differs is the change alone.
    return _Step(
        change=lambda levels: filters.gaussian_noise(
            levels, sigma=sigma, rng=np.random.default_rng(seed)
        )
    )


def _blur(rng: np.random.Generator) -> _Step:
    sigma = rng.uniform(0.3, 1.2)
    return _Step(change=lambda levels: filters.blur(levels, sigma=sigma))


def _sharpen(rng: np.random.Generator) -> _Step:
    sigma, amount = rng.uniform(0.7, 2), rng.uniform(0.2, 0.8)
    return _Step(change=lambda levels: filters.sharpen(levels, sigma=sigma, amount=amount))


def _median(_: np.random.Generator) -> _Step:
    return _Step(change=lambda levels: filters.median(levels, size=3))


def _resize(rng: np.random.Generator) -> _Step:
    scale = exp(rng.uniform(-0.6, 0.55))

    def change(levels: Levels) -> Levels:
        rows, columns = (max(round(side * scale), 1) for side in levels.shape[:2])
        return geometry.resize_to(levels, rows=rows, columns=columns)

    return _Step(change=change, moves=True, scale=scale)


def _resize_and_back(rng: np.random.Generator) -> _Step:
    factor = rng.uniform(0.5, 0.95)
    return _Step(change=lambda levels: geometry.resize_and_back(levels, factor=factor))


def _rotation(rng: np.random.Generator) -> _Step:
    degrees = rng.uniform(-_MOST_DEGREES, _MOST_DEGREES)
    radians = np.deg2rad(abs(degrees))
    reach = float(np.cos(radians) + np.sin(radians))
    return _Step(
        change=lambda levels: geometry.rotate(levels, degrees=degrees), moves=True, reach=reach
    )


def _gamma(rng: np.random.Generator) -> _Step:
    exponent = exp(rng.uniform(-0.4, 0.4))
    return _Step(change=lambda levels: grey_values.gamma(levels, exponent=exponent))


def _window(rng: np.random.Generator) -> _Step:
    low, high = rng.uniform(-0.15, 0.1), rng.uniform(0.9, 1.15)
    return _Step(change=lambda levels: grey_values.window(levels, low=low, high=high))


# Kinds with the weight of each among the draws; copies go through compression and sampling most.
_KINDS: Mapping[str, tuple[float, Callable[[np.random.Generator], _Step]]] = {
    "JPEG": (5, _jpeg),
    "JPEG 2000": (0.5, _jpeg2000),
    "noise": (1.5, _noise),
    "blur": (1, _blur),
    "sharpen": (0.5, _sharpen),
    "median": (0.3, _median),
    "resize": (3, _resize),
    "resize and back": (1, _resize_and_back),
    "rotation": (2, _rotation),
    "gamma": (1, _gamma),
    "window": (1, _window),
}


def random_handling(rng: np.random.Generator, *, share: float) -> Handling:
    """Return steps of random kinds, or none at all.

    Parameters
    ----------
    rng
        Source of kinds and settings.
    share
        Probability of any, 0 to 1.
    """
    if rng.random() >= share:
        return Handling(names=(), _steps=())
    count = 1 + int(rng.choice(len(_STEPS), p=_STEPS))
    weights = np.array([weight for weight, _ in _KINDS.values()])
    chosen = rng.choice(list(_KINDS), count, replace=False, p=weights / weights.sum())
    names = tuple(str(name) for name in chosen)
    return Handling(names=names, _steps=tuple(_KINDS[name][1](rng) for name in names))
