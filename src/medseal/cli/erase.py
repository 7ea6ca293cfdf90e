"""`medseal erase`: destroy the file key and the salt of an image or a patient."""

import sys

import click

from medseal.cli.options import Common, common, emit, option
from medseal.errors import ConfigurationError
from medseal.pipeline.erase import erase, erase_patient
from medseal.pipeline.workspace import Workspace


@click.command(name="erase")
@click.argument("image_id", required=False)
@option("--patient", "patient_id", help="Erase every image with this PatientID.")
@option("--yes", is_flag=True, help="Do not ask; unattended runs are not asked.")
@common
def command(options: Common, image_id: str | None, patient_id: str | None, yes: bool) -> None:
    """Erase IMAGE_ID, or all images of --patient: no copy of the key remains here.

    The proof of what happened stays on the ledger. Backups of the workspace, and copies that
    were opened or released, are not reached.
    """
    if (image_id is None) == (patient_id is None):
        raise ConfigurationError("give either IMAGE_ID or --patient ID")
    asks = not yes and not options.json and sys.stdin.isatty()
    if asks and not click.confirm("This cannot be undone. Go on?", err=True):
        click.echo("Nothing was erased.", err=True)
        return
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        outcomes = (
            erase_patient(workspace, patient_id)
            if patient_id is not None
            else [erase(workspace, image_id or "")]
        )
        for outcome in outcomes:
            emit(
                options,
                {
                    "image_id": outcome.image_id,
                    "status": "erased",
                    "releases": outcome.releases,
                    "receipt": str(outcome.receipt),
                },
                f"Image {outcome.image_id} and {outcome.releases} release records are erased; "
                f"receipt {outcome.receipt}",
            )
