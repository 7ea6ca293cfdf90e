"""`medseal init`: make a workspace."""

import click

from medseal.cli.options import Common, common, emit
from medseal.pipeline.workspace import OWNER, Workspace


@click.command(name="init")
@common
def command(options: Common) -> None:
    """Make a workspace: keystore, catalogue, embedded ledger, the identity `owner`."""
    passphrase = options.passphrase(confirm=True)
    with Workspace.create(options.workspace, passphrase) as workspace:
        recipient = str(workspace.identity.recipient)
    emit(
        options,
        {"workspace": str(options.workspace), "identity": OWNER, "recipient": recipient},
        f"Workspace {options.workspace} is ready; identity '{OWNER}'.\n"
        "Keep the passphrase and a backup of the keystore: nothing opens without them.",
    )
