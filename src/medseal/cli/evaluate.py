"""`medseal evaluate`: evaluate a model on a labelled folder."""

from pathlib import Path

import click

from medseal.classification.evaluation import evaluate
from medseal.cli.figures import figure_lines
from medseal.cli.options import FILE, Common, common, emit, option


@click.command(name="evaluate")
@click.argument("model")
@option("--data", type=FILE, required=True, help="Folder with the images and MANIFEST.csv.")
@option(
    "--split",
    type=click.Choice(["train", "validation", "test", "all"]),
    default="test",
    show_default=True,
    help="Part of the split on the model's card.",
)
@common
def command(options: Common, model: str, data: Path, split: str) -> None:
    """Evaluate MODEL (an id, or a folder with weights and card); intervals are by group."""
    result = evaluate(model, data, split=split)
    emit(options, result, "\n".join([model, *figure_lines(result)]))
