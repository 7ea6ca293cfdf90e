"""Classify a sealed image or a file: check the grant, predict, bind the result on the ledger."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medseal import weights
from medseal.classification import Classifier, Prediction, explain, load, overlay
from medseal.classification.classifier import suits
from medseal.classification.runtime import open_model
from medseal.digest import canonical_json
from medseal.errors import ConfigurationError, ModelMismatchError, UnknownModelError
from medseal.imaging import MedicalImage, display_values, encode, read_bytes, values_digest
from medseal.imaging.files import check_output, read_file, write_file
from medseal.imaging.reduced import needed_size, read_reduced
from medseal.ledger import EventKind
from medseal.pipeline.access import authorize, find_image
from medseal.pipeline.dicom_results import (
    ResultContext,
    attention_segmentation,
    structured_report,
)
from medseal.pipeline.open import unseal
from medseal.pipeline.workspace import OWNER, Workspace

__all__ = [
    "ClassifyOutcome",
    "ResultFiles",
    "classify_file",
    "classify_image",
    "default_model",
]

# Says which modality an image without one is of.
KIND_MODEL = "linear-svm-image-kind"
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
    runtime
        What computed it, for example ``openvino bf16``.
    reduced_by
        Factor by which the sides of the decoded image were smaller than those of the stored one.
    """

    prediction: Prediction
    receipt: Path | None
    runtime: str
    reduced_by: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultFiles:
    """What a classification writes besides its answer; nothing by default.

    Attributes
    ----------
    explanation
        PNG with the attention map over the first frame.
    report
        DICOM structured report (TID 1500).
    segmentation
        DICOM segmentation of the attention map.
    """

    explanation: Path | None = None
    report: Path | None = None
    segmentation: Path | None = None

    def check(self) -> None:
        """Refuse outputs that cannot be written, before anything is done; StorageError."""
        for path in (self.explanation, self.report, self.segmentation):
            if path is not None:
                check_output(path)


_NO_FILES = ResultFiles()


def classify_image(
    workspace: Workspace,
    image_id: str,
    *,
    classifier: Classifier | None = None,
    name: str = OWNER,
    purpose: str | None = None,
    files: ResultFiles = _NO_FILES,
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
    files
        What to write besides.

    Raises
    ------
    UnknownImageError, AccessRefusedError
        No such image; no ``classify`` grant.
    ModelMismatchError
        The image is not of the kind the model was made for.
    """
    record = find_image(workspace, image_id)
    account = authorize(workspace, record, name, "classify", purpose=purpose)
    files.check()
    opened = unseal(workspace, record)
    if classifier is None:
        classifier = open_model(default_model(opened.image))
    [prediction] = classifier.predict([opened.image])
    written = _documents(opened.data, opened.image, classifier, prediction, files=files)
    # The use is on the ledger before a result leaves.
    receipt = workspace.record_event(
        EventKind.CLASSIFY,
        actor=account,
        subject=record.commitment,
        details={
            "model": prediction.model_id,
            "model_digest": str(classifier.digest),
            "runtime": classifier.runtime,
            "result": f"sha256:{_keyed_result(workspace, prediction)}",
            **{
                kind: f"sha256:{workspace.keys.result(content)}"
                for kind, (_, content) in written.items()
            },
        },
    )
    _write(written)
    return ClassifyOutcome(prediction=prediction, receipt=receipt, runtime=classifier.runtime)


def classify_file(
    file: Path,
    *,
    classifier: Classifier | None = None,
    files: ResultFiles = _NO_FILES,
    reduced: bool = False,
) -> ClassifyOutcome:
    """Classify a plain file, outside any workspace and without a receipt.

    Parameters
    ----------
    file
        Any image file.
    classifier
        A loaded model; the default one for the image's modality when None.
    files
        What to write besides.
    reduced
        Whether a large JPEG or JPEG 2000 image is decoded at reduced size. Others are decoded in
        full, as the outcome says. Needs a classifier whose export gate measured it.

    Raises
    ------
    InputError
        The file cannot be read.
    ModelMismatchError
        The image is not of the kind the model was made for, or was not gated for reduced decoding.
    ConfigurationError
        Reduced decoding without a named model, or with files that show the whole image.
    """
    files.check()
    data = read_file(file)
    if reduced:
        if classifier is None or files != _NO_FILES:
            raise ConfigurationError(
                "reduced decoding needs a named model, and writes no explanation and no DICOM file"
            )
        found = _classify_reduced(data, classifier, name=str(file))
        if found is not None:
            return found
    image = read_bytes(data, name=str(file))
    if classifier is None:
        classifier = open_model(default_model(image))
    [prediction] = classifier.predict([image])
    _write(_documents(data, image, classifier, prediction, files=files))
    return ClassifyOutcome(prediction=prediction, receipt=None, runtime=classifier.runtime)


def _classify_reduced(data: bytes, classifier: Classifier, *, name: str) -> ClassifyOutcome | None:
    """Return the outcome from a decoding at reduced size, or None where that is not possible."""
    rows, columns = needed_size(classifier.preprocess)
    image = read_reduced(data, rows=rows, columns=columns, name=name)
    if image is None:
        return None
    [prediction] = classifier.predict([image])
    return ClassifyOutcome(
        prediction=prediction,
        receipt=None,
        runtime=classifier.runtime,
        reduced_by=image.factor,
    )


def default_model(image: MedicalImage) -> str:
    """Return the id of the model for an image when none is named.

    Where the file names no modality, `KIND_MODEL` says what the image looks like; where that is
    not clear, nothing is chosen.

    Raises
    ------
    ModelMismatchError
        No default model takes images of this modality.
    UnknownModelError
        Several do, or the modality is not known.
    """
    # Other models, such as that of the watermark, have no classes.
    cards = [card for card in weights.models() if card.default and card.classes]
    known = ", ".join(f"{card.id} for {card.modality}" for card in cards) or "none at all"
    modality = image.modality
    if modality is None and len({card.modality for card in cards}) > 1:
        [kind] = load(KIND_MODEL).predict([image])
        if kind.abstained:
            raise UnknownModelError(
                "the file names no modality and its look does not tell it: name a model with "
                f"--model ({known})"
            )
        modality = kind.label
    fitting = [card for card in cards if modality is None or suits(card, modality)]
    if not fitting:
        raise ModelMismatchError(
            f"no model for {modality} images is installed ({known}); name one with --model"
        )
    if len(fitting) > 1:
        raise UnknownModelError(f"several models fit: name one with --model ({known})")
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


def _documents(
    data: bytes,
    image: MedicalImage,
    classifier: Classifier,
    prediction: Prediction,
    *,
    files: ResultFiles,
) -> dict[str, tuple[Path, bytes]]:
    """Return kind to path and content of the files that are asked for."""
    context = ResultContext(
        prediction=prediction,
        card=classifier.card,
        values_digest=str(values_digest(image)),
    )
    found: dict[str, tuple[Path, bytes]] = {}
    if files.report is not None:
        found["report"] = (files.report, structured_report(data, context))
    if files.explanation is None and files.segmentation is None:
        return found
    heat = explain(image, classifier, label=prediction.label)
    if files.explanation is not None:
        found["explanation"] = (files.explanation, _picture(image, heat))
    if files.segmentation is not None:
        found["segmentation"] = (files.segmentation, attention_segmentation(data, heat, context))
    return found


def _write(documents: Mapping[str, tuple[Path, bytes]]) -> None:
    for path, content in documents.values():
        write_file(content, path)


def _picture(image: MedicalImage, heat: NDArray[np.float64]) -> bytes:
    """Return a PNG of the first frame with the attention map over it."""
    picture = overlay(display_values(image), heat)
    colour = MedicalImage(
        stored_values=picture[np.newaxis],
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="RGB",
        source_format="png",
        decoder="medseal",
    )
    return encode(colour, "png")
