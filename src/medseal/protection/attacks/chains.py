"""Chains of distortions on levels as one act makes them: print and scan, a picture of a screen."""

import numpy as np

from medseal.protection.attacks.compression import jpeg, to_8_bits
from medseal.protection.attacks.filters import blur, gaussian_noise
from medseal.protection.attacks.geometry import perspective, resize_to, rotate
from medseal.protection.attacks.grey_values import gamma, window_percentiles
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels

__all__ = ["print_and_scan", "screenshot"]

# Paper is not black where the printer gives its best, and not white where it gives nothing.
_INK_LEVEL = 10.0
_PAPER_LEVEL = 245.0
_SCREEN_SCALE = 0.8
_SCREEN_PERCENTILES = (1.0, 99.0)


def print_and_scan(levels: Levels, *, rng: np.random.Generator) -> Levels:
    """Return whole levels as after printing and scanning: the size stays, the place about so.

    Blurred by the printer (0.6 to 1 pixel); laid on the scanner turned by up to 1.5 degrees, 3 %
    larger or smaller, its corners off by up to 0.5 % of the longer side; grey values bent by a
    gamma of 0.85 to 1.2 between ink and paper; noise of 2 to 4 levels; JPEG 75.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    rng
        Source of settings and noise.
    """
    printed = blur(levels, sigma=rng.uniform(0.6, 1.0))
    reach = 0.005 * max(levels.shape[:2])
    laid = perspective(
        rotate(printed, degrees=rng.uniform(-1.5, 1.5), scale=rng.uniform(0.97, 1.03)),
        corners=rng.uniform(-reach, reach, (4, 2)),
    )
    bent = gamma(laid, exponent=rng.uniform(0.85, 1.2))
    inked = bent * np.float32((_PAPER_LEVEL - _INK_LEVEL) / WHITE_LEVEL) + np.float32(_INK_LEVEL)
    return jpeg(gaussian_noise(inked, sigma=rng.uniform(2, 4), rng=rng), quality=75)


def screenshot(levels: Levels) -> Levels:
    """Return whole levels as a viewer's window on the screen holds them: 0.8 of each side.

    Shrunk by area means, and stretched between the percentiles 1 and 99 as viewers choose their
    window.
    """
    rows, columns = (max(round(side * _SCREEN_SCALE), 1) for side in levels.shape[:2])
    low, high = _SCREEN_PERCENTILES
    shown = window_percentiles(resize_to(levels, rows=rows, columns=columns), low=low, high=high)
    return to_8_bits(shown)
