"""`medseal ledger checkpoint`, `witness` and `compare`: the log as seen from elsewhere."""

from pathlib import Path

import click

from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.pipeline import witness
from medseal.pipeline.workspace import Workspace

__all__ = ["COMMANDS"]


@click.command(name="checkpoint")
@option("--output", type=FILE, help="File to write; printed when not given.")
@option("--hashes", type=FILE, help="Write the hash of every entry too: it names what is changed.")
@common
def checkpoint_command(options: Common, output: Path | None, hashes: Path | None) -> None:
    """Give out the signed head of the log. Keep it elsewhere: it proves a later rollback.

    With --hashes, kept beside it, the first entry that was changed can be named.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        note = witness.checkpoint(workspace, output, hashes=hashes)
    emit(
        options,
        {
            "checkpoint": note,
            "file": str(output) if output else None,
            "hashes": str(hashes) if hashes else None,
        },
        f"{output}" if output else note.rstrip("\n"),
    )


@click.command(name="witness")
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
    value = witness.cosign(
        checkpoint_file,
        log_key,
        witness.witness_key(key_file, name),
        output,
        previous=previous,
        proof=proof,
    )
    emit(options, value, f"{output}: size {value['size']}, cosigned by {value['witness']}")


@click.command(name="compare")
@argument_file("first", metavar="FIRST")
@argument_file("second", metavar="SECOND")
@option("--log-key", type=FILE, required=True, help="Public key of the log.")
@common
def compare_command(options: Common, first: Path, second: Path, log_key: Path) -> None:
    """Compare two files of hashes of one log, of two machines or two times; needs no workspace.

    They are made by 'medseal ledger checkpoint --hashes'. The first entry that differs is named:
    two files that the log signed and that differ convict its owner.
    """
    value = witness.compare(first, second, log_key)
    emit(
        options,
        value,
        f"the first {value['common']} entries are equal; "
        f"{first}: {value['first']}, {second}: {value['second']}",
    )


COMMANDS = (checkpoint_command, witness_command, compare_command)
