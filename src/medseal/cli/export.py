"""`medseal export`: export a model for a fast runtime, behind an accuracy gate."""

from pathlib import Path
from typing import get_args

import click

from medseal.classification.export import ExportConfig, export
from medseal.classification.exported import Precision
from medseal.cli.options import FILE, Common, common, emit, option
from medseal.errors import StorageError


@click.command(name="export")
@click.argument("model")
@option("--data", type=FILE, required=True, help="Folder with the images of training.")
@option("--output", type=FILE, required=True, help="Folder in which the model's folder is written.")
@option(
    "--precision",
    type=click.Choice(get_args(Precision)),
    default="bf16",
    show_default=True,
    help="bf16 and int8 need a processor that has them to be fast; int8 needs NNCF.",
)
@common
def command(options: Common, model: str, *, data: Path, output: Path, precision: Precision) -> None:
    """Export MODEL (an id, or a folder with weights and card) to ONNX, for classify --model.

    The exported network is compared with the trained one on the validation images of the split on
    the model's card. Where decisions, probabilities, accuracy or AUROC change beyond the stated
    bounds nothing is written. Without these images there is no export.
    """
    if not output.is_dir():
        raise StorageError(f"{output}: no such folder; make it first")
    exported = export(model, data, output, config=ExportConfig(precision=precision))
    record = exported.record
    folder = output / exported.card.id
    value = {
        "model_id": exported.card.id,
        "folder": str(folder),
        "precision": record.precision,
        "model_sha256": str(record.model_sha256),
        "gates": {engine: dict(found) for engine, found in record.gates.items()},
        "reduced": None if record.reduced is None else dict(record.reduced),
    }
    lines = [f"{folder}: {exported.card.id} in {precision}, {len(exported.network)} bytes"]
    for engine, found in record.gates.items():
        lines.append(
            f"  {engine}: {found['changed_decisions']} of {found['images']} decisions changed, "
            f"largest change of a probability {float(str(found['probability_change'])):.2g}"
        )
    emit(options, value, "\n".join(lines))
