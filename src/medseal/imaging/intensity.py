"""Intensity without its acquisition: tint, local mean, range and local contrast."""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["balance_colour", "difference_to_local_mean", "equalise_locally", "stretch"]

_LEVELS = 256
_TILES = 8
_COLOUR_SAMPLES = 3
# Of the Minkowski norm that estimates the light: between the mean (1) and the maximum.
_NORM = 6
# Graham's: the difference to the local mean four times as strong, round middle grey.
_GAIN = 4.0
_MIDDLE = 128.0


def balance_colour(image: NDArray[np.uint8], content: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the image as under white light, by shades of grey.

    Parameters
    ----------
    image
        uint8, (rows, columns, 3), RGB.
    content
        uint8, (rows, columns), 1 where the light is estimated.

    Returns
    -------
    ndarray
        Like `image`; unchanged when nothing but black counts.

    References
    ----------
    Finlayson and Trezzi 2004, Shades of grey and colour constancy; p = 6 for dermoscopy as in
    Barata et al. 2015, doi:10.1109/JBHI.2014.2336473.
    """
    powers = (np.arange(_LEVELS) / (_LEVELS - 1)) ** _NORM
    light = np.empty(_COLOUR_SAMPLES)
    for channel in range(_COLOUR_SAMPLES):
        counts = cv2.calcHist([image], [channel], content, [_LEVELS], [0, _LEVELS]).ravel()
        light[channel] = (counts @ powers / max(counts.sum(), 1)) ** (1 / _NORM)
    if light.min() == 0:
        return image
    gains = light.mean() / light
    table = np.clip(np.round(np.arange(_LEVELS)[:, None] * gains), 0, _LEVELS - 1)
    return np.asarray(cv2.LUT(image, table[None].astype(np.uint8)), dtype=np.uint8)


def difference_to_local_mean(
    image: NDArray[np.uint8], content: NDArray[np.uint8], *, sigma: float
) -> NDArray[np.float32]:
    """Return the difference to the Gaussian mean of the content round each point.

    Parameters
    ----------
    image
        uint8, (rows, columns) or (rows, columns, 3).
    content
        uint8, (rows, columns), 1 for content; the rest does not enter the mean, so no halo
        appears at its edge.
    sigma
        Standard deviation of the Gaussian, in pixels of `image`.

    Returns
    -------
    ndarray
        float32, like `image`: four times the difference round 128, 128 outside the content.

    References
    ----------
    Graham 2015, Kaggle diabetic retinopathy detection, competition report.
    """
    weight = content.astype(np.float32)
    values = image.astype(np.float32)
    counted = cv2.GaussianBlur(weight, (0, 0), sigma)
    if image.ndim == _COLOUR_SAMPLES:
        weight, counted = weight[:, :, None], counted[:, :, None]
    mean = cv2.GaussianBlur(values * weight, (0, 0), sigma) / np.maximum(counted, 1e-3)
    return np.asarray(_MIDDLE + _GAIN * (values - mean) * weight, dtype=np.float32)


def stretch(
    image: NDArray[np.uint8] | NDArray[np.float32], content: NDArray[np.uint8], *, percent: float
) -> NDArray[np.uint8]:
    """Return the image with the values of its content spread over 0 to 255.

    Parameters
    ----------
    image
        uint8 or float32, (rows, columns) or (rows, columns, 3); all channels share the limits.
    content
        uint8, (rows, columns), 1 where the percentiles are taken; without any, everywhere.
    percent
        Cut off at either end; 0 only rounds and clips.

    Returns
    -------
    ndarray
        uint8, like `image`; a constant image is only rounded and clipped.
    """
    low, high = 0.0, float(_LEVELS - 1)
    if percent:
        values = image[content > 0] if content.any() else image
        found = np.percentile(values, [percent, 100 - percent])
        if found[1] > found[0]:
            low, high = float(found[0]), float(found[1])
    gain = (_LEVELS - 1) / (high - low)
    spread = (image.astype(np.float32) - np.float32(low)) * np.float32(gain)
    return np.asarray(np.clip(np.round(spread), 0, _LEVELS - 1), dtype=np.uint8)


def equalise_locally(image: NDArray[np.uint8], *, clip_limit: float) -> NDArray[np.uint8]:
    """Return the image after contrast-limited adaptive equalisation of its luminance, 8x8 tiles.

    Parameters
    ----------
    image
        uint8, (rows, columns) or (rows, columns, 3).
    clip_limit
        Highest count in a bin of a tile's histogram, in multiples of the mean count.

    References
    ----------
    Zuiderveld 1994, Contrast limited adaptive histogram equalization.
    """
    machine = cv2.createCLAHE(clipLimit=clip_limit, tileGridSize=(_TILES, _TILES))
    if image.ndim != _COLOUR_SAMPLES:
        return np.asarray(machine.apply(image), dtype=np.uint8)
    luma = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = machine.apply(luma[:, :, 0])
    return np.asarray(cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB), dtype=np.uint8)
