"""From images to labels with probabilities: the one way a model is used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.baselines import LinearSvm
from medseal.classification.calibrate import softmax
from medseal.classification.fit import logits_of
from medseal.classification.networks import FiveLayerCNN, NetworkConfig
from medseal.errors import InputError, ModelMismatchError, WeightsError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.preprocess import PreprocessConfig, standardise
from medseal.imaging.quality import measure_quality
from medseal.weights import Card

__all__ = ["Classifier", "Prediction", "classifier_from", "load", "load_folder"]

# Frames that are held standardised at a time: 12 MB at 224x224.
_FRAMES_AT_A_TIME = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a model says about one image.

    Attributes
    ----------
    label
        The most probable class, also where `abstained`.
    probabilities
        Class to probability, adding up to 1; of an image with many frames their mean.
    model_id
        Of the model.
    calibrated
        Whether the probabilities were fitted to validation images.
    abstained
        Too unsure, or nothing to see: a person shall decide.
    """

    label: str
    probabilities: Mapping[str, float]
    model_id: str
    calibrated: bool
    abstained: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Classifier:
    """A loaded model.

    Attributes
    ----------
    card
        What it is for and how good it is.
    preprocess
        Settings that turn display values into its input.
    logits
        Takes standardised images, uint8 (n, rows, columns); returns float64 (n, classes).
    network
        The network behind `logits`, where there is one.
    """

    card: Card
    preprocess: PreprocessConfig
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
    network: FiveLayerCNN | None = None

    @property
    def temperature(self) -> float:
        """Divisor of the logits; 1 where the card names none."""
        return _number(self.card, "temperature", 1.0)

    def check(self, image: MedicalImage) -> None:
        """Refuse an image of another modality than the model's.

        Raises
        ------
        ModelMismatchError
            The image says its modality, and it is not the model's.
        """
        wanted = self.card.modality
        if image.modality is not None and wanted not in (image.modality, "any"):
            raise ModelMismatchError(
                f"{self.card.id} was made for {wanted} images, this one is {image.modality}: "
                "name a model of that modality"
            )

    def probabilities(self, standardised: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated probabilities of standardised images, (n, classes)."""
        return softmax(self.logits(standardised), temperature=self.temperature)

    def predict(self, images: Sequence[MedicalImage]) -> list[Prediction]:
        """Return one prediction an image, in order.

        Parameters
        ----------
        images
            Any size, bit depth and number of frames.

        Raises
        ------
        ModelMismatchError
            An image is of another modality; nothing is predicted.
        """
        for image in images:
            self.check(image)
        return [self._predict_one(image) for image in images]

    def _predict_one(self, image: MedicalImage) -> Prediction:
        total = np.zeros(len(self.card.classes))
        blank = True
        for start in range(0, image.frames, _FRAMES_AT_A_TIME):
            numbers = range(start, min(start + _FRAMES_AT_A_TIME, image.frames))
            shown = [display_values(image, frame=frame) for frame in numbers]
            blank = blank and all(measure_quality(frame).is_blank for frame in shown)
            frames = np.stack([standardise(frame, config=self.preprocess) for frame in shown])
            total += self.probabilities(frames).sum(axis=0)
        mean = total / image.frames
        threshold = _number(self.card, "abstain_below", 0.0)
        best = int(mean.argmax())
        names = zip(self.card.classes, mean.tolist(), strict=True)
        return Prediction(
            label=self.card.classes[best],
            probabilities=MappingProxyType(dict(names)),
            model_id=self.card.id,
            calibrated="temperature" in self.card.calibration,
            abstained=blank or float(mean[best]) < threshold,
        )


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


def _number(card: Card, name: str, otherwise: float) -> float:
    value = card.calibration.get(name, otherwise)
    if not isinstance(value, int | float):
        raise WeightsError(f"card of {card.id}: {name} is no number")
    return float(value)
