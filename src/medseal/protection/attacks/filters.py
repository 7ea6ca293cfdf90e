"""Noise and filters on levels: white noise, salt and pepper, blur, median, sharpen, denoise."""

import cv2
import numpy as np

from medseal.protection.attacks.compression import to_8_bits
from medseal.protection.attacks.levels import WHITE_LEVEL, Levels

__all__ = [
    "bilateral",
    "blur",
    "gaussian_noise",
    "median",
    "motion_blur",
    "non_local_means",
    "salt_and_pepper",
    "sharpen",
]

_COLOUR_DIMENSIONS = 3
# Sides in pixels of the patches that are compared and of the area searched for them.
_PATCH_SIDE = 5
_SEARCH_SIDE = 15


def gaussian_noise(levels: Levels, *, sigma: float, rng: np.random.Generator) -> Levels:
    """Return the levels with white noise added.

    Parameters
    ----------
    levels
        float32, (rows, columns) or (rows, columns, 3), 0 to 255; here and in the whole file.
    sigma
        Standard deviation in levels.
    rng
        Source of the noise.
    """
    noise = rng.standard_normal(levels.shape, np.float32)
    return levels + np.float32(sigma) * noise


def salt_and_pepper(levels: Levels, *, share: float, rng: np.random.Generator) -> Levels:
    """Return the levels with a share of the places set to black or white at random."""
    drawn = rng.random(levels.shape[:2], np.float32)
    result = levels.copy()
    result[drawn < share / 2] = 0.0
    result[drawn > 1 - share / 2] = WHITE_LEVEL
    return result


def blur(levels: Levels, *, sigma: float) -> Levels:
    """Return the levels after a Gaussian filter of `sigma` pixels, more than 0."""
    return np.asarray(cv2.GaussianBlur(levels, (0, 0), sigma), np.float32)


def median(levels: Levels, *, size: int) -> Levels:
    """Return the levels after a median filter of 3 x 3 or 5 x 5."""
    return np.asarray(cv2.medianBlur(levels, size), np.float32)


def sharpen(levels: Levels, *, sigma: float, amount: float) -> Levels:
    """Return the levels with `amount` times their detail finer than `sigma` pixels added."""
    return levels + np.float32(amount) * (levels - blur(levels, sigma=sigma))


def motion_blur(levels: Levels, *, length: int, degrees: float) -> Levels:
    """Return the mean of the levels along a line of `length` pixels at an angle."""
    side = length | 1
    line = np.zeros((side, side), np.float32)
    line[side // 2, (side - length) // 2 : (side - length) // 2 + length] = 1
    matrix = cv2.getRotationMatrix2D((side // 2, side // 2), degrees, 1.0)
    kernel = cv2.warpAffine(line, matrix, (side, side), flags=cv2.INTER_LINEAR)
    mirrored = cv2.BORDER_REFLECT
    return np.asarray(
        cv2.filter2D(levels, -1, kernel / kernel.sum(), borderType=mirrored), np.float32
    )


def bilateral(levels: Levels, *, sigma_levels: float, sigma_pixels: float) -> Levels:
    """Return the levels smoothed where neighbours are alike, edges kept.

    References
    ----------
    Tomasi and Manduchi 1998, doi:10.1109/ICCV.1998.710815.
    """
    return np.asarray(cv2.bilateralFilter(levels, 0, sigma_levels, sigma_pixels), np.float32)


def non_local_means(levels: Levels, *, strength: float) -> Levels:
    """Return whole levels: the mean of places with alike surroundings; `strength` is in levels.

    References
    ----------
    Buades, Coll and Morel 2011, doi:10.5201/ipol.2011.bcm_nlm.
    """
    shown = to_8_bits(levels).astype(np.uint8)
    sides = (_PATCH_SIDE, _SEARCH_SIDE)
    if levels.ndim == _COLOUR_DIMENSIONS:
        denoised = cv2.fastNlMeansDenoisingColored(shown, None, strength, strength, *sides)
    else:
        denoised = cv2.fastNlMeansDenoising(shown, None, strength, *sides)
    return np.asarray(denoised, np.float32)
