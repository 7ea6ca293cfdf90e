"""Figures of a classifier's decisions and probabilities, two classes or more, with intervals."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.metrics.calibration import calibration_errors, squared_errors, table
from medseal.metrics.intervals import RESAMPLES, Interval, bootstrap_by_group
from medseal.metrics.ranking import rank, ratio

__all__ = [
    "FIGURES",
    "confusion_matrix",
    "figures_of",
    "figures_with_intervals",
    "per_class",
    "weighted_figures",
]

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
Weights = NDArray[np.float64]
_BINARY = 2
_AT_SPECIFICITY = (0.90, 0.95)
_RANKED = ("auroc", "auprc", "sensitivity_at_90_specificity", "sensitivity_at_95_specificity")
_DECIDED = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "f1", "mcc")
FIGURES = (*_DECIDED, *_RANKED, "brier", "calibration_error")


def _check(labels: Labels, predicted: Labels, classes: int) -> None:
    if labels.ndim != 1 or labels.shape != predicted.shape or labels.size == 0:
        raise InputError("labels and predictions must be two equally long lists, not empty")
    if min(labels.min(), predicted.min()) < 0 or max(labels.max(), predicted.max()) >= classes:
        raise InputError(f"classes are numbered from 0 to {classes - 1}")


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
    _check(labels, predicted, classes)
    counts = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes).astype(np.int64)


def weighted_figures(
    labels: Labels, probabilities: Probabilities, *, predicted: Labels, weights: Weights
) -> NDArray[np.float64]:
    """Return `FIGURES` of each resample.

    Parameters
    ----------
    labels
        (n,), number of the true class.
    probabilities
        (n, classes), rows adding up to 1.
    predicted
        (n,), number of the class that was decided on: the operating point of the model.
    weights
        (r, n), how often each image counts in each resample.

    Returns
    -------
    ndarray
        (r, len(FIGURES)), NaN where a figure is not defined. With two classes sensitivity,
        precision, F1, AUROC and AUPRC are those of the second class; with more, all of these and
        the specificity are means over the classes, each against the rest, and a class that was
        never named has precision 0.

    Raises
    ------
    InputError
        Lengths differ or a value is out of range.

    References
    ----------
    MCC of several classes: Gorodkin 2004, doi:10.1016/j.compbiolchem.2004.09.006, equation 8.
    """
    rows = table(labels, probabilities)
    classes = rows.shape[1]
    _check(labels, predicted, classes)
    cells = np.eye(classes * classes)[labels * classes + predicted]
    matrices = (weights @ cells).reshape(-1, classes, classes)
    total = weights.sum(axis=1)
    brier = ratio(weights @ squared_errors(labels, rows), total)
    calibration = calibration_errors(labels, rows, weights=weights)
    return np.concatenate(
        [
            _decided(matrices),
            _ranked(labels, rows, weights),
            np.stack([brier, calibration], axis=1),
        ],
        axis=1,
    )


def _decided(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the figures of confusion matrices (r, classes, classes), (r, len(_DECIDED))."""
    total = matrices.sum(axis=(1, 2))
    hits = np.diagonal(matrices, axis1=1, axis2=2)
    true, named = matrices.sum(axis=2), matrices.sum(axis=1)
    recall = ratio(hits, true)
    others = total[:, None] - true
    specificity = ratio(others - (named - hits), others)
    precision = ratio(hits, named)
    f1 = ratio(2 * hits, true + named)
    if matrices.shape[1] == _BINARY:
        of_classes = [values[:, 1] for values in (recall, specificity, precision, f1)]
    else:
        precision = np.nan_to_num(precision)
        of_classes = [values.mean(axis=1) for values in (recall, specificity, precision, f1)]
    covariance = hits.sum(axis=1) * total - (true * named).sum(axis=1)
    spread = (total**2 - (true**2).sum(axis=1)) * (total**2 - (named**2).sum(axis=1))
    # Where only one class is named or there, MCC is 0 by convention.
    mcc = np.nan_to_num(ratio(covariance, np.sqrt(spread)))
    return np.stack([ratio(hits.sum(axis=1), total), recall.mean(axis=1), *of_classes, mcc], axis=1)


def _ranked(labels: Labels, rows: Probabilities, weights: Weights) -> NDArray[np.float64]:
    """Return the figures that depend on the order of the probabilities, (r, len(_RANKED))."""
    asked = [1] if rows.shape[1] == _BINARY else list(range(rows.shape[1]))
    found = []
    for number in asked:
        ranking = rank((labels == number).astype(np.int64), rows[:, number], weights=weights)
        at = [ranking.sensitivity_at(specificity) for specificity in _AT_SPECIFICITY]
        found.append(np.stack([ranking.auroc(), ranking.average_precision(), *at], axis=1))
    mean: NDArray[np.float64] = np.mean(found, axis=0)
    return mean


def figures_of(
    labels: Labels, probabilities: Probabilities, *, predicted: Labels
) -> dict[str, float]:
    """Return `FIGURES` by name; arguments and errors as `weighted_figures`."""
    ones = np.ones((1, len(labels)))
    values = weighted_figures(labels, probabilities, predicted=predicted, weights=ones)[0]
    return dict(zip(FIGURES, values.tolist(), strict=True))


def figures_with_intervals(
    labels: Labels,
    probabilities: Probabilities,
    *,
    predicted: Labels,
    groups: Sequence[str],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Mapping[str, Interval]:
    """Return `FIGURES` by name, each with its 95 % interval over groups.

    Parameters
    ----------
    labels, probabilities, predicted
        As `weighted_figures`.
    groups, generator, resamples
        As `medseal.metrics.intervals.bootstrap_by_group`.

    Raises
    ------
    InputError
        Lengths differ or a value is out of range.
    """

    def figures(weights: Weights) -> NDArray[np.float64]:
        return weighted_figures(labels, probabilities, predicted=predicted, weights=weights)

    found = bootstrap_by_group(figures, groups, generator=generator, resamples=resamples)
    return dict(zip(FIGURES, found, strict=True))


def per_class(
    labels: Labels, probabilities: Probabilities, *, predicted: Labels
) -> list[dict[str, float]]:
    """Return sensitivity, specificity, precision, F1 and AUROC of each class against the rest.

    Parameters
    ----------
    labels, probabilities, predicted
        As `weighted_figures`.

    Returns
    -------
    list
        One mapping a class, with ``images`` too; NaN where a figure is not defined.
    """
    rows = table(labels, probabilities)
    found = []
    for number in range(rows.shape[1]):
        mine = (labels == number).astype(np.int64)
        one_against_rest = np.stack([1 - rows[:, number], rows[:, number]], axis=1)
        figures = figures_of(
            mine, one_against_rest, predicted=(predicted == number).astype(np.int64)
        )
        kept = ("sensitivity", "specificity", "precision", "f1", "auroc")
        found.append({"images": float(mine.sum()), **{name: figures[name] for name in kept}})
    return found
