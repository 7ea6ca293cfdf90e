"""Was an image trained on: by the training split, its digest, a near-duplicate, its source."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from medseal.datasets import Dataset, Record, Split, read_dataset
from medseal.datasets.copies import find_copies, thumbnail
from medseal.datasets.split import PARTS, Part
from medseal.errors import ConfigurationError, InputError
from medseal.imaging import display_values
from medseal.imaging.preprocess import to_grey
from medseal.weights import Card

__all__ = ["NOT_STATED", "Known", "Role", "known_training", "near_duplicates", "roles_of"]

# How a card names the source of images that name none.
NOT_STATED = "not stated"
_SPLIT_NAME = "split.json"

Role = Literal["train", "validation", "test", "unseen", "external", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Known:
    """What is known of the images that a model was trained on.

    Attributes
    ----------
    sources
        As the card names them.
    kept, left_out
        Sources, folders or sub-collections that training was restricted to, and left out.
    split
        The one whose digest stands on the card, or None where it is not at hand.
    images
        Data set that holds the training images, or None where they are not at hand.
    """

    sources: frozenset[str]
    split: Split | None
    images: Dataset | None
    kept: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    def is_external(self, record: Record) -> bool:
        """Return whether an image comes from where no image of training came from."""
        if record.is_from(self.left_out) or (self.kept and not record.is_from(self.kept)):
            return True
        return (record.source or NOT_STATED) not in self.sources


def known_training(card: Card, *, folder: Path | None, data: Dataset, trained_on: Path) -> Known:
    """Return what can be found out about the images of training.

    Parameters
    ----------
    card
        Names sources, data set, seed and digest of the split.
    folder
        Of the model, where it is not an installed one: the run beside it holds the split file.
    data
        The data set that is evaluated; read again only if the card names another one.
    trained_on
        Where the data set of the card may lie.

    Raises
    ------
    ConfigurationError
        The card names no sources, no data set or no split.
    InputError
        `trained_on` is not the folder of `data`, and does not hold the data set of the card.
    """
    sources, digest = _names(card, "sources"), card.training.get("split_digest")
    if not sources or not isinstance(digest, str):
        raise ConfigurationError(f"the card of {card.id} names no data set and no split")
    nothing = Known(
        sources=frozenset(sources),
        split=None,
        images=None,
        kept=_names(card, "kept"),
        left_out=_names(card, "left_out"),
    )
    images = _training_set(card, data, trained_on)
    drawn = _drawn(card, images, nothing) if images is not None else None
    for split in (drawn, _written(folder)):
        if split is not None and str(split.digest) == digest:
            return replace(nothing, split=split, images=_complete(images, split))
    return nothing


def _names(card: Card, key: str) -> tuple[str, ...]:
    named = card.training.get(key)
    return tuple(str(name) for name in named) if isinstance(named, list) else ()


def _training_set(card: Card, data: Dataset, trained_on: Path) -> Dataset | None:
    name = card.training.get("dataset")
    if name == data.name and trained_on == data.root:
        return data
    try:
        return read_dataset(str(name), trained_on)
    except InputError:
        if trained_on != data.root:
            raise  # somebody named this folder
        return None  # it lies elsewhere; the caller says that the split is not at hand


def _drawn(card: Card, images: Dataset, known: Known) -> Split | None:
    """Return the split as training drew it: of the sources on the card, with its seed."""
    seed = card.training.get("split_seed")
    if not isinstance(seed, int):
        return None
    try:
        if known.kept or known.left_out:
            images = images.restrict(sources=known.kept or None, without=known.left_out)
        records = tuple(record for record in images.records if not known.is_external(record))
        return replace(images, records=records).split(seed=seed)
    except InputError:
        return None  # other images of these sources: they cannot be split as in training


def _written(folder: Path | None) -> Split | None:
    """Return the split file in a model folder or in the folder of its run."""
    if folder is None:
        return None
    run = folder.resolve().parent / f"{folder.resolve().name}.run"
    for path in (folder / _SPLIT_NAME, run / _SPLIT_NAME):
        if path.is_file():
            return Split.read(path)
    return None


def _complete(images: Dataset | None, split: Split) -> Dataset | None:
    """Return the data set if it holds every training image."""
    names = {record.path for record in images.records} if images is not None else set()
    return images if names.issuperset(split.names("train")) else None


def roles_of(records: Sequence[Record], known: Known) -> list[Role]:
    """Return what each image was in the training of the model.

    Parameters
    ----------
    records
        Images that are asked about.
    known
        What is known of training.

    Returns
    -------
    list
        ``train``, ``validation`` or ``test`` by digest, or by name where no digest is known;
        ``external``: from a source that the card does not name; ``unseen``: from a source of
        training, but not in its split; ``unknown``: from a source of training whose split is not
        at hand.
    """
    by_digest: dict[str, Part] = {}
    by_name: dict[str, Part] = {}
    if known.split is not None:
        for part in PARTS:
            for member in known.split.members[part]:
                if member.sha256:
                    # An image that stands in two parts was trained on.
                    by_digest.setdefault(member.sha256, part)
                else:
                    by_name[member.name] = part
    found: list[Role] = []
    for record in records:
        home = by_digest.get(record.sha256) or by_name.get(record.path)
        if home is not None:
            found.append(home)
        elif known.is_external(record):
            found.append("external")
        else:
            found.append("unseen" if known.split is not None else "unknown")
    return found


def near_duplicates(
    data: Dataset, records: Sequence[Record], known: Known
) -> NDArray[np.bool_] | None:
    """Return which images are near-duplicates of a training image, (n,).

    Parameters
    ----------
    data, records
        Images that are asked about.
    known
        With the training images; without them the answer is None. What counts as a near-duplicate
        is said in `medseal.datasets.copies`.

    Raises
    ------
    InputError
        An image cannot be read.
    """
    if known.split is None or known.images is None:
        return None
    training = [(known.images, r) for r in known.images.select(known.split.names("train"))]
    shown = [
        to_grey(display_values(source.read(record)))
        for source, record in (*training, *((data, record) for record in records))
    ]
    copies = find_copies(
        np.stack([thumbnail(grey) for grey in shown]),
        [hashlib.sha256(f"{grey.shape}".encode() + grey.tobytes()).hexdigest() for grey in shown],
    )
    found = np.zeros(len(records), dtype=np.bool_)
    for copy in copies:
        if copy.first < len(training) <= copy.second:
            found[copy.second - len(training)] = True
    return found
