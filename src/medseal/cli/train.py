"""`medseal train`: train a model from a configuration."""

import logging
import sys
from pathlib import Path

import click

from medseal.classification.train import train
from medseal.cli.figures import figure_lines
from medseal.cli.options import FILE, Common, argument_file, common, emit, option


@click.command(name="train")
@argument_file("config")
@option("--data", type=FILE, required=True, help="Folder with the images and MANIFEST.csv.")
@option("--output", type=FILE, required=True, help="Folder for checkpoints, log and weights.")
@option(
    "--no-test",
    is_flag=True,
    help="Give the figures of the validation part and leave the test part unseen.",
)
@common
def command(options: Common, config: Path, data: Path, output: Path, *, no_test: bool) -> None:
    """Train the model that CONFIG describes; an interrupted run goes on where it stopped."""
    progress = logging.getLogger("medseal.train")
    progress.setLevel(logging.INFO)
    progress.addHandler(logging.StreamHandler(sys.stderr))
    trained = train(config, data_dir=data, output_dir=output, test=not no_test)
    value = {"model": str(trained.folder), "run": str(trained.run_folder)}
    figures = dict(trained.evaluation)
    inside = {name: value for name, value in figures.items() if name != "left_out"}
    lines = [f"{trained.folder}: weights and card", *figure_lines(inside)]
    if "left_out" in figures:
        lines += ["sources that were left out of the training:", *figure_lines(figures["left_out"])]
    emit(options, value | {"evaluation": figures}, "\n".join(lines))
