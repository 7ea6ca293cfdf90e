"""From a card and its weights to a classifier: the one way a trained model is loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.baselines import LinearSvm
from medseal.classification.classifier import Classifier, Prediction
from medseal.classification.fit import logits_of
from medseal.classification.networks import FiveLayerCNN, NetworkConfig
from medseal.errors import InputError, WeightsError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import Card

__all__ = ["Classifier", "Prediction", "classifier_from", "load", "load_folder"]


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
    return classifier_from(*weights.load_folder(folder))


def classifier_from(card: Card, tensors: Mapping[str, NDArray[Any]]) -> Classifier:
    """Return the model of a card and its tensors.

    Raises
    ------
    WeightsError
        The card names an unknown method, other preprocessing than this version does, or the
        tensors do not fit the method.
    """
    preprocess = _preprocess_of(card)
    if card.method == "linear-svm":
        machine = LinearSvm.from_tensors(tensors)
        return Classifier(card=card, preprocess=preprocess, logits=machine.logits)
    if card.method != "five-layer-cnn":
        raise WeightsError(f"{card.id}: this version knows no method {card.method!r}")
    settings = NetworkConfig(
        rows=preprocess.rows, columns=preprocess.columns, classes=len(card.classes)
    )
    network = _network_from(card, settings, tensors)

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return logits_of(network, images).numpy().astype(np.float64)

    return Classifier(card=card, preprocess=preprocess, logits=logits, network=network)


def _preprocess_of(card: Card) -> PreprocessConfig:
    """Return the settings on the card; the digest shows that they mean the same here."""
    settings: dict[str, Any] = dict(card.preprocess)
    stated = settings.pop("digest", None)
    try:
        config = PreprocessConfig(**settings)
    except (TypeError, InputError) as error:
        raise WeightsError(f"card of {card.id}: [preprocess] is malformed") from error
    if stated != str(config.digest):
        raise WeightsError(f"{card.id} was trained with other preprocessing: update the package")
    return config


def _network_from(
    card: Card, settings: NetworkConfig, tensors: Mapping[str, NDArray[Any]]
) -> FiveLayerCNN:
    # Copies, since torch refuses read-only memory; float16 becomes float32 on loading.
    state = {name: torch.tensor(tensor) for name, tensor in tensors.items()}
    network = FiveLayerCNN(settings)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"the weights of {card.id} do not fit the network") from error
    network.requires_grad_(False)
    return network.eval()
