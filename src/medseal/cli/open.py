"""`medseal open`: write the original of a sealed image."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, common, emit, option, say
from medseal.pipeline.identify import image_id_of
from medseal.pipeline.open import OpenOutcome, open_image
from medseal.pipeline.restore import open_release_file
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

    A RELEASE_FILE that still carries its side information is opened by that, without the vault:
    the stored values of the original, the metadata of the release. One that lost it leads to the
    original in the vault.

    JSON: image_id, release_id, from (vault, release-file), file, exact (file, stored-values,
    colours), metadata_as_recorded (of a release-file, else null), receipt.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        if Path(target).is_file():
            file = Path(target)
            outcome = open_release_file(workspace, file, output, name=name, purpose=purpose)
        else:
            image_id = image_id_of(workspace, target)
            outcome = open_image(workspace, image_id, output, name=name, purpose=purpose)
    emit(
        options,
        {
            "image_id": outcome.image_id,
            "release_id": outcome.release_id,
            "from": outcome.source,
            "file": str(outcome.file),
            "exact": outcome.exact,
            "metadata_as_recorded": outcome.metadata_as_recorded,
            "receipt": str(outcome.receipt),
        },
        f"{outcome.file}: image {outcome.image_id} from the {outcome.source}, "
        f"exact in {outcome.exact}; receipt {outcome.receipt}",
    )
    _warn(target, outcome)


def _warn(target: str, outcome: OpenOutcome) -> None:
    """Say aloud where the output is not quite what a reader may expect."""
    if outcome.release_id is not None and outcome.source == "vault":
        say(f"{target}: carries no side information; the original came from the vault")
    if outcome.metadata_as_recorded is False:
        say(f"{target}: data elements differ from the record; do not rely on those of the output")
