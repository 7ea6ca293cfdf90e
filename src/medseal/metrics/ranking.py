"""Figures of the order of scores: AUROC, AUPRC, sensitivity at a specificity, their curves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = [
    "Curve",
    "Ranking",
    "auroc",
    "average_precision",
    "precision_recall_curve",
    "rank",
    "roc_curve",
    "sensitivity_at_specificity",
]

Labels = NDArray[np.int64]
Scores = NDArray[np.float64]
Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ranking:
    """How many positives and negatives stand at each distinct score, highest score first.

    Attributes
    ----------
    scores
        Distinct, falling, (g,).
    positives, negatives
        Weight at each score, (r, g): one row a resample.
    """

    scores: Scores
    positives: Weights
    negatives: Weights

    def auroc(self) -> NDArray[np.float64]:
        """Return the area under the ROC curve, (r,); NaN where a class is missing."""
        above = np.cumsum(self.positives, axis=1) - self.positives / 2  # equal scores count half
        wins = (above * self.negatives).sum(axis=1)
        return ratio(wins, self.positives.sum(axis=1) * self.negatives.sum(axis=1))

    def average_precision(self) -> NDArray[np.float64]:
        """Return the area under the precision-recall steps, (r,); NaN where a class is missing."""
        true = np.cumsum(self.positives, axis=1)
        named = true + np.cumsum(self.negatives, axis=1)
        precision = np.divide(true, named, out=np.zeros_like(true), where=named > 0)
        total = true[:, -1]
        found = ratio((self.positives * precision).sum(axis=1), total)
        found[named[:, -1] == total] = np.nan
        return found

    def sensitivity_at(self, specificity: float) -> NDArray[np.float64]:
        """Return the highest sensitivity at that specificity or a higher one, (r,)."""
        false = np.cumsum(self.negatives, axis=1)
        allowed = false <= (1 - specificity) * false[:, -1:] + 1e-9
        true = np.cumsum(self.positives, axis=1)
        # Without a threshold that is specific enough nothing is called positive: 0.
        best = np.where(allowed, true, 0).max(axis=1)
        found = ratio(best, true[:, -1])
        found[false[:, -1] == 0] = np.nan
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Curve:
    """Points of a curve, one a distinct threshold.

    Attributes
    ----------
    x, y
        In [0, 1], (g + 1,).
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]


def ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return part / whole, NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole != 0)


def rank(labels: Labels, scores: Scores, *, weights: Weights | None = None) -> Ranking:
    """Return the weight of positives and negatives at each distinct score.

    Parameters
    ----------
    labels
        (n,), 1 for positive, everything else negative.
    scores
        (n,), higher means more likely positive.
    weights
        (r, n), how often each image counts in each of r resamples; once each if None.

    Raises
    ------
    InputError
        Lengths differ, or no image.
    """
    if labels.ndim != 1 or labels.shape != scores.shape or labels.size == 0:
        raise InputError("labels and scores must be two equally long lists, not empty")
    rows = np.ones((1, labels.size)) if weights is None else weights
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    sorted_rows = rows[:, order]
    positive = labels[order] == 1
    return Ranking(
        scores=ordered[starts],
        positives=np.add.reduceat(sorted_rows * positive, starts, axis=1),
        negatives=np.add.reduceat(sorted_rows * ~positive, starts, axis=1),
    )


def auroc(labels: Labels, scores: Scores) -> float:
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
    return float(rank(labels, scores).auroc()[0])


def average_precision(labels: Labels, scores: Scores) -> float:
    """Return the area under the precision-recall curve as a sum of steps; errors as `auroc`.

    References
    ----------
    Davis and Goadrich 2006, doi:10.1145/1143844.1143874: straight lines between the points of
    this curve would promise too much.
    """
    return float(rank(labels, scores).average_precision()[0])


def sensitivity_at_specificity(labels: Labels, scores: Scores, *, specificity: float) -> float:
    """Return the highest sensitivity of a threshold with at least that specificity.

    Parameters
    ----------
    labels, scores
        As for `auroc`.
    specificity
        In [0, 1].

    Returns
    -------
    float
        In [0, 1]; NaN if only one class is there. The threshold is chosen on these very images,
        so the figure says what the order of the scores allows, not what a fixed threshold gives.
    """
    return float(rank(labels, scores).sensitivity_at(specificity)[0])


def roc_curve(labels: Labels, scores: Scores) -> Curve:
    """Return sensitivity (y) over 1 - specificity (x), from (0, 0) to (1, 1); errors as `auroc`."""
    ranking = rank(labels, scores)
    parts = (np.cumsum(side[0]) for side in (ranking.negatives, ranking.positives))
    x, y = (np.append(0.0, ratio(part, np.full_like(part, part[-1]))) for part in parts)
    return Curve(x=x, y=y)


def precision_recall_curve(labels: Labels, scores: Scores) -> Curve:
    """Return precision (y) over recall (x), from recall 0 up; errors as `auroc`."""
    ranking = rank(labels, scores)
    true = np.cumsum(ranking.positives[0])
    named = true + np.cumsum(ranking.negatives[0])
    precision = ratio(true, named)
    recall = ratio(true, np.full_like(true, true[-1]))
    return Curve(x=np.append(0.0, recall), y=np.append(precision[0], precision))
