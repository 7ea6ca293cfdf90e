"""From a card and its weights to a classifier: the one way a trained model is loaded."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.baselines import LinearSvm
from medseal.classification.classifier import Classifier, Prediction
from medseal.classification.ensemble import average_logits
from medseal.classification.exported import preprocess_of
from medseal.classification.fit import logits_of
from medseal.classification.networks import NETWORKS, Network, NetworkConfig
from medseal.classification.storage import unpack
from medseal.errors import (
    ConfigurationError,
    DigestMismatchError,
    ModelMismatchError,
    WeightsError,
)
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card, is_model_id
from medseal.weights.store import CARD_NAME

__all__ = ["Classifier", "Prediction", "classifier_from", "load", "load_folder"]

Logits = Callable[[NDArray[np.uint8]], NDArray[np.float64]]


def load(model_id: str) -> Classifier:
    """Return an installed model.

    Raises
    ------
    UnknownModelError
        No such model is installed.
    VerificationError
        Its weights or its card are not what they should be.
    """
    return classifier_from(*weights.load(model_id))


def load_folder(folder: Path) -> Classifier:
    """Return the model in a folder that `train` has written; errors as `load`."""
    return classifier_from(*weights.load_folder(folder), beside=folder.resolve().parent)


def classifier_from(
    card: Card, tensors: Mapping[str, NDArray[Any]], *, beside: Path | None = None
) -> Classifier:
    """Return the model of a card and its tensors.

    Parameters
    ----------
    card, tensors
        Of the model.
    beside
        Folder where the members of an ensemble are looked for before the installed models.

    Raises
    ------
    WeightsError
        The card names no class, an unknown method or other preprocessing than this version does,
        or the tensors do not fit the method.
    DigestMismatchError
        A member of an ensemble is another model than the one it was made of.
    """
    if not card.classes:
        raise WeightsError(f"{card.id} is a model of the task {card.task}: it has no classes")
    preprocess = preprocess_of(card)
    if card.method == "ensemble":
        return _ensemble_from(card, tensors, beside=beside)
    if card.method == "linear-svm":
        machine = LinearSvm.from_tensors(tensors)
        checked = _checked(card.id, preprocess, machine.logits)
        return Classifier(card=card, preprocess=preprocess, logits=checked)
    if card.method not in NETWORKS:
        raise WeightsError(f"{card.id}: this version knows no method {card.method!r}")
    network = _network_from(card, preprocess, tensors)

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return logits_of(network, images).numpy().astype(np.float64)

    checked = _checked(card.id, preprocess, logits)
    return Classifier(card=card, preprocess=preprocess, logits=checked, network=network)


def _ensemble_from(
    card: Card, tensors: Mapping[str, NDArray[Any]], *, beside: Path | None
) -> Classifier:
    ids, digests, shares = (
        card.network.get("members"),
        card.network.get("sha256"),
        tensors.get("shares"),
    )
    if not isinstance(ids, list) or not isinstance(digests, list) or shares is None:
        raise WeightsError(f"the card of {card.id} names no members")
    if not len(ids) == len(digests) == shares.size or shares.ndim != 1 or not ids:
        raise WeightsError(f"{card.id} needs one digest and one share a member")
    members = tuple(
        _member_from(str(name), str(digest), beside=beside)
        for name, digest in zip(ids, digests, strict=True)
    )
    if any(member.card.classes != card.classes or member.members for member in members):
        raise WeightsError(f"{card.id}: a member has other classes or is an ensemble itself")
    weight = shares.astype(np.float64)

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        if len({str(member.preprocess.digest) for member in members}) > 1:
            raise ModelMismatchError(
                f"the members of {card.id} standardise images differently: give it whole images"
            )
        return average_logits([member.probabilities(images) for member in members], weight)

    return Classifier(
        card=card,
        preprocess=members[0].preprocess,
        logits=logits,
        members=members,
        shares=tuple(weight.tolist()),
    )


def _member_from(name: str, digest: str, *, beside: Path | None) -> Classifier:
    folder = None if beside is None or not is_model_id(name) else beside / name
    if folder is not None and (folder / CARD_NAME).is_file():
        member = load_folder(folder)
    else:
        member = load(name)
    found = member.card.sha256.value.hex()
    if found != digest:
        raise DigestMismatchError(
            f"{name} is not the model that the ensemble was made of: install that version",
            expected=digest,
            actual=found,
        )
    return member


def _checked(model_id: str, config: PreprocessConfig, logits: Logits) -> Logits:
    """Return `logits` that refuses arrays which are not standardised as the model wants them."""
    shape = (config.rows, config.columns, *((3,) if config.colour else ()))

    def checked(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) == 0:
            raise ModelMismatchError(
                f"{model_id} takes 8-bit images of shape {('n', *shape)}, not {images.dtype} of "
                f"{images.shape}: standardise them with its settings"
            )
        return logits(images)

    return checked


def _network_from(
    card: Card, preprocess: PreprocessConfig, tensors: Mapping[str, NDArray[Any]]
) -> Network:
    try:
        settings = NetworkConfig(
            rows=preprocess.rows,
            columns=preprocess.columns,
            channels=3 if preprocess.colour else 1,
            classes=len(card.classes),
            **dict(card.network),  # type: ignore[arg-type]  # wrong names and values are refused
        )
        with torch.random.fork_rng(devices=[]):
            network = NETWORKS[card.method](settings)
    except (TypeError, ConfigurationError) as error:
        raise WeightsError(f"card of {card.id}: [network] is malformed") from error
    # Copies, since torch refuses read-only memory; float16 becomes float32 on loading.
    state = {name: torch.tensor(tensor) for name, tensor in unpack(tensors).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"the weights of {card.id} do not fit the network") from error
    network.requires_grad_(False)
    return network.eval()
