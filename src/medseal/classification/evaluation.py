"""Figures of a model on a data set: other sources first, held out or not, intervals by group."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.classification.heldout import (
    NOT_STATED,
    Known,
    Role,
    known_training,
    near_duplicates,
    roles_of,
)
from medseal.classification.outcome import Outcome, by_group, outcome_of, score, short_score
from medseal.classification.runtime import open_model
from medseal.datasets import Dataset, Record, read_dataset
from medseal.datasets.split import Part
from medseal.errors import ConfigurationError, InputError

__all__ = ["Evaluation", "Outcome", "evaluate", "examine", "outcome_of", "score", "summary"]

_SELECTIONS: tuple[str, ...] = (*get_args(Part), "all")
# Roles that a selection takes.
_WANTED: Mapping[str, frozenset[Role]] = {
    "train": frozenset({"train"}),
    "validation": frozenset({"validation"}),
    "test": frozenset({"test", "unseen", "external"}),
    "all": frozenset(get_args(Role)),
}
_SEED = 1
_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """A model, the images that it was asked about, and its answers.

    Attributes
    ----------
    classifier
        The model.
    data
        The data set.
    split
        What was selected: ``train``, ``validation``, ``test`` or ``all``.
    records
        Images, (n,).
    roles
        What each was in training, (n,).
    known
        What is known of training.
    copies
        Which images are near-duplicates of training images, (n,); None where that is not known.
    outcome
        Answers, in the order of the records.
    """

    classifier: Classifier
    data: Dataset
    split: str
    records: tuple[Record, ...]
    roles: tuple[Role, ...]
    known: Known
    copies: NDArray[np.bool_] | None
    outcome: Outcome

    @property
    def is_external(self) -> NDArray[np.bool_]:
        """Which images come from a source that the model was not trained on, (n,)."""
        return np.array([role == "external" for role in self.roles])


def evaluate(
    model: str | Path | Classifier,
    data_dir: Path,
    *,
    split: str = "test",
    sources: Sequence[str] = (),
    data_set: str | None = None,
    trained_on: Path | None = None,
) -> dict[str, Any]:
    """Return the figures of a model on a folder of labelled images, as `summary` gives them.

    Parameters and errors as `examine`.
    """
    return summary(
        examine(
            model,
            data_dir,
            split=split,
            sources=sources,
            data_set=data_set,
            trained_on=trained_on,
        )
    )


def examine(
    model: str | Path | Classifier,
    data_dir: Path,
    *,
    split: str = "test",
    sources: Sequence[str] = (),
    data_set: str | None = None,
    trained_on: Path | None = None,
) -> Evaluation:
    """Return what a model says about a folder of labelled images.

    Parameters
    ----------
    model
        Id of an installed model, a folder of a trained or an exported model, or an opened one;
        text that could be an id is one.
    data_dir
        Folder with the images: a manifest or class folders.
    split
        ``test``: the test part of the sources that the model was trained on, and every image of
        another source; ``train`` or ``validation``: that part; ``all``: every image.
    sources
        Sources, top folders or sub-collections to which the images are restricted.
    data_set
        Name of the data set; the one on the model's card if not given.
    trained_on
        Folder with the images of training, if they are not in `data_dir`.

    Raises
    ------
    ConfigurationError
        Another split, an unknown data set, or a card that names none.
    InputError
        Model or data cannot be read, the data have other classes, or no image is left.
    """
    if split not in _SELECTIONS:
        raise ConfigurationError(f"split must be one of {', '.join(_SELECTIONS)}")
    classifier = model if isinstance(model, Classifier) else open_model(model)
    card = classifier.card
    name = data_set if data_set is not None else card.training.get("dataset")
    if not isinstance(name, str):
        raise ConfigurationError(f"the card of {card.id} names no data set: give --data-set")
    whole = read_dataset(name, data_dir)
    _check_classes(classifier, whole)
    data = whole.restrict(sources=sources) if sources else whole
    known = known_training(
        card,
        folder=classifier.folder,
        data=whole,
        trained_on=whole.root if trained_on is None else trained_on,
    )
    records, roles = _selected(data, known, split=split, seed=card.training.get("split_seed"))
    return Evaluation(
        classifier=classifier,
        data=data,
        split=split,
        records=records,
        roles=roles,
        known=known,
        copies=near_duplicates(data, records, known) if "external" in roles else None,
        outcome=outcome_of(classifier, data, records),
    )


def _check_classes(classifier: Classifier, data: Dataset) -> None:
    known = set(classifier.card.classes)
    if set(data.classes) != known:
        raise InputError(
            f"{classifier.card.id} tells {', '.join(classifier.card.classes)} apart, but the "
            f"classes of {data.name} are {', '.join(data.classes)}: name another model or data set"
        )


def _selected(
    data: Dataset, known: Known, *, split: str, seed: object
) -> tuple[tuple[Record, ...], tuple[Role, ...]]:
    """Return the images of a selection with their roles."""
    roles = roles_of(data.records, known)
    wanted = _WANTED[split]
    drawn: set[str] = set()
    if "unknown" in roles and split != "all":
        # The split of training is not at hand: a part of the same share is drawn.
        inside = dataclasses.replace(
            data,
            records=tuple(
                record
                for record, role in zip(data.records, roles, strict=True)
                if role == "unknown"
            ),
        )
        parts = inside.split(seed=seed if isinstance(seed, int) else _SEED).members
        drawn = {member.name for member in parts[_part(split)]}
    chosen = [
        (record, role)
        for record, role in zip(data.records, roles, strict=True)
        if role in wanted or record.path in drawn
    ]
    if not chosen:
        raise InputError(f"no image of {data.name} in the part {split}; see --split all")
    return tuple(record for record, _ in chosen), tuple(role for _, role in chosen)


def _part(split: str) -> Part:
    parts: Mapping[str, Part] = {part: part for part in get_args(Part)}
    return parts[split]


def summary(evaluation: Evaluation) -> dict[str, Any]:
    """Return all figures of an evaluation.

    Returns
    -------
    dict
        ``model_id``, ``data_set``, ``split``, ``split_digest`` (of the selection's data where the
        split of training is known), ``held_out`` (True, False, or None if it cannot be known) and
        ``held_out_because``, ``in_training`` and ``near_duplicates_of_training`` (number of
        images; None if it cannot be known), and the figures of the headline as `score` gives them:
        of the other sources where there are some, else of the sources of training. ``headline``
        is ``external`` or ``inside``; where both kinds are there, ``inside`` holds the
        figures of the sources of training. ``sources``, ``collections`` and ``details`` are
        tables of subgroups, ``by_group`` has one decision a group
        of the headline.
    """
    outcome, external = evaluation.outcome, evaluation.is_external
    classes = evaluation.classifier.card.classes
    headline = "inside"
    if external.any():
        headline = "external"
    shown = outcome.part(external) if external.any() else outcome
    result = {
        "model_id": evaluation.classifier.card.id,
        "data_set": evaluation.data.name,
        "split": evaluation.split,
        "split_digest": evaluation.classifier.card.training.get("split_digest"),
        **_held_out(evaluation),
        "headline": headline,
        **score(shown, classes=classes),
    }
    if external.any() and not external.all():
        result["inside"] = score(outcome.part(~external), classes=classes)
    if len(set(shown.groups)) < len(shown.groups):
        grouped = by_group(shown)
        if grouped is not None:
            result["by_group"] = short_score(grouped)
    return {**result, **_subgroups(evaluation)}


def _held_out(evaluation: Evaluation) -> dict[str, Any]:
    """Return whether the model never saw these images, and how that is known."""
    roles, copies = evaluation.roles, evaluation.copies
    seen = roles.count("train")
    found = None if copies is None else int(copies.sum())
    facts: dict[str, Any] = {
        "in_training": seen if evaluation.known.split is not None else None,
        "near_duplicates_of_training": found,
    }
    if copies is not None and copies.any():
        names = [r.path for r, copy in zip(evaluation.records, copies, strict=True) if copy]
        facts["near_duplicates"] = names[:_LISTED]
        others = evaluation.outcome.part(~copies & evaluation.is_external)
        if len(others.labels):
            facts["external_without_near_duplicates"] = short_score(others)
    answer, reason = _verdict(evaluation, seen=seen, copies=found)
    return {"held_out": answer, "held_out_because": reason, **facts}


def _verdict(evaluation: Evaluation, *, seen: int, copies: int | None) -> tuple[bool | None, str]:
    if seen:
        return False, f"{seen} of the images were trained on"
    if evaluation.known.split is None:
        return None, "the split of training is not at hand, so no image could be compared with it"
    if copies:
        return False, f"{copies} of the images are near-duplicates of training images"
    if "external" not in evaluation.roles:
        return True, "no image stands in the training part of the split on the card"
    if copies is None:
        return True, "no file of training is among them; copies were not looked for"
    return True, "no file of training and no near-duplicate of one is among them"


def _subgroups(evaluation: Evaluation) -> dict[str, Any]:
    """Return the tables by source, sub-collection and detail, as far as there are several."""
    records, outcome = evaluation.records, evaluation.outcome
    columns = {
        "sources": [record.source or NOT_STATED for record in records],
        "collections": [record.collection or NOT_STATED for record in records],
        "details": [record.detail for record in records],
    }
    tables: dict[str, Any] = {}
    for title, names in columns.items():
        column = np.array(names)
        if title == "sources" or len(set(names)) > 1:
            tables[title] = {
                name: short_score(outcome.part(column == name)) for name in sorted(set(names))
            }
    for name, row in tables["sources"].items():
        mine = np.array(columns["sources"]) == name
        row["external"] = bool(evaluation.is_external[mine].all())
    return tables
