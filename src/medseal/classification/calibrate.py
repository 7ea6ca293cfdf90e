"""Honest probabilities: temperature, offsets, abstention threshold, from validation images."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, InputError

__all__ = [
    "CalibrationConfig",
    "abstention_threshold",
    "fit_offsets",
    "fit_temperature",
    "log_losses",
    "softmax",
]

Logits = NDArray[np.float64]
# Inverse temperatures that are searched; beyond them the logits say nothing or everything.
_LOWEST, _HIGHEST = 1e-3, 1e2
_HALVINGS = 60
# Rounds of offsets and temperature in turn, of Newton steps, and the penalty that keeps offsets
# finite where a class is separated without error.
_ROUNDS, _PENALTY = 100, 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationConfig:
    """How logits become probabilities.

    Attributes
    ----------
    balanced
        Whether each class, and inside it each source, has the same weight among the validation
        images: right where the classes will be equally frequent, whatever validation holds.
    offsets
        Whether each class also gets an offset, which moves the decision; else the temperature
        alone is fitted, which never changes a decision.
    penalty
        On the squares of the offsets, nats an image; larger values move the decision less.

    Raises
    ------
    ConfigurationError
        The penalty is not positive.
    """

    balanced: bool = False
    offsets: bool = False
    penalty: float = _PENALTY

    def __post_init__(self) -> None:
        if not self.penalty > 0:
            raise ConfigurationError("the penalty in [calibration] must be positive")


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


def log_losses(logits: Logits, labels: NDArray[np.int64]) -> Logits:
    """Return the cross-entropy of each image in nats, (n,), of logits (n, classes)."""
    highest = logits.max(axis=1, keepdims=True)
    total = np.log(np.exp(logits - highest).sum(axis=1)) + highest[:, 0]
    result: Logits = total - logits[np.arange(len(labels)), labels]
    return result


def fit_temperature(
    logits: Logits, labels: NDArray[np.int64], *, weights: NDArray[np.float64] | None = None
) -> float:
    """Return the temperature with the lowest cross-entropy.

    Parameters
    ----------
    logits
        (n, classes), of images that were not trained on.
    labels
        (n,), number of the true class.
    weights
        (n,), of the images; all alike where none are given.

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
        if float(np.average(expected - true, weights=weights)) > 0:
            high = middle
        else:
            low = middle
    return float(np.exp(-(low + high) / 2))


def fit_offsets(
    logits: Logits,
    labels: NDArray[np.int64],
    *,
    weights: NDArray[np.float64] | None = None,
    penalty: float = _PENALTY,
) -> tuple[float, NDArray[np.float64]]:
    """Return the temperature, and the offset of each class, with the lowest cross-entropy.

    Probabilities are the softmax of ``logits / temperature + offsets``.

    Parameters
    ----------
    logits, labels, weights
        As for `fit_temperature`.
    penalty
        On the squares of the offsets.

    Returns
    -------
    tuple
        The temperature; float64, (classes,), sum 0.

    Raises
    ------
    InputError
        Lengths differ, or no image.

    Notes
    -----
    The loss is convex in inverse temperature and offsets together: Newton's method, halving the
    step until the loss falls.
    """
    if len(logits) != len(labels) or len(labels) == 0:
        raise InputError("calibration needs equally many logits and labels, at least one")
    share = np.full(len(labels), 1.0) if weights is None else weights
    share = share / share.sum()
    classes = logits.shape[1]
    # One row of inputs an image and class: its logit, then which class it is.
    inputs = np.concatenate(
        [logits[:, :, None], np.broadcast_to(np.eye(classes), (len(logits), classes, classes))],
        axis=2,
    )
    ridge = np.array([1e-9] + [penalty] * classes)
    truth = np.eye(classes)[labels]

    def loss(values: NDArray[np.float64]) -> float:
        chosen = softmax(inputs @ values)[np.arange(len(labels)), labels]
        return float(-share @ np.log(np.maximum(chosen, 1e-300)) + ridge @ values**2 / 2)

    values = np.array([1 / fit_temperature(logits, labels, weights=weights)] + [0.0] * classes)
    for _ in range(_ROUNDS):
        probabilities = softmax(inputs @ values)
        slope = np.einsum("n,nc,ncf->f", share, probabilities - truth, inputs) + ridge * values
        mean = np.einsum("nc,ncf->nf", probabilities, inputs)
        bend = np.einsum("n,nc,ncf,ncg->fg", share, probabilities, inputs, inputs)
        bend += np.diag(ridge) - np.einsum("n,nf,ng->fg", share, mean, mean)
        step, before = np.linalg.solve(bend, slope), loss(values)
        scale = 1.0
        while scale > _LOWEST and not (
            values[0] - scale * step[0] > _LOWEST and loss(values - scale * step) < before
        ):
            scale /= 2
        if scale <= _LOWEST:
            break
        values = values - scale * step
    return float(1 / min(values[0], _HIGHEST)), values[1:] - values[1:].mean()


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
