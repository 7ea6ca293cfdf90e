"""Figures of a model on one part of a data set, with intervals by group."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medseal.classification.predict import Classifier, load, load_folder
from medseal.datasets import Dataset, Record, Split, read_dataset
from medseal.datasets.split import Part
from medseal.errors import ConfigurationError, InputError
from medseal.metrics.classification import (
    BinaryScores,
    binary_scores,
    bootstrap_by_group,
    confusion_matrix,
)
from medseal.weights import Card, is_model_id

__all__ = ["Outcome", "Selection", "evaluate", "outcome_of", "score", "trained_split"]

Selection = Part | Literal["all"]
_SELECTIONS: tuple[str, ...] = (*get_args(Part), "all")
_RESAMPLES = 2000
_POSITIVE = 1
_HALF = 0.5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcome:
    """What a model said about labelled images.

    Attributes
    ----------
    labels
        int64, (n,), 1 for the second class of the model.
    probabilities
        float64, (n,), of the second class.
    abstained
        bool, (n,).
    groups
        Of each image.
    """

    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    abstained: NDArray[np.bool_]
    groups: tuple[str, ...]


def evaluate(
    model: str | Path, data_dir: Path, *, split: str = "test", seed: int = 1
) -> dict[str, Any]:
    """Return the figures of a model on a folder of labelled images.

    Parameters
    ----------
    model
        Id of an installed model, or a model folder; text that could be an id is one.
    data_dir
        As the data set of the model's card wants it.
    split
        ``train``, ``validation``, ``test`` (drawn with the seed on the card) or ``all``.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        As `score`, with ``model_id``, ``split``, ``split_digest`` and ``held_out``: True if the
        data are split as they were in training, so that this part was not trained on; False
        says that images of the part may have been trained on.

    Raises
    ------
    ConfigurationError
        Another split, or the card names no data set.
    MedsealError
        Model or data cannot be read.
    """
    if split not in _SELECTIONS:
        raise ConfigurationError(f"split must be one of {', '.join(_SELECTIONS)}")
    is_id = isinstance(model, str) and is_model_id(model)
    classifier = load(str(model)) if is_id else load_folder(Path(model))
    dataset, drawn = trained_split(classifier.card, data_dir)
    records: Sequence[Record] = dataset.records
    if split != "all":
        records = dataset.select(drawn.names(_part(split)))
    outcome = outcome_of(classifier, dataset, records)
    same = str(drawn.digest) == classifier.card.training.get("split_digest")
    return {
        "model_id": classifier.card.id,
        "split": split,
        "split_digest": str(drawn.digest),
        "held_out": same and split in ("validation", "test"),
        **score(outcome, classes=classifier.card.classes, seed=seed),
    }


def _part(split: str) -> Part:
    parts: Mapping[str, Part] = {part: part for part in get_args(Part)}
    return parts[split]


def trained_split(card: Card, data_dir: Path) -> tuple[Dataset, Split]:
    """Return the card's data set in a folder, and its split with the seed on the card.

    Raises
    ------
    ConfigurationError
        The card names no data set.
    InputError
        The folder does not hold it, or its classes are not the model's.
    """
    name, seed = card.training.get("dataset"), card.training.get("split_seed")
    if not isinstance(name, str) or not isinstance(seed, int):
        raise ConfigurationError(f"the card of {card.id} names no data set")
    dataset = read_dataset(name, data_dir)
    if dataset.classes != card.classes:
        raise InputError(f"{card.id} tells other classes apart than {name} has")
    return dataset, dataset.split(seed=seed)


def outcome_of(classifier: Classifier, dataset: Dataset, records: Sequence[Record]) -> Outcome:
    """Return what the model says about the records, by the same way as any other image.

    Raises
    ------
    InputError
        No record, or an image cannot be read.
    """
    if not records:
        raise InputError(f"no image of {dataset.name} in this part")
    predictions = [classifier.predict([dataset.read(record)])[0] for record in records]
    positive = classifier.card.classes[_POSITIVE]
    return Outcome(
        labels=np.array([dataset.label_index(record) for record in records], dtype=np.int64),
        probabilities=np.array([p.probabilities[positive] for p in predictions]),
        abstained=np.array([p.abstained for p in predictions]),
        groups=tuple(record.group for record in records),
    )


def score(outcome: Outcome, *, classes: Sequence[str], seed: int = 1) -> dict[str, Any]:
    """Return all figures with 95 % intervals over groups.

    Parameters
    ----------
    outcome
        Labels and probabilities.
    classes
        Names of the two classes.
    seed
        Of the bootstrap.

    Returns
    -------
    dict
        ``images``, ``groups``, ``classes``, ``confusion_matrix`` (rows true, columns predicted),
        ``abstained`` and ``accuracy_if_not_abstained``, and under ``figures`` by name
        ``{"estimate", "low", "high"}``, None where a class is missing. Sensitivity is that of the
        second class.
    """
    labels, probabilities = outcome.labels, outcome.probabilities
    predicted = (probabilities >= _HALF).astype(np.int64)
    names = [field.name for field in dataclasses.fields(BinaryScores)]

    def figures(chosen: NDArray[np.int64]) -> list[float]:
        scores = binary_scores(labels[chosen], probabilities[chosen])
        return [getattr(scores, name) for name in names]

    intervals = bootstrap_by_group(
        figures, outcome.groups, generator=np.random.default_rng(seed), resamples=_RESAMPLES
    )
    sure = ~outcome.abstained
    return {
        "images": len(labels),
        "groups": len(set(outcome.groups)),
        "classes": list(classes),
        "confusion_matrix": confusion_matrix(labels, predicted, classes=2).tolist(),
        "abstained": int(outcome.abstained.sum()),
        "accuracy_if_not_abstained": float(np.mean(predicted[sure] == labels[sure]))
        if sure.any()
        else None,
        "figures": {
            name: {key: _json_number(value) for key, value in dataclasses.asdict(interval).items()}
            for name, interval in zip(names, intervals, strict=True)
        },
    }


def _json_number(value: float) -> float | None:
    """Return the value, or None for NaN, which JSON does not know."""
    return None if np.isnan(value) else value
