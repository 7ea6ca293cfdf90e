"""`medseal ledger`: status, proofs, checkpoints, witnesses, audit, synchronisation."""

from pathlib import Path

import click

from medseal.cli import ledger_audit, ledger_witness
from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.pipeline import ledger
from medseal.pipeline.workspace import Workspace


@click.group(name="ledger")
def command() -> None:
    """Status, proofs, checkpoints, witnesses, audit, synchronisation."""


for _command in (*ledger_witness.COMMANDS, *ledger_audit.COMMANDS):
    command.add_command(_command)


@command.command(name="status")
@common
def status_command(options: Common) -> None:
    """Say how long the log is, what its head is, and what the catalogue holds."""
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        status = ledger.status(workspace)
    emit(options, status, "\n".join(f"{name}: {value}" for name, value in status.items()))


@command.command(name="prove")
@click.argument("entry", metavar="INDEX|IMAGE_ID|RELEASE_ID")
@option("--output", type=FILE, required=True, help="Receipt to write.")
@option("--without-opening", is_flag=True, help="Leave out the salt, for third parties.")
@common
def prove_command(options: Common, entry: str, output: Path, without_opening: bool) -> None:
    """Write the receipt of an entry; it verifies offline with the public key of the log."""
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        receipt = ledger.prove(workspace, entry, output, with_opening=not without_opening)
    emit(
        options,
        {"receipt": str(output), "index": receipt.index, "size": receipt.size},
        f"{output}: entry {receipt.index} of {receipt.size}",
    )


@command.command(name="verify")
@argument_file("receipt_file", metavar="RECEIPT")
@option("--log-key", type=FILE, help="Public key of the log; else that of the workspace.")
@common
def verify_command(options: Common, receipt_file: Path, log_key: Path | None) -> None:
    """Verify a receipt offline: signature, inclusion, content. Needs no passphrase."""
    key_file = log_key if log_key is not None else ledger.log_key_file(options.workspace)
    value = ledger.verify_receipt_file(receipt_file, key_file)
    emit(
        options,
        value,
        f"{receipt_file}: valid; entry {value['index']} of {value['size']}, "
        f"kind '{value['kind']}', {value['at']}",
    )


@command.command(name="sync")
@common
def sync_command(options: Common) -> None:
    """Finish what an interrupted command left, and say how far the entries are."""
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        value = ledger.sync(workspace)
    emit(options, value, ", ".join(f"{name} {count}" for name, count in value.items()))
