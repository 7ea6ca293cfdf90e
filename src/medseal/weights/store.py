"""One folder a model id; weights are read only after their SHA-256 fits the card."""

import dataclasses
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors import numpy as safetensors

from medseal.digest import Digest
from medseal.errors import DigestMismatchError, UnknownModelError, WeightsError
from medseal.weights.card import MAX_CARD_BYTES, Card, is_model_id, parse_card, write_card

__all__ = [
    "CARD_NAME",
    "MAX_WEIGHTS_BYTES",
    "WEIGHTS_NAME",
    "Tensors",
    "default_for",
    "load",
    "load_folder",
    "models",
    "read_card",
    "save",
]

CARD_NAME = "card.toml"
WEIGHTS_NAME = "weights.safetensors"
# All weights of the package together stay below this; so does one file.
MAX_WEIGHTS_BYTES = 25 * 2**20
_SHIPPED = Path(__file__).parent

Tensors = Mapping[str, NDArray[Any]]


def load(model_id: str) -> tuple[Card, Tensors]:
    """Return card and tensors of an installed model.

    Parameters
    ----------
    model_id
        As `models` lists it.

    Returns
    -------
    tuple
        The card, and the tensors by name as they are stored (float16 stays float16), read-only.

    Raises
    ------
    UnknownModelError
        No such model is installed.
    DigestMismatchError
        The weights are not those that the card names; they were not parsed.
    WeightsError
        The card is malformed, or a file is missing or too large.
    """
    return load_folder(_folder_of(model_id))


def load_folder(folder: Path) -> tuple[Card, Tensors]:
    """Return card and tensors in a model folder, for example one that `train` has written.

    Parameters
    ----------
    folder
        Named by the model id; holds `CARD_NAME` and `WEIGHTS_NAME`.

    Raises
    ------
    DigestMismatchError, WeightsError
        As `load`.
    """
    card = read_card(folder)
    data = _read_bounded(folder / WEIGHTS_NAME, MAX_WEIGHTS_BYTES)
    found = Digest.plain(data)
    if found != card.sha256:
        raise DigestMismatchError(
            f"the weights of {card.id} are not those on its card: install the package again",
            expected=card.sha256.value.hex(),
            actual=found.value.hex(),
        )
    try:
        tensors: dict[str, NDArray[Any]] = safetensors.load(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise WeightsError(f"the weights of {card.id} are not safetensors") from error
    for tensor in tensors.values():
        tensor.flags.writeable = False
    return card, MappingProxyType(tensors)


def read_card(folder: Path) -> Card:
    """Return the card in a model folder.

    Raises
    ------
    WeightsError
        The card is missing or malformed, or names another model than its folder.
    """
    card = parse_card(_read_bounded(folder / CARD_NAME, MAX_CARD_BYTES), name=folder.name)
    if card.id != folder.resolve().name:
        raise WeightsError(f"the card in {folder.name} belongs to {card.id}")
    return card


def models() -> tuple[Card, ...]:
    """Return the cards of all installed models, by id.

    Raises
    ------
    WeightsError
        A card is malformed.
    """
    return tuple(read_card(path.parent) for path in sorted(_SHIPPED.glob(f"*/{CARD_NAME}")))


def default_for(task: str, modality: str | None = None) -> str:
    """Return the id of the model that serves a task when none is named.

    Parameters
    ----------
    task
        For example ``tumour``.
    modality
        DICOM code; None where the image does not say, which fits if there is one default only.

    Raises
    ------
    UnknownModelError
        No default model, or several, for this task and modality.
    """
    found = [card for card in models() if card.default and card.task == task]
    if modality is not None:
        found = [card for card in found if card.modality in (modality, "any")]
    if len(found) != 1:
        place = "" if modality is None else f" and modality {modality}"
        known = ", ".join(card.id for card in models()) or "none"
        raise UnknownModelError(
            f"{'no' if not found else 'more than one'} default model for task {task}{place}: "
            f"name one of {known}"
        )
    return found[0].id


def save(parent: Path, *, card: Card, tensors: Mapping[str, NDArray[Any]]) -> Card:
    """Write a model folder; it appears whole or not at all.

    Parameters
    ----------
    parent
        Exists; the folder `card.id` inside it is written, or replaced.
    card
        Its `sha256` is ignored and set from the tensors.
    tensors
        By name; written in their dtype.

    Returns
    -------
    Card
        The card as written, with the digest.

    Raises
    ------
    WeightsError
        The weights are larger than `MAX_WEIGHTS_BYTES`.
    """
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    data = safetensors.save(contiguous)
    if len(data) > MAX_WEIGHTS_BYTES:
        raise WeightsError(f"weights of {card.id} exceed {MAX_WEIGHTS_BYTES} bytes")
    complete = dataclasses.replace(card, sha256=Digest.plain(data))
    temporary = Path(tempfile.mkdtemp(prefix=f".{card.id}-", dir=parent))
    try:
        new = temporary / card.id
        new.mkdir()
        _write_durably(new / WEIGHTS_NAME, data)
        _write_durably(new / CARD_NAME, write_card(complete))
        target = parent / card.id
        if target.exists():
            target.rename(temporary / "replaced")
        new.rename(target)
    finally:
        shutil.rmtree(temporary)
    return complete


def _folder_of(model_id: str) -> Path:
    folder = _SHIPPED / model_id
    if not is_model_id(model_id) or not (folder / CARD_NAME).is_file():
        known = ", ".join(card.id for card in models()) or "none"
        raise UnknownModelError(f"no model {model_id!r} is installed: there are {known}")
    return folder


def _read_bounded(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise WeightsError(f"{path.parent.name}: {path.name} cannot be read") from error
    if len(data) > limit:
        raise WeightsError(f"{path.parent.name}: {path.name} has more than {limit} bytes")
    return data


def _write_durably(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
