"""`medseal evaluate`: evaluate a model on a labelled folder."""

from pathlib import Path

import click

from medseal.classification.evaluation import examine, summary
from medseal.classification.report import ReportSettings, write_report
from medseal.cli.figures import evaluation_lines
from medseal.cli.options import FILE, Common, common, emit, option


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
@option("--report", type=FILE, help="Write an HTML page with plots and explained images.")
@option(
    "--report-images",
    type=click.IntRange(min=10),
    default=120,
    show_default=True,
    help="Images that the page's robustness curves are measured on.",
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
    report: Path | None,
    report_images: int,
) -> None:
    """Evaluate MODEL (an id, or a folder with weights and card); intervals are by group.

    Images of sources that the model was not trained on come first: that figure says most about
    another hospital. Images that stand in the training split are counted and named.
    """
    found = examine(
        model, data, split=split, sources=sources, data_set=data_set, trained_on=trained_on
    )
    result = summary(found)
    if report is not None:
        write_report(
            found, result, report, settings=ReportSettings(robustness_images=report_images)
        )
    emit(options, result, "\n".join(evaluation_lines(result)))
