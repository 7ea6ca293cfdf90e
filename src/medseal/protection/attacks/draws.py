"""Random distortions of levels for training: one or two in sequence, harder with the strength."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from medseal.errors import InputError
from medseal.protection.attacks import compression, filters, geometry, grey_values
from medseal.protection.attacks.levels import Change, Levels

__all__ = ["IN_PLACE", "MOVING", "Drawn", "random_distortion"]

# Of two distortions in sequence instead of one, at full strength.
_PAIR_PROBABILITY = 0.35

Draw = Callable[[np.random.Generator, float], Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A distortion with its settings drawn.

    Attributes
    ----------
    name
        Its kind, two joined by " + ".
    apply
        Takes float32 levels, (rows, columns) or (rows, columns, 3), 0 to 255; gives whole ones.
        The same levels give the same result each time: noise has a seed of its own.
    steps
        Kind and function of each distortion in sequence; what they give is not rounded.
    """

    name: str
    apply: Change
    steps: tuple[tuple[str, Change], ...]


def _own_generator(rng: np.random.Generator) -> Callable[[], np.random.Generator]:
    seed = int(rng.integers(2**63))
    return lambda: np.random.default_rng(seed)


def _unchanged(_: np.random.Generator, __: float) -> Change:
    return lambda levels: levels


def _jpeg(rng: np.random.Generator, strength: float) -> Change:
    quality = round(rng.uniform(95 - 70 * strength, 95))
    return lambda levels: compression.jpeg(levels, quality=quality)


def _jpeg2000(rng: np.random.Generator, strength: float) -> Change:
    ratio = rng.uniform(4, 4 + 26 * strength)
    return lambda levels: compression.jpeg2000(levels, ratio=ratio)


def _noise(rng: np.random.Generator, strength: float) -> Change:
    sigma, generator = rng.uniform(0, 12 * strength), _own_generator(rng)
    return lambda levels: filters.gaussian_noise(levels, sigma=sigma, rng=generator())


def _salt_and_pepper(rng: np.random.Generator, strength: float) -> Change:
    share, generator = rng.uniform(0, 0.015 * strength), _own_generator(rng)
    return lambda levels: filters.salt_and_pepper(levels, share=share, rng=generator())


def _blur(rng: np.random.Generator, strength: float) -> Change:
    sigma = rng.uniform(0.3, 0.3 + 2 * strength)
    return lambda levels: filters.blur(levels, sigma=sigma)


def _median(_: np.random.Generator, __: float) -> Change:
    return lambda levels: filters.median(levels, size=3)


def _resize(rng: np.random.Generator, strength: float) -> Change:
    factor = rng.uniform(1 - 0.6 * strength, 1)
    return lambda levels: geometry.resize_and_back(levels, factor=factor)


def _crop_black(rng: np.random.Generator, strength: float) -> Change:
    keep, place = rng.uniform(1 - 0.55 * strength, 1), rng.random(2).tolist()
    return lambda levels: geometry.crop_black(levels, keep=keep, place=place)


def _slight_warp(rng: np.random.Generator, strength: float) -> Change:
    """Draw what a synchronisation leaves over."""
    degrees, scale = rng.uniform(-0.5, 0.5) * strength, 1 + rng.uniform(-0.007, 0.007) * strength
    shift = (rng.uniform(-0.6, 0.6, 2) * strength).tolist()
    return lambda levels: geometry.rotate(levels, degrees=degrees, scale=scale, shift=shift)


def _brightness(rng: np.random.Generator, strength: float) -> Change:
    share = rng.uniform(-0.25, 0.25) * strength
    return lambda levels: grey_values.brightness(levels, share=share)


def _contrast(rng: np.random.Generator, strength: float) -> Change:
    factor = 1 + rng.uniform(-0.3, 0.3) * strength
    return lambda levels: grey_values.contrast(levels, factor=factor)


def _gamma(rng: np.random.Generator, strength: float) -> Change:
    exponent = float(np.exp(rng.uniform(-0.45, 0.45) * strength))
    return lambda levels: grey_values.gamma(levels, exponent=exponent)


def _clahe(rng: np.random.Generator, strength: float) -> Change:
    clip_limit, tiles = 1 + rng.uniform(0, 2) * strength, int(rng.integers(2, 9))
    return lambda levels: grey_values.clahe(levels, clip_limit=clip_limit, tiles=tiles)


def _window(rng: np.random.Generator, strength: float) -> Change:
    low, high = rng.uniform(0, 7 * strength), 100 - rng.uniform(0, 7 * strength)
    return lambda levels: grey_values.window_percentiles(levels, low=low, high=high)


def _twelve_bits(rng: np.random.Generator, _: float) -> Change:
    generator = _own_generator(rng)
    return lambda levels: grey_values.twelve_to_8_bits(levels, rng=generator())


def _rotation(rng: np.random.Generator, strength: float) -> Change:
    degrees = rng.uniform(-20, 20) * strength
    return lambda levels: geometry.rotate(levels, degrees=degrees)


def _crop_resized(rng: np.random.Generator, strength: float) -> Change:
    keep, place = rng.uniform(1 - 0.55 * strength, 1), rng.random(2).tolist()
    return lambda levels: geometry.crop_resized(levels, keep=keep, place=place)


def _turn(rng: np.random.Generator, _: float) -> Change:
    turns = int(rng.integers(1, 4))
    return lambda levels: geometry.quarter_turn(levels, turns=turns)


def _flip(rng: np.random.Generator, _: float) -> Change:
    axis = ("rows", "columns")[int(rng.integers(2))]
    return lambda levels: geometry.flip(levels, axis=axis)


# Kinds that leave every place where it is, but for what a synchronisation leaves over, with the
# weight of each among the draws. Compression, blur and sampling are where marks are lost.
IN_PLACE: Mapping[str, tuple[float, Draw]] = {
    "none": (1, _unchanged),
    "JPEG": (5, _jpeg),
    "JPEG 2000": (1, _jpeg2000),
    "noise": (2, _noise),
    "salt and pepper": (1, _salt_and_pepper),
    "blur": (3, _blur),
    "median": (1.5, _median),
    "resize and back": (2, _resize),
    "crop black": (1, _crop_black),
    "slight warp": (2, _slight_warp),
    "brightness": (0.5, _brightness),
    "contrast": (0.5, _contrast),
    "gamma": (0.5, _gamma),
    "CLAHE": (0.5, _clahe),
    "window": (0.5, _window),
    "12 to 8 bits": (0.5, _twelve_bits),
}
# Kinds that move places; a quarter turn exchanges rows and columns.
MOVING: Mapping[str, tuple[float, Draw]] = {
    "rotation": (4, _rotation),
    "crop and resize back": (4, _crop_resized),
    "quarter turn": (2, _turn),
    "flip": (2, _flip),
}


def random_distortion(
    rng: np.random.Generator, *, strength: float, moves: bool = False, count: int | None = None
) -> Drawn:
    """Return a distortion of a random kind with random settings.

    Kinds that `conditions.EXTRA` keeps unseen are not among them.

    Parameters
    ----------
    rng
        Source of kinds and settings.
    strength
        0 to 1: how far settings reach from harmless ones; at 1 a little beyond each of
        `conditions.STANDARD`.
    moves
        Draw from `MOVING` too. Without, the result has the shape of what it is made from.
    count
        How many in sequence, each of another kind; without, one, or two with a probability of
        0.35 times the strength.

    Raises
    ------
    InputError
        The strength is not in 0 to 1, or the count is not in 1 to the number of kinds.
    """
    kinds = {**IN_PLACE, **MOVING} if moves else dict(IN_PLACE)
    if count is None:
        count = 1 + int(rng.random() < _PAIR_PROBABILITY * strength)
    if not 0 <= strength <= 1 or not 1 <= count <= len(kinds):
        raise InputError("a random distortion has a strength of 0 to 1 and at least one kind")
    weights = np.array([weight for weight, _ in kinds.values()])
    chosen = rng.choice(list(kinds), count, replace=False, p=weights / weights.sum())
    steps = tuple((str(name), kinds[name][1](rng, strength)) for name in chosen)

    def apply(levels: Levels) -> Levels:
        for _, step in steps:
            levels = compression.to_8_bits(step(levels))
        return levels

    return Drawn(name=" + ".join(chosen), apply=apply, steps=steps)
