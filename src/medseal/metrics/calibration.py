"""Do probabilities mean what they say, and is a model right where it is sure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = [
    "BINS",
    "ReliabilityBin",
    "brier_score",
    "calibration_errors",
    "expected_calibration_error",
    "reliability",
    "risk_coverage",
    "squared_errors",
]

BINS = 15
Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Weights = NDArray[np.float64]
_BINARY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Images whose confidence lies in one range.

    Attributes
    ----------
    confidence
        Mean probability of the most probable class.
    accuracy
        Share of these images where that class is right.
    count
        Images.
    """

    confidence: float
    accuracy: float
    count: int


def table(labels: Labels, probabilities: Probabilities) -> Probabilities:
    """Return the probabilities as (n, classes); (n,) are those of the second of two classes.

    Raises
    ------
    InputError
        Lengths differ, or no image.
    """
    if labels.ndim != 1 or len(labels) == 0 or len(labels) != len(probabilities):
        raise InputError("labels and probabilities must be equally long, not empty")
    if probabilities.ndim == 1:
        return np.stack([1 - probabilities, probabilities], axis=1)
    return probabilities


def squared_errors(labels: Labels, probabilities: Probabilities) -> NDArray[np.float64]:
    """Return the Brier score of each image, (n,).

    With two classes the squared error of the second one's probability, in [0, 1]; with more the
    sum over the classes, in [0, 2] (Brier 1950).
    """
    rows = table(labels, probabilities)
    if rows.shape[1] == _BINARY:
        errors: NDArray[np.float64] = (rows[:, 1] - labels) ** 2
        return errors
    truth = np.eye(rows.shape[1])[labels]
    summed: NDArray[np.float64] = ((rows - truth) ** 2).sum(axis=1)
    return summed


def brier_score(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean of `squared_errors`; lower is better.

    Parameters
    ----------
    labels
        (n,), number of the class.
    probabilities
        (n, classes), or (n,) of the second of two classes.
    """
    return float(squared_errors(labels, probabilities).mean())


def _confidence(
    labels: Labels, probabilities: Probabilities
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the probability of the most probable class, and whether it is the true one."""
    rows = table(labels, probabilities)
    # Of equal probabilities the last class counts, as does a probability of exactly a half.
    best = rows.shape[1] - 1 - rows[:, ::-1].argmax(axis=1)
    return rows.max(axis=1), best == labels


def _places(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    return np.minimum((confidence * bins).astype(np.int64), bins - 1)


def calibration_errors(
    labels: Labels, probabilities: Probabilities, *, weights: Weights, bins: int = BINS
) -> NDArray[np.float64]:
    """Return `expected_calibration_error` of each resample, (r,), for weights (r, n)."""
    confidence, right = _confidence(labels, probabilities)
    inside = np.eye(bins)[_places(confidence, bins)]
    gaps = (weights * (confidence - right)) @ inside
    found: NDArray[np.float64] = np.abs(gaps).sum(axis=1) / weights.sum(axis=1)
    return found


def expected_calibration_error(
    labels: Labels, probabilities: Probabilities, *, bins: int = BINS
) -> float:
    """Return how far confidence and accuracy lie apart on average.

    Parameters
    ----------
    labels
        (n,), number of the class.
    probabilities
        (n, classes), or (n,) of the second of two classes.
    bins
        Of equal width over the confidence in the most probable class.

    Returns
    -------
    float
        In [0, 1]; 0 is calibrated.

    Raises
    ------
    InputError
        Lengths differ.

    References
    ----------
    Guo et al. 2017, arXiv 1706.04599, equation 3.
    """
    weights = np.ones((1, len(labels)))
    return float(calibration_errors(labels, probabilities, weights=weights, bins=bins)[0])


def reliability(
    labels: Labels, probabilities: Probabilities, *, bins: int = BINS
) -> list[ReliabilityBin]:
    """Return the bins of `expected_calibration_error` that hold an image, by confidence."""
    confidence, right = _confidence(labels, probabilities)
    place = _places(confidence, bins)
    return [
        ReliabilityBin(
            confidence=float(confidence[place == number].mean()),
            accuracy=float(right[place == number].mean()),
            count=int((place == number).sum()),
        )
        for number in np.unique(place)
    ]


def risk_coverage(
    right: NDArray[np.bool_], confidence: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of errors among the surest images, over the share that is answered.

    Parameters
    ----------
    right
        (n,), whether each decision is right.
    confidence
        (n,), higher is surer; equal ones are answered together.

    Returns
    -------
    tuple
        Coverage, rising to 1, and risk, each (distinct confidences,).

    Raises
    ------
    InputError
        Lengths differ, or no image.

    References
    ----------
    Geifman and El-Yaniv 2017, arXiv 1705.08500.
    """
    if right.ndim != 1 or right.shape != confidence.shape or right.size == 0:
        raise InputError("decisions and confidences must be two equally long lists, not empty")
    order = np.argsort(-confidence, kind="stable")
    ordered = confidence[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    wrong = np.cumsum(~right[order])[ends]
    return (ends + 1) / right.size, wrong / (ends + 1)
