"""`medseal demo`: the whole way on real images, with an HTML report."""

import shlex
import time
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from medseal.cli.options import FILE, Common, common, emit, option
from medseal.pipeline.demo import STEPS, DemoStep, Folders, demo

NOT_AS_EXPECTED = 1


@click.command(name="demo")
@option("--data", type=FILE, help="Folder of images; else pydicom's files and generated ones.")
@option(
    "--output",
    type=FILE,
    default=Path("medseal-demo"),
    show_default=True,
    help="Folder to write; one that a demo has made is replaced.",
)
@common
def command(options: Common, data: Path | None, output: Path) -> int:
    """Seal, release, attack, verify, open, classify and prove, then write OUTPUT/report.html.

    Makes a workspace of its own below OUTPUT, with a passphrase of its own in
    OUTPUT/passphrase.txt; --workspace and --passphrase-file are not used. Exit code 0 if all that
    the demo expects is so.
    """
    start = time.perf_counter()
    folders = Folders(output=output)
    steps: list[DemoStep] = []
    with _progress(options) as progress:
        bar = progress.add_task(STEPS[0], total=len(STEPS))
        for step in demo(output, data=data):
            steps.append(step)
            _say(options, step)
            following = STEPS[len(steps)] if len(steps) < len(STEPS) else "done"
            progress.update(bar, advance=1, description=following)
    held = all(step.held for step in steps)
    emit(
        options,
        {
            "report": str(folders.report),
            "workspace": str(folders.workspace),
            "seconds": round(time.perf_counter() - start, 3),
            "ok": held,
        },
        _next_commands(folders, held=held),
    )
    return 0 if held else NOT_AS_EXPECTED


def _progress(options: Common) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description:10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        disable=options.json or not console.is_terminal,
    )


def _say(options: Common, step: DemoStep) -> None:
    outcome = "ok" if step.held else "NOT AS EXPECTED"
    emit(
        options,
        {
            "step": step.name,
            "detail": step.detail,
            "seconds": round(step.seconds, 3),
            "ok": step.held,
        },
        f"{step.name:9} {step.seconds:6.1f} s  {outcome}: {step.detail}",
    )


def _next_commands(folders: Folders, *, held: bool) -> str:
    """Return where the report is and how to go on in the demo's workspace."""
    release = folders.releases / "01.dcm"
    head = "All was as expected." if held else "Not all was as expected; the report names it."
    return f"""
{head}
Report: {folders.report}

Go on in its workspace:
  export MEDSEAL_WORKSPACE={shlex.quote(str(folders.workspace))}
  export MEDSEAL_PASSPHRASE_FILE={shlex.quote(str(folders.passphrase))}
  medseal ledger status
  medseal access list
  medseal verify {shlex.quote(str(release))}
  medseal open {shlex.quote(str(release))} --output original.dcm"""
