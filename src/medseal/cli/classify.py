"""`medseal classify`: classify a sealed image or a file."""

from pathlib import Path
from typing import get_args

import click

from medseal.classification.classifier import Prediction
from medseal.classification.runtime import Runtime, open_model
from medseal.cli.options import FILE, Common, common, emit, option
from medseal.errors import ConfigurationError
from medseal.pipeline.classify import ResultFiles, classify_file, classify_image
from medseal.pipeline.workspace import OWNER, Workspace


@click.command(name="classify")
@click.argument("target", metavar="IMAGE_ID|FILE")
@option(
    "--model",
    help="Model id, or folder of a trained or an exported model; the default model when not "
    "given. 'medseal doctor' lists the ids.",
)
@option(
    "--runtime",
    type=click.Choice(get_args(Runtime)),
    default="auto",
    show_default=True,
    help="Engine of an exported model; torch runs trained ones. 'auto' prefers OpenVINO.",
)
@option(
    "--reduced",
    is_flag=True,
    help="Decode a large JPEG or JPEG 2000 file at reduced size, where the model was gated for it.",
)
@option("--explain", type=FILE, help="Write a PNG with the Grad-CAM heat map.")
@option("--dicom-sr", type=FILE, help="Write the result as a DICOM structured report.")
@option("--dicom-seg", type=FILE, help="Write the attention map as a DICOM segmentation.")
@option("--as", "name", default=OWNER, show_default=True, help="Name of who classifies.")
@option("--purpose", help="Purpose of the grant, if it has one.")
@common
def command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    target: str,
    model: str | None,
    runtime: str,
    reduced: bool,
    explain: Path | None,
    dicom_sr: Path | None,
    dicom_seg: Path | None,
    name: str,
    purpose: str | None,
) -> None:
    """Classify a sealed image (needs a grant) or a plain file. Not a medical device.

    Without --model the default model is taken. An image whose modality is known and is not that
    of the model is refused.
    """
    if model is None and runtime not in ("auto", "torch"):
        raise ConfigurationError("name the exported model to run with --model")
    classifier = open_model(model, runtime=runtime) if model is not None else None
    files = ResultFiles(explanation=explain, report=dicom_sr, segmentation=dicom_seg)
    if Path(target).is_file():
        outcome = classify_file(Path(target), classifier=classifier, files=files, reduced=reduced)
    elif reduced:
        raise ConfigurationError("a sealed image is verified, so it is always decoded in full")
    else:
        with Workspace.open(
            options.workspace, options.passphrase(), node=options.node
        ) as workspace:
            outcome = classify_image(
                workspace,
                target,
                classifier=classifier,
                name=name,
                purpose=purpose,
                files=files,
            )
    prediction = outcome.prediction
    value = {
        "label": prediction.label,
        "probabilities": dict(prediction.probabilities),
        "model_id": prediction.model_id,
        "calibrated": prediction.calibrated,
        "abstained": prediction.abstained,
        "runtime": outcome.runtime,
        "reduced_by": outcome.reduced_by,
        "receipt": str(outcome.receipt) if outcome.receipt else None,
    }
    emit(options, value, _as_text(prediction))


def _as_text(prediction: Prediction) -> str:
    shares = ", ".join(f"{label} {share:.3f}" for label, share in prediction.probabilities.items())
    head = "abstained" if prediction.abstained else prediction.label
    return f"{head} ({shares}) by {prediction.model_id}. Not a medical device."
