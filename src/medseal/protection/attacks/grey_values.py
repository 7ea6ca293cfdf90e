"""Grey values of levels: brightness, contrast, gamma, CLAHE, windows, bit depth, inversion."""

import cv2
import numpy as np

from medseal.errors import InputError
from medseal.protection.attacks.compression import to_8_bits
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels

__all__ = [
    "brightness",
    "clahe",
    "contrast",
    "gamma",
    "invert",
    "posterise",
    "twelve_to_8_bits",
    "window",
    "window_percentiles",
]

_COLOUR_DIMENSIONS = 3
# ITU-R BT.601.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TWELVE_BITS = 4095.0
# Window of the way over 12 bits, as shares of the range: somewhat narrower than all of it.
_VOI_WINDOW = (0.03, 0.97)


def brightness(levels: Levels, *, share: float) -> Levels:
    """Return the levels with a share of the range added; 0.2 is 20 % brighter.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    share
        Negative is darker.
    """
    return levels + np.float32(share * WHITE_LEVEL)


def contrast(levels: Levels, *, factor: float) -> Levels:
    """Return the levels with their distance from mid grey multiplied."""
    middle = np.float32(WHITE_LEVEL / 2)
    return (levels - middle) * np.float32(factor) + middle


def gamma(levels: Levels, *, exponent: float) -> Levels:
    """Return the levels, clipped to black and white, raised to a power."""
    inside = np.clip(levels / np.float32(WHITE_LEVEL), 0, 1)
    return np.asarray(inside ** np.float32(exponent) * np.float32(WHITE_LEVEL), np.float32)


def clahe(levels: Levels, *, clip_limit: float = 2.0, tiles: int = 8) -> Levels:
    """Return whole levels after contrast limited adaptive histogram equalisation.

    `tiles` are counted along each side. Of colour the luma is equalised and the chroma kept.

    References
    ----------
    Zuiderveld 1994, Graphics Gems IV, VIII.5.
    """
    bright = levels @ _LUMA if levels.ndim == _COLOUR_DIMENSIONS else levels
    shown = to_8_bits(bright).astype(np.uint8)
    equalised = cv2.createCLAHE(clip_limit, (tiles, tiles)).apply(shown).astype(np.float32)
    if levels.ndim == _COLOUR_DIMENSIONS:
        equalised = to_8_bits(levels + (equalised - bright)[:, :, None])
    return np.asarray(equalised, np.float32)


def window(levels: Levels, *, low: float, high: float) -> Levels:
    """Return the levels with a part of the range, in shares of it, stretched over all of it.

    Raises
    ------
    InputError
        `low` is not below `high`.
    """
    if not low < high:
        raise InputError("a window opens from a lower to a higher share of the range")
    share = levels / np.float32(WHITE_LEVEL)
    stretched = np.clip((share - np.float32(low)) / np.float32(high - low), 0, 1)
    return np.asarray(stretched * np.float32(WHITE_LEVEL), np.float32)


def window_percentiles(levels: Levels, *, low: float = 5.0, high: float = 95.0) -> Levels:
    """Return the levels with what lies between two percentiles stretched over the range.

    Between equal percentiles there is nothing to stretch: the levels are returned as they are.
    """
    darkest, brightest = np.percentile(levels, (low, high)) / WHITE_LEVEL
    if not darkest < brightest:
        return levels.copy()
    return window(levels, low=float(darkest), high=float(brightest))


def twelve_to_8_bits(levels: Levels, *, rng: np.random.Generator) -> Levels:
    """Return whole levels after a way over 12 bits: dithered, then through a window to 8 bits.

    The dither fills the places between two levels of 8 bits evenly.
    """
    drawn = rng.random(levels.shape, np.float32) - np.float32(0.5)
    dithered = (levels + drawn) * np.float32(_TWELVE_BITS / WHITE_LEVEL)
    values = np.clip(np.rint(dithered), 0, _TWELVE_BITS).astype(np.float32)
    low, high = _VOI_WINDOW
    return to_8_bits(window(values * np.float32(WHITE_LEVEL / _TWELVE_BITS), low=low, high=high))


def invert(levels: Levels) -> Levels:
    """Return the negative, as if MONOCHROME1 were taken for MONOCHROME2."""
    return np.float32(WHITE_LEVEL) - levels


def posterise(levels: Levels, *, count: int) -> Levels:
    """Return the levels rounded to `count` evenly spaced ones, 2 or more."""
    step = np.float32(WHITE_LEVEL / (count - 1))
    return np.asarray(np.clip(np.rint(levels / step), 0, count - 1) * step, np.float32)
