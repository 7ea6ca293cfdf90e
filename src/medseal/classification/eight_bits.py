"""Weights on the grid of 8 bits, the error of each rounding taken up by the weights after it."""

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["LARGEST", "on_grid"]

LARGEST = 127
# Of the mean of the diagonal, added to it: keeps inputs that are nearly the same apart.
_DAMPING = 1e-3


def on_grid(weights: NDArray[np.float64], moments: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return weights that are whole multiples of a step a filter, with about the same outputs.

    Rounding each weight to the nearest step leaves a sum of errors where inputs are alike, as
    neighbours in an image are. Here the largest weight is rounded first, and the others move so
    that the expected square of the output's error is least; then the next.

    Parameters
    ----------
    weights
        (filters, inputs).
    moments
        (inputs, inputs), mean of the products of two inputs over data.

    Returns
    -------
    ndarray
        float64, (filters, inputs); the largest of a filter stays, and is `LARGEST` steps.

    Raises
    ------
    InputError
        Shapes do not fit.

    References
    ----------
    Frantar et al. 2023, arXiv 2210.17323, in the order of the weights' size.
    """
    count = weights.shape[1]
    if moments.shape != (count, count):
        raise InputError("moments are those of all pairs of inputs")
    damped = moments + np.eye(count) * max(_DAMPING * float(np.trace(moments)) / count, 1e-12)
    return np.stack([_filter_on_grid(row, damped) for row in weights])


def _filter_on_grid(
    weights: NDArray[np.float64], moments: NDArray[np.float64]
) -> NDArray[np.float64]:
    step = float(np.abs(weights).max()) / LARGEST
    result = np.zeros_like(weights)
    # Weights that are 0 by construction stay so.
    order = np.argsort(-np.abs(weights), kind="stable")[: np.count_nonzero(weights)]
    left = weights[order].copy()
    # Row i: how the inputs after i make up for an error in i.
    factor = np.linalg.cholesky(np.linalg.inv(moments[np.ix_(order, order)])).T
    for i, place in enumerate(order):
        steps = float(np.clip(np.rint(left[i] / step), -LARGEST, LARGEST))
        result[place] = steps * step
        left[i + 1 :] -= (left[i] - result[place]) / factor[i, i] * factor[i, i + 1 :]
    return result
