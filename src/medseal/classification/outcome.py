"""What a model said about labelled images, and the figures of it with intervals by group."""

import dataclasses
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier, Prediction
from medseal.datasets import Dataset, Record
from medseal.errors import InputError, ModelMismatchError
from medseal.metrics.classification import confusion_matrix, figures_with_intervals, per_class
from medseal.metrics.intervals import RESAMPLES, Interval

__all__ = ["Outcome", "as_numbers", "by_group", "outcome_of", "score", "short_score"]

_LOGGER = logging.getLogger("medseal.evaluate")
_SEED = 1
# Of the tables of subgroups, which are many.
_SUBGROUP_RESAMPLES = 1000
_SUBGROUP_FIGURES = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auroc")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a model said about labelled images.

    Attributes
    ----------
    labels
        int64, (n,), number of the true class on the model's card.
    probabilities
        float64, (n, classes).
    predicted
        int64, (n,), number of the class that the model decided on.
    abstained
        bool, (n,).
    groups
        Of each image.
    refused
        Images that the model does not take, for example tinted ones by a model for grey images.
        They count as wrong and as abstained from.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    predicted: NDArray[np.int64]
    abstained: NDArray[np.bool_]
    groups: tuple[str, ...]
    refused: int = 0

    def part(self, chosen: NDArray[np.bool_]) -> "Outcome":
        """Return what was said about some of the images."""
        return Outcome(
            labels=self.labels[chosen],
            probabilities=self.probabilities[chosen],
            predicted=self.predicted[chosen],
            abstained=self.abstained[chosen],
            groups=tuple(g for g, kept in zip(self.groups, chosen, strict=True) if kept),
        )

    def abstention(self) -> dict[str, Any]:
        """Return ``abstained``, ``coverage`` and ``accuracy_if_not_abstained``."""
        sure = ~self.abstained
        right = self.predicted[sure] == self.labels[sure]
        return {
            "abstained": int(self.abstained.sum()),
            "coverage": float(sure.mean()),
            "accuracy_if_not_abstained": float(right.mean()) if sure.any() else None,
        }


def outcome_of(classifier: Classifier, dataset: Dataset, records: Sequence[Record]) -> Outcome:
    """Return what the model says about the records, by the same way as any other image.

    An image with several frames, a volume, gets one answer. A single image that the model refuses
    counts as wrong, so that one tinted slice does not end a long evaluation.

    Raises
    ------
    InputError
        No record, or an image cannot be read.
    ModelMismatchError
        The model refuses every image.
    """
    if not records:
        raise InputError(f"no image of {dataset.name} in this part")
    classes = classifier.card.classes
    answers = [_answer(classifier, dataset, record) for record in records]
    refusals = [answer for answer in answers if isinstance(answer, ModelMismatchError)]
    if len(refusals) == len(records):
        raise refusals[0]
    labels = np.array([classes.index(record.label) for record in records], dtype=np.int64)
    probabilities = np.full((len(records), len(classes)), 1 / len(classes))
    predicted = (labels + 1) % len(classes)
    abstained = np.ones(len(records), dtype=np.bool_)
    for row, answer in enumerate(answers):
        if isinstance(answer, Prediction):
            probabilities[row] = [answer.probabilities[name] for name in classes]
            predicted[row] = classes.index(answer.label)
            abstained[row] = answer.abstained
    return Outcome(
        labels=labels,
        probabilities=probabilities,
        predicted=predicted,
        abstained=abstained,
        groups=tuple(record.group for record in records),
        refused=len(refusals),
    )


def _answer(
    classifier: Classifier, dataset: Dataset, record: Record
) -> Prediction | ModelMismatchError:
    image = dataset.read(record)
    try:
        return classifier.predict([image])[0]
    except ModelMismatchError as error:
        _LOGGER.warning("%s is refused and counts as wrong: %s", record.path, error)
        return error


def score(outcome: Outcome, *, classes: Sequence[str]) -> dict[str, Any]:
    """Return all figures with 95 % intervals over groups.

    Parameters
    ----------
    outcome
        Labels, probabilities and decisions.
    classes
        Names of the classes.

    Returns
    -------
    dict
        ``images``, ``groups``, ``refused`` (counted as wrong), ``classes``,
        ``confusion_matrix`` (rows true, columns decided), ``abstained``, ``coverage``
        (share that was not left to a person) and ``accuracy_if_not_abstained``, with more than
        two classes ``per_class``, and under ``figures`` by name ``{"estimate", "low", "high"}``,
        None where a class is missing. Of two classes, the second is the positive one. Decisions
        that were abstained from count too.
    """
    found = figures_with_intervals(
        outcome.labels,
        outcome.probabilities,
        predicted=outcome.predicted,
        groups=outcome.groups,
        generator=np.random.default_rng(_SEED),
        resamples=RESAMPLES,
    )
    matrix = confusion_matrix(outcome.labels, outcome.predicted, classes=len(classes))
    result = {
        "images": len(outcome.labels),
        "groups": len(set(outcome.groups)),
        "refused": outcome.refused,
        "classes": list(classes),
        "confusion_matrix": matrix.tolist(),
        **outcome.abstention(),
        "figures": {name: as_numbers(interval) for name, interval in found.items()},
    }
    if len(classes) > 2:  # noqa: PLR2004  # of two classes the figures say it already
        rows = per_class(outcome.labels, outcome.probabilities, predicted=outcome.predicted)
        result["per_class"] = {
            name: {key: _number(value) for key, value in row.items()}
            for name, row in zip(classes, rows, strict=True)
        }
    return result


def as_numbers(interval: Interval) -> dict[str, float | None]:
    """Return estimate, low and high for JSON, which does not know NaN."""
    return {name: _number(value) for name, value in dataclasses.asdict(interval).items()}


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value


def by_group(outcome: Outcome) -> Outcome | None:
    """Return one decision a group: the mean probability, and what most of its images say.

    For slices of one volume or images of one patient; groups with several labels are left out.
    None if no group is left.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(outcome.groups):
        members.setdefault(group, []).append(index)
    kept = {
        group: rows
        for group, rows in members.items()
        if len(set(outcome.labels[rows].tolist())) == 1
    }
    if not kept:
        return None
    rows = list(kept.values())
    means = np.array([outcome.probabilities[row].mean(axis=0) for row in rows])
    votes = np.array(
        [np.bincount(outcome.predicted[row], minlength=means.shape[1]) for row in rows]
    )
    # The mean probability decides where votes are equal: it is below 1.
    return Outcome(
        labels=np.array([outcome.labels[row[0]] for row in rows], dtype=np.int64),
        probabilities=means,
        predicted=(votes + means / 2).argmax(axis=1),
        abstained=np.array([outcome.abstained[row].mean() > 0.5 for row in rows]),  # noqa: PLR2004  # most of them
        groups=tuple(kept),
    )


def short_score(outcome: Outcome) -> dict[str, Any]:
    """Return the figures of a subgroup: fewer than `score`, and by fewer resamples."""
    found = figures_with_intervals(
        outcome.labels,
        outcome.probabilities,
        predicted=outcome.predicted,
        groups=outcome.groups,
        generator=np.random.default_rng(_SEED),
        resamples=_SUBGROUP_RESAMPLES,
    )
    return {
        "images": len(outcome.labels),
        "groups": len(set(outcome.groups)),
        **outcome.abstention(),
        "figures": {name: as_numbers(found[name]) for name in _SUBGROUP_FIGURES},
    }
