"""Figures of a classifier: confusion matrix, AUROC, calibration, intervals by group."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = [
    "BinaryScores",
    "Interval",
    "accuracy",
    "auroc",
    "binary_scores",
    "bootstrap_by_group",
    "brier_score",
    "confusion_matrix",
    "expected_calibration_error",
]

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with the range of its bootstrap.

    Attributes
    ----------
    estimate
        On the data as they are.
    low, high
        Percentiles of the resampled figure.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryScores:
    """Figures at one operating point, each in [0, 1]; NaN where a denominator is zero.

    Attributes
    ----------
    accuracy, sensitivity, specificity, precision, f1
        At the threshold.
    auroc, brier, calibration_error
        Of the probabilities.
    """

    accuracy: float
    sensitivity: float
    specificity: float
    precision: float
    f1: float
    auroc: float
    brier: float
    calibration_error: float


def _check(labels: Labels, values: NDArray[np.generic]) -> None:
    if labels.ndim != 1 or labels.shape != values.shape or labels.size == 0:
        raise InputError("labels and predictions must be two equally long lists, not empty")


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def confusion_matrix(labels: Labels, predicted: Labels, *, classes: int) -> NDArray[np.int64]:
    """Return how often each class was taken for each other.

    Parameters
    ----------
    labels, predicted
        (n,), from 0 to `classes` - 1.
    classes
        Number of classes.

    Returns
    -------
    ndarray
        int64, (classes, classes); rows are the true classes, columns the predicted ones.

    Raises
    ------
    InputError
        Lengths differ or a value is out of range.
    """
    _check(labels, predicted)
    both = np.concatenate([labels, predicted])
    if both.min() < 0 or both.max() >= classes:
        raise InputError(f"classes are numbered from 0 to {classes - 1}")
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def accuracy(labels: Labels, predicted: Labels) -> float:
    """Return the share of right predictions, in [0, 1]; InputError if lengths differ."""
    _check(labels, predicted)
    return float(np.mean(labels == predicted))


def auroc(labels: Labels, scores: Probabilities) -> float:
    """Return the area under the ROC curve.

    Parameters
    ----------
    labels
        (n,), 1 for positive, 0 for negative.
    scores
        (n,), higher means more likely positive; equal scores count half.

    Returns
    -------
    float
        In [0, 1]; NaN if only one class is there.

    Raises
    ------
    InputError
        Lengths differ.

    References
    ----------
    Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747: equal to the Wilcoxon statistic.
    """
    _check(labels, scores)
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks = (last - (counts - 1) / 2)[inverse]  # mean rank of equal scores, from 1
    positives = int(np.sum(labels == 1))
    negatives = labels.size - positives
    wins = float(ranks[labels == 1].sum()) - positives * (positives + 1) / 2
    return _ratio(wins, positives * negatives)


def brier_score(labels: Labels, probabilities: Probabilities) -> float:
    """Return the mean squared error of the positive probability, in [0, 1]; lower is better."""
    _check(labels, probabilities)
    return float(np.mean((probabilities - labels) ** 2))


def expected_calibration_error(
    labels: Labels, probabilities: Probabilities, *, bins: int = 15
) -> float:
    """Return how far confidence and accuracy lie apart on average.

    Parameters
    ----------
    labels
        (n,), 1 for positive, 0 for negative.
    probabilities
        (n,), of the positive class, in [0, 1].
    bins
        Of equal width over the confidence in the predicted class.

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
    _check(labels, probabilities)
    predicted = probabilities >= 0.5  # noqa: PLR2004  # the more probable of two classes
    confidence = np.where(predicted, probabilities, 1 - probabilities)
    right = predicted == (labels == 1)
    place = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = np.bincount(place, weights=confidence - right, minlength=bins)
    return float(np.abs(gaps).sum() / labels.size)


def binary_scores(
    labels: Labels, probabilities: Probabilities, *, threshold: float = 0.5
) -> BinaryScores:
    """Return all figures of a binary classifier.

    Parameters
    ----------
    labels
        (n,), 1 for positive, 0 for negative.
    probabilities
        (n,), of the positive class, in [0, 1].
    threshold
        Smallest probability that counts as positive.

    Raises
    ------
    InputError
        Lengths differ.
    """
    predicted = (probabilities >= threshold).astype(np.int64)
    matrix = confusion_matrix(labels, predicted, classes=2)
    (tn, fp), (fn, tp) = ((float(cell) for cell in row) for row in matrix)
    return BinaryScores(
        accuracy=_ratio(tp + tn, matrix.sum()),
        sensitivity=_ratio(tp, tp + fn),
        specificity=_ratio(tn, tn + fp),
        precision=_ratio(tp, tp + fp),
        f1=_ratio(2 * tp, 2 * tp + fp + fn),
        auroc=auroc(labels, probabilities),
        brier=brier_score(labels, probabilities),
        calibration_error=expected_calibration_error(labels, probabilities),
    )


def bootstrap_by_group(
    figures: Callable[[NDArray[np.int64]], Sequence[float]],
    groups: Sequence[str],
    *,
    generator: np.random.Generator,
    resamples: int = 2000,
    level: float = 0.95,
) -> list[Interval]:
    """Return figures with their percentile intervals over whole groups.

    Images of one patient or cluster are not independent, so groups are drawn with replacement
    and all their images come along.

    Parameters
    ----------
    figures
        Takes indices of images, (m,), with repetitions; returns the figures on these images,
        always equally many.
    groups
        Group of each image, (n,).
    generator
        Source of the draws.
    resamples
        Number of draws.
    level
        Coverage of the interval, in (0, 1).

    Returns
    -------
    list
        One `Interval` a figure. Resamples where a figure is NaN are left out of its interval.

    Raises
    ------
    InputError
        No image, or a level outside (0, 1).

    References
    ----------
    Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x (the randomised cluster bootstrap).
    """
    if not groups or not 0 < level < 1:
        raise InputError("a bootstrap needs at least one image and a level between 0 and 1")
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    order = np.argsort(number, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(number[order])) + 1)
    drawn = np.array([figures(_resample(members, generator)) for _ in range(resamples)])
    levels = [(1 - level) / 2, (1 + level) / 2]
    return [
        _interval(value, column[np.isfinite(column)], levels)
        for value, column in zip(figures(np.arange(len(groups))), drawn.T, strict=True)
    ]


def _resample(
    members: Sequence[NDArray[np.int64]], generator: np.random.Generator
) -> NDArray[np.int64]:
    """Return the images of as many groups as there are, drawn with replacement."""
    chosen = generator.integers(len(members), size=len(members))
    return np.concatenate([members[index] for index in chosen])


def _interval(value: float, drawn: Probabilities, levels: Sequence[float]) -> Interval:
    low, high = np.quantile(drawn, levels) if drawn.size else (float("nan"), float("nan"))
    return Interval(estimate=float(value), low=float(low), high=float(high))
