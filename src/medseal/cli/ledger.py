"""`medseal ledger`: status, proofs, checkpoints, witnesses, audit, synchronisation."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.pipeline import ledger
from medseal.pipeline.workspace import Workspace


@click.group(name="ledger")
def command() -> None:
    """Status, proofs, checkpoints, witnesses, audit, synchronisation."""


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


@command.command(name="checkpoint")
@option("--output", type=FILE, help="File to write; printed when not given.")
@common
def checkpoint_command(options: Common, output: Path | None) -> None:
    """Give out the signed head of the log. Keep it elsewhere: it proves a later rollback."""
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        note = ledger.checkpoint(workspace, output)
    emit(
        options,
        {"checkpoint": note, "file": str(output) if output else None},
        f"{output}" if output else note.rstrip("\n"),
    )


@command.command(name="witness")
@argument_file("checkpoint_file", metavar="CHECKPOINT")
@option("--log-key", type=FILE, required=True, help="Public key of the log.")
@option("--key", "key_file", type=FILE, required=True, help="Key of the witness; made if missing.")
@option("--name", default="medseal.local/witness", show_default=True, help="Name in a new key.")
@option("--previous", type=FILE, help="Checkpoint that this witness cosigned last.")
@option("--proof", type=FILE, help="Consistency proof from it, by 'medseal ledger audit --since'.")
@option("--output", type=FILE, required=True, help="Cosigned checkpoint to write.")
@common
def witness_command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    checkpoint_file: Path,
    log_key: Path,
    key_file: Path,
    name: str,
    previous: Path | None,
    proof: Path | None,
    output: Path,
) -> None:
    """Cosign a CHECKPOINT as a witness, on another machine; needs no workspace.

    With --previous and --proof the witness sees that the log was continued and not rewritten.
    """
    value = ledger.cosign(
        checkpoint_file,
        log_key,
        ledger.witness_key(key_file, name),
        output,
        previous=previous,
        proof=proof,
    )
    emit(options, value, f"{output}: size {value['size']}, cosigned by {value['witness']}")


@command.command(name="audit")
@option("--since", type=FILE, help="Checkpoint kept elsewhere; the log must continue it.")
@option("--proof", type=FILE, help="With --since: write the consistency proof for a witness.")
@common
def audit_command(options: Common, since: Path | None, proof: Path | None) -> None:
    """Replay the whole log and compare every stored byte; check it against an older checkpoint."""
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        value = ledger.audit(workspace, since=since, proof=proof)
    emit(
        options,
        value,
        f"{value['size']} entries and {value['checkpoints']} checkpoints verify"
        + (f"; continues the checkpoint of size {value['since']}" if since else ""),
    )


@command.command(name="sync")
@common
def sync_command(options: Common) -> None:
    """Finish what an interrupted command left, and say how far the entries are."""
    with Workspace.open(options.workspace, options.passphrase()) as workspace:
        value = ledger.sync(workspace)
    emit(options, value, ", ".join(f"{name} {count}" for name, count in value.items()))
