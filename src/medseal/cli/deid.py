"""`medseal deid`: write a de-identified copy."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.pipeline.deid import deidentify_file


@click.command(name="deid")
@argument_file("source", metavar="IN")
@option("--output", type=FILE, required=True, help="File to write.")
@option("--allow-burned-in", is_flag=True, help="Go on even if text is declared in the pixels.")
@common
def command(options: Common, source: Path, output: Path, allow_burned_in: bool) -> None:
    """Write a copy of IN without what the PS3.15 basic profile lists, and say what was done.

    Identifiers are replaced by fresh random ones on each call; needs no workspace. Text burned
    into the picture is not read.
    """
    report = deidentify_file(source, output, allow_burned_in=allow_burned_in)
    lines = [f"{output}: {report.profile}; data elements changed: {len(report.entries)}"]
    lines += [f"  {entry.action:8} {entry.tag} {entry.keyword}" for entry in report.entries]
    emit(options, {"file": str(output)} | report.to_json(), "\n".join(lines))
