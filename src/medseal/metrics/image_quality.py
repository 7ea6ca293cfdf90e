"""How close two images are: peak signal-to-noise ratio and structural similarity."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from medseal.errors import ImageMismatchError, InputError

__all__ = ["psnr", "ssim"]

Values = npt.NDArray[Any]

# Wang et al. 2004, III.C: constants and the 11 x 11 window of standard deviation 1.5.
_K1, _K2 = 0.01, 0.03
_SIGMA = 1.5
_RADIUS = 5
_WINDOW = 2 * _RADIUS + 1
_MIN_AXES = 2


def _checked(reference: Values, test: Values, data_range: float) -> tuple[Values, Values]:
    if reference.shape != test.shape or reference.dtype != test.dtype:
        raise ImageMismatchError(
            f"{reference.shape} {reference.dtype} against {test.shape} {test.dtype}; "
            "compare images of one shape and dtype"
        )
    if reference.size == 0:
        raise ImageMismatchError("images without values cannot be compared")
    if not (math.isfinite(data_range) and data_range > 0):
        raise InputError(f"the data range is a positive number, not {data_range}")
    return reference.astype(np.float64), test.astype(np.float64)


def psnr(reference: Values, test: Values, *, data_range: float) -> float:
    """Return the peak signal-to-noise ratio.

    Parameters
    ----------
    reference, test
        Stored values of any shape, same dtype.
    data_range
        Largest minus smallest value that matters; 4095 for 12 bits.

    Returns
    -------
    float
        Decibels; infinite for equal images.

    Raises
    ------
    ImageMismatchError
        Shapes or dtypes differ, or there are no values.
    InputError
        The data range is not positive.

    References
    ----------
    Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    first, second = _checked(reference, test, data_range)
    mean_squared_error = float(np.mean((first - second) ** 2))
    if mean_squared_error == 0.0:
        return math.inf
    return 10.0 * math.log10(data_range**2 / mean_squared_error)


def _smooth(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Filter the first two axes by the Gaussian window; only places it covers whole remain."""
    offsets = np.arange(-_RADIUS, _RADIUS + 1, dtype=np.float64)
    kernel = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    kernel /= kernel.sum()
    rows = values.shape[0] - 2 * _RADIUS
    columns = values.shape[1] - 2 * _RADIUS
    down = np.zeros((rows, *values.shape[1:]))
    for index, weight in enumerate(kernel):
        down += weight * values[index : index + rows]
    across = np.zeros((rows, columns, *values.shape[2:]))
    for index, weight in enumerate(kernel):
        across += weight * down[:, index : index + columns]
    return across


def ssim(reference: Values, test: Values, *, data_range: float) -> float:
    """Return the mean structural similarity of one frame.

    Parameters
    ----------
    reference, test
        Stored values, (rows, columns) or (rows, columns, samples), same dtype, at least 11 x 11;
        samples are averaged.
    data_range
        Largest minus smallest value that matters; 4095 for 12 bits.

    Returns
    -------
    float
        -1 to 1; 1 for equal images.

    Raises
    ------
    ImageMismatchError
        Shapes or dtypes differ, or the image is smaller than the window.
    InputError
        The data range is not positive.

    References
    ----------
    Wang et al. 2004, doi:10.1109/TIP.2003.819861.
    """
    first, second = _checked(reference, test, data_range)
    if first.ndim not in {_MIN_AXES, _MIN_AXES + 1} or min(first.shape[:2]) < _WINDOW:
        raise ImageMismatchError(
            f"structural similarity needs (rows, columns) or (rows, columns, samples) of at least "
            f"{_WINDOW} x {_WINDOW}, not {first.shape}"
        )
    mean_first, mean_second = _smooth(first), _smooth(second)
    variance_first = _smooth(first * first) - mean_first**2
    variance_second = _smooth(second * second) - mean_second**2
    covariance = _smooth(first * second) - mean_first * mean_second
    luminance_constant, contrast_constant = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    similarity = (
        (2 * mean_first * mean_second + luminance_constant)
        * (2 * covariance + contrast_constant)
        / (
            (mean_first**2 + mean_second**2 + luminance_constant)
            * (variance_first + variance_second + contrast_constant)
        )
    )
    return float(similarity.mean())
