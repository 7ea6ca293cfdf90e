"""Classify a sealed image or a file: check the grant, predict, bind the result on the ledger."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medseal import weights
from medseal.classification import Classifier, Prediction, explain, load, overlay
from medseal.digest import canonical_json
from medseal.errors import ModelMismatchError, UnknownModelError
from medseal.imaging import MedicalImage, display_values, encode, read_bytes
from medseal.imaging.files import check_output, read_file, write_file
from medseal.ledger import EventKind
from medseal.pipeline.access import authorize, find_image
from medseal.pipeline.open import unseal
from medseal.pipeline.workspace import OWNER, Workspace

__all__ = ["ClassifyOutcome", "classify_file", "classify_image", "write_explanation"]

_PROBABILITY_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyOutcome:
    """A prediction and its receipt.

    Attributes
    ----------
    prediction
        Label, probabilities, model, calibration, abstention.
    receipt
        Path of the receipt that binds image, model and result; None for a plain file outside any
        workspace.
    """

    prediction: Prediction
    receipt: Path | None


def classify_image(
    workspace: Workspace,
    image_id: str,
    *,
    classifier: Classifier | None = None,
    name: str = OWNER,
    purpose: str | None = None,
    explanation: Path | None = None,
) -> ClassifyOutcome:
    """Classify a sealed image for `name`; the plaintext stays in memory.

    Parameters
    ----------
    workspace
        Open.
    image_id
        A sealed image.
    classifier
        A loaded model; the default one for the image's modality when None.
    name
        Who classifies.
    purpose
        As for the grant.
    explanation
        PNG to write, with the Grad-CAM heat map.

    Raises
    ------
    UnknownImageError, AccessRefusedError
        No such image; no ``classify`` grant.
    ModelMismatchError
        The image is not of the kind the model was made for.
    """
    record = find_image(workspace, image_id)
    account = authorize(workspace, record, name, "classify", purpose=purpose)
    if explanation is not None:
        check_output(explanation)
    image = unseal(workspace, record).image
    if classifier is None:
        classifier = load(default_model(image))
    [prediction] = classifier.predict([image])
    receipt = workspace.record_event(
        EventKind.CLASSIFY,
        actor=account,
        subject=record.commitment,
        details={
            "model": prediction.model_id,
            "model_digest": str(classifier.card.sha256),
            "result": f"sha256:{_keyed_result(workspace, prediction)}",
        },
    )
    if explanation is not None:
        write_explanation(image, classifier, explanation)
    return ClassifyOutcome(prediction=prediction, receipt=receipt)


def classify_file(
    file: Path, *, classifier: Classifier | None = None, explanation: Path | None = None
) -> ClassifyOutcome:
    """Classify a plain file, outside any workspace and without a receipt.

    Raises
    ------
    InputError
        The file cannot be read.
    ModelMismatchError
        The image is not of the kind the model was made for.
    """
    if explanation is not None:
        check_output(explanation)
    image = read_bytes(read_file(file), name=str(file))
    if classifier is None:
        classifier = load(default_model(image))
    [prediction] = classifier.predict([image])
    if explanation is not None:
        write_explanation(image, classifier, explanation)
    return ClassifyOutcome(prediction=prediction, receipt=None)


def default_model(image: MedicalImage) -> str:
    """Return the id of the model for an image when none is named.

    Raises
    ------
    ModelMismatchError
        No default model takes images of this modality.
    UnknownModelError
        Several do.
    """
    cards = [card for card in weights.models() if card.default]
    fitting = [
        card for card in cards if image.modality is None or card.modality in (image.modality, "any")
    ]
    if not fitting:
        known = ", ".join(f"{card.id} for {card.modality}" for card in cards) or "none at all"
        raise ModelMismatchError(
            f"no model for {image.modality} images is installed ({known}); name one with --model"
        )
    if len(fitting) > 1:
        raise UnknownModelError("several models fit; name one with --model")
    return fitting[0].id


def _keyed_result(workspace: Workspace, prediction: Prediction) -> str:
    """Return the keyed digest of a result; a plain one could be found by trying all results."""
    result = canonical_json(
        {
            "label": prediction.label,
            "probabilities": {
                label: f"{probability:.{_PROBABILITY_DIGITS}f}"
                for label, probability in prediction.probabilities.items()
            },
            "abstained": prediction.abstained,
        }
    )
    return workspace.keys.result(result)


def write_explanation(image: MedicalImage, classifier: Classifier, path: Path) -> None:
    """Write a PNG of the first frame with the Grad-CAM heat map over it.

    Raises
    ------
    ModelMismatchError
        The model has no convolution to explain.
    StorageError
        The file cannot be written.
    """
    picture = overlay(display_values(image), explain(image, classifier))
    colour = MedicalImage(
        stored_values=picture[np.newaxis],
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="RGB",
        source_format="png",
        decoder="medseal",
    )
    write_file(encode(colour, "png"), path)
