"""`medseal evaluate`: evaluate a model on a labelled folder."""

from pathlib import Path
from typing import get_args

import click
import numpy as np

from medseal.classification.evaluation import examine, summary
from medseal.classification.report import ReportSettings, write_report
from medseal.classification.robustness import robustness as measure
from medseal.classification.robustness import sample
from medseal.classification.runtime import Runtime, open_model
from medseal.cli.figures import evaluation_lines
from medseal.cli.options import FILE, Common, common, emit, option

_PAGE_IMAGES = 80


@click.command(name="evaluate")
@click.argument("model")
@option("--data", type=FILE, required=True, help="Folder with MANIFEST.csv, or with class folders.")
@option("--data-set", help="Name of the data set; that on the model's card when not given.")
@option(
    "--split",
    type=click.Choice(["train", "validation", "test", "all"]),
    default="test",
    show_default=True,
    help="Part of the sources of training; other sources count in 'test' with every image.",
)
@option("--source", "sources", multiple=True, help="Only this source; can be repeated.")
@option("--trained-on", type=FILE, help="Folder with the images of training, to compare with.")
@option(
    "--runtime",
    type=click.Choice(get_args(Runtime)),
    default="auto",
    show_default=True,
    help="Engine of an exported model; torch runs trained ones. 'auto' prefers OpenVINO.",
)
@option("--report", type=FILE, help="Write an HTML page with plots and explained images.")
@option(
    "--robustness",
    type=click.IntRange(min=0),
    help="Images that are made worse, and shifted to simulated sites, in steps; 80 for a page.",
)
@common
def command(  # noqa: PLR0913  # each is an option of the command
    options: Common,
    model: str,
    *,
    data: Path,
    data_set: str | None,
    split: str,
    sources: tuple[str, ...],
    trained_on: Path | None,
    runtime: str,
    report: Path | None,
    robustness: int | None,
) -> None:
    """Evaluate MODEL (an id, or a folder of train or export); intervals are by group.

    Images of sources that the model was not trained on come first: that figure says most about
    another hospital. Images that stand in the training split are counted and named.
    """
    found = examine(
        open_model(model, runtime=runtime),
        data,
        split=split,
        sources=sources,
        data_set=data_set,
        trained_on=trained_on,
    )
    result = {**summary(found), "runtime": found.classifier.runtime}
    images = (_PAGE_IMAGES if report is not None else 0) if robustness is None else robustness
    if images:
        generator = np.random.default_rng(1)
        chosen = sample(found.records, count=images, generator=generator)
        result["robustness"] = measure(found.classifier, found.data, chosen)
    if report is not None:
        write_report(found, result, report, settings=ReportSettings())
    emit(options, result, "\n".join(evaluation_lines(result)))
