"""`medseal data`: audit labelled images before training, and write their split."""

import json
from pathlib import Path

import click

from medseal.cli.options import FILE, Common, argument_file, common, emit, option, say
from medseal.datasets import Dataset, read_dataset
from medseal.datasets.catalogue import NAMES, recognise
from medseal.errors import ConfigurationError
from medseal.imaging.files import check_output, write_file

_DATA_SET = "Name of the data set; recognised from the folder when not given."


@click.group(name="data")
def command() -> None:
    """Audit labelled images before training, and write their split."""


def _read(folder: Path, name: str | None) -> Dataset:
    chosen = name if name is not None else recognise(folder)
    say(f"reading {folder} as {chosen}")
    return read_dataset(chosen, folder)


@command.command(name="audit")
@argument_file("folder", metavar="DIR")
@option("--data-set", type=click.Choice(NAMES), metavar="NAME", help=_DATA_SET)
@option("--split", "split_file", type=FILE, help="Split file, or CSV with path and split.")
@option("--output", type=FILE, help="Report to write: .html with pictures, or .json.")
@common
def audit_command(
    options: Common,
    folder: Path,
    data_set: str | None,
    split_file: Path | None,
    output: Path | None,
) -> int:
    """Look for what makes results on the images in DIR invalid, before anything is trained.

    Copies and patients on both sides of the split, classes that can be read from file header,
    border, texture or histogram alone, sources that give the class away, flawed images. Exit code
    0 if no such problem was found (warnings may remain), 1 if one was, 2 for unreadable input.
    """
    # Loads scikit-learn, which `data split` does not need.
    from medseal.datasets.audit import audit  # noqa: PLC0415
    from medseal.datasets.audit.page import as_page, as_text  # noqa: PLC0415

    if output is not None:
        if output.suffix.lower() not in (".html", ".json"):
            raise ConfigurationError(f"{output}: a report ends with .html or .json")
        check_output(output)
    done, measured = audit(_read(folder, data_set), split_file=split_file, progress=say)
    value = done.to_json()
    if output is not None:
        as_html = output.suffix.lower() == ".html"
        text = as_page(done, measured) if as_html else json.dumps(value, indent=2) + "\n"
        write_file(text.encode(), output)
    written = f"\n{output}: report" if output is not None else ""
    emit(options, {**value, "exit_code": done.exit_code}, as_text(done) + written)
    return done.exit_code


@command.command(name="split")
@argument_file("folder", metavar="DIR")
@option("--data-set", type=click.Choice(NAMES), metavar="NAME", help=_DATA_SET)
@option("--seed", type=int, default=1, show_default=True, help="Draws the order of the groups.")
@option("--output", type=FILE, required=True, help="Split file to write.")
@common
def split_command(
    options: Common, folder: Path, data_set: str | None, seed: int, output: Path
) -> None:
    """Write the split of the images in DIR: the given one, or 80/10/10 drawn by group."""
    check_output(output)
    dataset = _read(folder, data_set)
    split = dataset.split(seed=seed)
    write_file(split.to_bytes(), output)
    value = {"file": str(output), "digest": str(split.digest), **split.counts}
    value["notes"] = list(dataset.notes)
    counts = ", ".join(f"{part} {count}" for part, count in split.counts.items())
    lines = [f"{output}: {counts}", f"  {split.digest}", *(f"  {note}" for note in dataset.notes)]
    emit(options, value, "\n".join(lines))
