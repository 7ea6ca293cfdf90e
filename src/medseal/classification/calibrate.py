"""Honest probabilities: temperature and abstention threshold, both from validation images."""

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["abstention_threshold", "fit_temperature", "softmax"]

Logits = NDArray[np.float64]
# Inverse temperatures that are searched; beyond them the logits say nothing or everything.
_LOWEST, _HIGHEST = 1e-3, 1e2
_HALVINGS = 60


def softmax(logits: Logits, *, temperature: float = 1.0) -> Logits:
    """Return probabilities, (n, classes), rows adding up to 1.

    Parameters
    ----------
    logits
        (n, classes).
    temperature
        Above 1 makes the model less sure.

    Raises
    ------
    InputError
        The temperature is not positive.
    """
    if not temperature > 0:
        raise InputError("a temperature is positive")
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: Logits = powers / powers.sum(axis=1, keepdims=True)
    return result


def fit_temperature(logits: Logits, labels: NDArray[np.int64]) -> float:
    """Return the temperature with the lowest cross-entropy.

    Parameters
    ----------
    logits
        (n, classes), of images that were not trained on.
    labels
        (n,), number of the true class.

    Returns
    -------
    float
        Between 0.01 and 1000.

    Raises
    ------
    InputError
        Lengths differ, or no image.

    References
    ----------
    Guo et al. 2017, arXiv 1706.04599, 4.2. The loss is convex in the inverse temperature, so its
    slope has one zero, found by bisection.
    """
    if len(logits) != len(labels) or len(labels) == 0:
        raise InputError("calibration needs equally many logits and labels, at least one")
    true = logits[np.arange(len(labels)), labels]
    low, high = np.log(_LOWEST), np.log(_HIGHEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        expected = (softmax(logits, temperature=float(np.exp(-middle))) * logits).sum(axis=1)
        if float(np.mean(expected - true)) > 0:
            high = middle
        else:
            low = middle
    return float(np.exp(-(low + high) / 2))


def abstention_threshold(probabilities: Logits, *, share: float) -> float:
    """Return the confidence below which `share` of the images lie.

    Parameters
    ----------
    probabilities
        (n, classes), calibrated, of validation images.
    share
        Of images that a person shall look at, in [0, 1).

    Raises
    ------
    InputError
        No image, or a share outside [0, 1).
    """
    if len(probabilities) == 0 or not 0 <= share < 1:
        raise InputError("abstention needs at least one image and a share in [0, 1)")
    return float(np.quantile(probabilities.max(axis=1), share))
