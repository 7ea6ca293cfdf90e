"""`medseal seal`: seal images into the workspace."""

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from medseal.cli.options import Common, argument_file, common, emit, on_one_line, say
from medseal.errors import UnreadableImageError
from medseal.imaging.formats import find_image_files
from medseal.pipeline.seal import SealOutcome, seal
from medseal.pipeline.workspace import Workspace

SOME_FAILED = 1


@click.command(name="seal")
@argument_file("paths", nargs=-1, required=True)
@common
def command(options: Common, paths: tuple[Path, ...]) -> int:
    """Seal the images PATH... (files, or folders with all below them).

    An image that is sealed already is only named. A file that cannot be read is reported and the
    others go on; an interrupted run can simply be started again.
    """
    files = list(find_image_files(paths))
    if not files:
        folders = ", ".join(str(path) for path in paths)
        raise UnreadableImageError(f"{folders}: no image file in there; give another folder")
    codes: list[int] = []
    with (
        Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace,
        _progress(options, len(files)) as progress,
    ):
        bar = progress.add_task("sealing", total=len(files))
        for outcome in seal(workspace, files):
            _report(options, outcome)
            codes.append(outcome.exit_code)
            progress.advance(bar)
    failed = [code for code in codes if code]
    if not options.json:
        click.echo(f"{len(codes) - len(failed)} of {len(codes)} files are sealed.", err=True)
    if not failed:
        return 0
    return failed[0] if len(codes) == 1 else SOME_FAILED


def _progress(options: Common, total: int) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=options.json or total == 1 or not console.is_terminal,
    )


def _report(options: Common, outcome: SealOutcome) -> None:
    if outcome.error is not None:
        say(outcome.error)
    emit(
        options,
        {
            "file": str(outcome.file),
            "image_id": outcome.image_id,
            "status": outcome.status,
            "receipt": str(outcome.receipt) if outcome.receipt else None,
            "error": outcome.error,
        },
        f"{outcome.image_id or '-':32}  {outcome.status:14}  {on_one_line(str(outcome.file))}",
    )
