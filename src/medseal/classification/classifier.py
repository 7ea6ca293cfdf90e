"""What a loaded model is and what it says, whatever runs it: works without torch."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from medseal.classification.calibrate import softmax
from medseal.classification.ensemble import average_logits
from medseal.digest import Digest
from medseal.errors import ModelMismatchError, WeightsError
from medseal.imaging import MedicalImage, display_values
from medseal.imaging.preprocess import PreprocessConfig, standardise
from medseal.imaging.quality import measure_quality
from medseal.imaging.reduced import ReducedImage
from medseal.weights import Card

if TYPE_CHECKING:
    from medseal.classification.networks import Network

__all__ = ["Classifier", "Prediction", "suits"]

# PS3.3, C.7.3.1.1.1: one kind of picture, from a plate that is read out and from a detector.
_PROJECTION = frozenset({"CR", "DX"})
# Frames that are held standardised at a time: 12 MB at 224x224.
_FRAMES_AT_A_TIME = 256
# Mean difference of the largest and the smallest sample above which an image has colour. Grey
# images that were stored as colour stay below 2, skin and fundus photographs lie above 19.
_COLOURED = 16
_COLOUR_NDIM = 3
# Every fourth row and column is enough to tell.
_STRIDE = 4


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
        Takes standardised images, uint8 (n, rows, columns) or (n, rows, columns, 3); returns
        float64 (n, classes). Refuses another dtype or shape with ModelMismatchError.
    network
        The network behind `logits`, where there is one.
    members, shares
        Models that an ensemble averages, each with its own preprocessing, and the part of each.
    runtime
        What computes `logits`, for example ``openvino bf16``.
    executed
        Digest of the file that is run, where it is not the weights that the card names.
    reduces
        Whether images that were decoded at reduced size passed the export gate.
    folder
        Where it was read from; None for an installed model.
    """

    card: Card
    preprocess: PreprocessConfig
    logits: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
    network: "Network | None" = None
    members: "tuple[Classifier, ...]" = ()
    shares: tuple[float, ...] = ()
    runtime: str = "torch"
    executed: Digest | None = None
    reduces: bool = False
    folder: Path | None = None

    @property
    def digest(self) -> Digest:
        """Digest of what is run: of the exported network, or of the weights."""
        return self.card.sha256 if self.executed is None else self.executed

    @property
    def temperature(self) -> float:
        """Divisor of the logits; 1 where the card names none."""
        return _number(self.card, "temperature", 1.0)

    @property
    def offsets(self) -> NDArray[np.float64]:
        """What is added to the logits of each class; 0 where the card names none."""
        values = self.card.calibration.get("offsets", [0.0] * len(self.card.classes))
        if not isinstance(values, list) or len(values) != len(self.card.classes):
            raise WeightsError(f"card of {self.card.id}: offsets must be one a class")
        return np.array(values, dtype=np.float64)

    def check(self, image: MedicalImage | ReducedImage) -> None:
        """Refuse an image of another modality or with other channels than the model's.

        Raises
        ------
        ModelMismatchError
            The image says its modality, and it is not the model's; or it is grey and the model
            needs colour, or the reverse; or it was decoded at reduced size, which the model's
            export gate did not measure.
        """
        for member in self.members:
            member.check(image)
        wanted = self.card.modality
        if image.modality is not None and not suits(self.card, image.modality):
            raise ModelMismatchError(
                f"{self.card.id} was made for {wanted} images, this one is {image.modality}: "
                "name a model of that modality"
            )
        if isinstance(image, ReducedImage) and not self.reduces:
            raise ModelMismatchError(
                f"{self.card.id} was not gated for reduced decoding: decode the image in full, or "
                "export the model on a data set of images twice the size of its input"
            )
        if self.preprocess.colour and self._is_grey(image):
            raise ModelMismatchError(
                f"{self.card.id} was made for colour images, this one is grey: name a model for "
                "grey images"
            )

    @staticmethod
    def _is_grey(image: MedicalImage | ReducedImage) -> bool:
        return image.photometric_interpretation.startswith("MONOCHROME")

    def _check_shown(self, shown: Sequence[NDArray[np.uint8]]) -> None:
        """Refuse display values in colour where the model sees the luminance alone.

        A model for any modality takes colour and grey images.
        """
        if self.preprocess.colour or self.card.modality == "any":
            return
        if any(_has_colour(frame) for frame in shown):
            raise ModelMismatchError(
                f"{self.card.id} was made for grey images, this one is in colour: name a model "
                "for colour images"
            )

    def probabilities(self, standardised: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated probabilities of standardised images, (n, classes)."""
        return softmax(self.logits(standardised) / self.temperature + self.offsets)

    def shown_probabilities(self, shown: Sequence[NDArray[np.uint8]]) -> NDArray[np.float64]:
        """Return calibrated probabilities of display values of any size, (n, classes)."""
        if not self.members:
            frames = np.stack([standardise(frame, config=self.preprocess) for frame in shown])
            return self.probabilities(frames)
        # A member without a share is not asked.
        asked = [(m, share) for m, share in zip(self.members, self.shares, strict=True) if share]
        parts = [member.shown_probabilities(shown) for member, _ in asked]
        logits = average_logits(parts, np.array([share for _, share in asked]))
        return softmax(logits / self.temperature + self.offsets)

    def predict(self, images: Sequence[MedicalImage | ReducedImage]) -> list[Prediction]:
        """Return one prediction an image, in order.

        Parameters
        ----------
        images
            Any size, bit depth and number of frames.

        Raises
        ------
        ModelMismatchError
            As `check`; nothing is predicted.
        """
        for image in images:
            self.check(image)
        return [self._predict_one(image) for image in images]

    def _predict_one(self, image: MedicalImage | ReducedImage) -> Prediction:
        total = np.zeros(len(self.card.classes))
        blank = True
        for start in range(0, image.frames, _FRAMES_AT_A_TIME):
            numbers = range(start, min(start + _FRAMES_AT_A_TIME, image.frames))
            shown = [_shown(image, frame) for frame in numbers]
            self._check_shown(shown)
            blank = blank and all(measure_quality(frame).is_blank for frame in shown)
            total += self.shown_probabilities(shown).sum(axis=0)
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


def _shown(image: MedicalImage | ReducedImage, frame: int) -> NDArray[np.uint8]:
    if isinstance(image, ReducedImage):
        return image.shown[frame]
    return display_values(image, frame=frame)


def suits(card: Card, modality: str) -> bool:
    """Return whether a model was made for images of a DICOM modality."""
    if card.modality in (modality, "any"):
        return True
    return {card.modality, modality} <= _PROJECTION


def _has_colour(display: NDArray[np.uint8]) -> bool:
    if display.ndim != _COLOUR_NDIM:
        return False
    sampled = display[::_STRIDE, ::_STRIDE].astype(np.int16)
    return bool((sampled.max(axis=2) - sampled.min(axis=2)).mean() > _COLOURED)


def _number(card: Card, name: str, otherwise: float) -> float:
    value = card.calibration.get(name, otherwise)
    if not isinstance(value, int | float):
        raise WeightsError(f"card of {card.id}: {name} is no number")
    return float(value)
