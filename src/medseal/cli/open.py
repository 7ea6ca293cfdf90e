"""`medseal open`: write the original of a sealed image."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, common, emit, option
from medseal.pipeline.identify import image_id_of
from medseal.pipeline.open import open_image
from medseal.pipeline.workspace import OWNER, Workspace


@click.command(name="open")
@click.argument("target", metavar="IMAGE_ID|RELEASE_FILE")
@option("--as", "name", default=OWNER, show_default=True, help="Name of who opens.")
@option("--output", type=FILE, required=True, help="File to write.")
@option("--purpose", help="Purpose of the grant, if it has one.")
@common
def command(options: Common, target: str, name: str, output: Path, purpose: str | None) -> None:
    """Write the original, bit for bit, of a sealed image or of the image behind a release.

    With the suffix of the original format, or none, the file itself; with another suffix equal
    stored values in that format.
    """
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        outcome = open_image(
            workspace, image_id_of(workspace, target), output, name=name, purpose=purpose
        )
    emit(
        options,
        {
            "image_id": outcome.image_id,
            "file": str(outcome.file),
            "exact": outcome.exact,
            "receipt": str(outcome.receipt),
        },
        f"{outcome.file}: image {outcome.image_id}, exact in {outcome.exact}; "
        f"receipt {outcome.receipt}",
    )
