"""`medseal train`: train a model from a configuration."""

import logging
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from medseal.cli.figures import figure_lines
from medseal.cli.options import FILE, Common, argument_file, common, emit, option

_WATERMARK = "watermark-cnn"
_TAMPER_BLIND, _TAMPER_REFERENCE = "tamper-blind", "tamper-reference"
_CIPHER_ANALOG = "cipher-analog"


@click.command(name="train")
@argument_file("config")
@option("--data", type=FILE, required=True, help="Folder with the images and MANIFEST.csv.")
@option("--output", type=FILE, required=True, help="Folder for checkpoints, log and weights.")
@option(
    "--no-test",
    is_flag=True,
    help="Give the figures of the validation part and leave the test part unseen, as the training "
    "of a watermark always does.",
)
@common
def command(options: Common, config: Path, data: Path, output: Path, *, no_test: bool) -> None:
    """Train the model that CONFIG describes; an interrupted run goes on where it stopped."""
    progress = logging.getLogger("medseal.train")
    progress.setLevel(logging.INFO)
    progress.addHandler(logging.StreamHandler(sys.stderr))
    folder, run_folder, evaluation = _trained(config, data, output, no_test=no_test)
    figures = dict(evaluation)
    inside = {name: value for name, value in figures.items() if name != "left_out"}
    lines = [f"{folder}: weights and card", *figure_lines(inside)]
    if "left_out" in figures:
        lines += ["sources that were left out of the training:", *figure_lines(figures["left_out"])]
    value = {"model": str(folder), "run": str(run_folder), "evaluation": figures}
    emit(options, value, "\n".join(lines))


def _trained(
    config: Path, data: Path, output: Path, *, no_test: bool
) -> tuple[Path, Path, Mapping[str, Any]]:
    """Return the model's folder, the run's folder and the figures."""
    # One of them: all load PyTorch, and much else that the others do not need.
    method = _method(config)
    if method == _TAMPER_BLIND:
        from medseal.protection.tamper.blind.train import train_blind  # noqa: PLC0415

        blind = train_blind(config, data_dir=data, output_dir=output)
        return blind.folder, blind.run_folder, blind.evaluation
    if method == _TAMPER_REFERENCE:
        from medseal.protection.tamper.calibrate import calibrate  # noqa: PLC0415
        from medseal.protection.tamper.reference.train import train_reference  # noqa: PLC0415

        compared = train_reference(config, data_dir=data, output_dir=output)
        card = calibrate(compared.folder, data_dir=data)
        return compared.folder, compared.run_folder, card.metrics
    if method == _WATERMARK:
        from medseal.protection.watermark.train import train_watermark  # noqa: PLC0415

        marked = train_watermark(config, data_dir=data, output_dir=output)
        return marked.folder, marked.run_folder, marked.evaluation
    if method == _CIPHER_ANALOG:
        from medseal.protection.encryption.cnn.analog_train import (  # noqa: PLC0415
            train_restoration,
        )

        restoring = train_restoration(config, data_dir=data, output_dir=output)
        return restoring.folder, restoring.run_folder, restoring.evaluation
    from medseal.classification.train import train  # noqa: PLC0415

    trained = train(config, data_dir=data, output_dir=output, test=not no_test)
    return trained.folder, trained.run_folder, trained.evaluation


def _method(config: Path) -> object:
    """Return what the configuration names; None where it is none, which training then refuses."""
    try:
        return tomllib.loads(config.read_text(encoding="utf-8")).get("method")
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
