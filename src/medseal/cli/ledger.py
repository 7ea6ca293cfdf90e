"""`medseal ledger`: status, proofs, witnesses, audit, networks, synchronisation."""

from pathlib import Path

import click

from medseal.cli import ledger_audit, ledger_network, ledger_witness
from medseal.cli.access_roles import next_step
from medseal.cli.options import FILE, Common, argument_file, common, emit, option
from medseal.errors import ConfigurationError
from medseal.pipeline import ledger
from medseal.pipeline.workspace import Workspace


@click.group(name="ledger")
def command() -> None:
    """Status, proofs, checkpoints, witnesses, audit, networks, synchronisation."""


for _command in (*ledger_witness.COMMANDS, *ledger_audit.COMMANDS, *ledger_network.COMMANDS):
    command.add_command(_command)


@command.command(name="status")
@common
def status_command(options: Common) -> None:
    """Say how long the log is, how far its entries are, and what the catalogue holds.

    An entry is queued (durable here, not sent), submitted (sent, in no block), mined (in a block
    that may be replaced) or final; or the contract refused it, and it changes no right.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        status = ledger.status(workspace)
        refused = ledger.refusals(workspace)
        waiting = ledger.waiting_reasons(workspace)
    lines = [f"{name}: {value}" for name, value in status.items()]
    lines += [f"refused entry {each['index']}: {each['reason']}" for each in refused]
    lines += [
        f"{count} changes and anchors wait: {next_step(reason)}"
        for reason, count in waiting.items()
    ]
    emit(options, {**status, "refusals": refused, "waiting": waiting}, "\n".join(lines))


@command.command(name="prove")
@click.argument("entry", metavar="INDEX|IMAGE_ID|RELEASE_ID")
@option("--output", type=FILE, required=True, help="Receipt to write.")
@option("--without-opening", is_flag=True, help="Leave out the salt, for third parties.")
@common
def prove_command(options: Common, entry: str, output: Path, without_opening: bool) -> None:
    """Write the receipt of an entry; it verifies offline with the public key of the log."""
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        receipt = ledger.prove(workspace, entry, output, with_opening=not without_opening)
    emit(
        options,
        {"receipt": str(output), "index": receipt.index, "size": receipt.size},
        f"{output}: entry {receipt.index} of {receipt.size}",
    )


@command.command(name="verify")
@argument_file("receipt_file", metavar="RECEIPT")
@option("--log-key", type=FILE, help="Public key of the log; else that of the workspace.")
@option("--contract", help="With --node: contract that is trusted; its anchor is checked online.")
@option("--chain-id", type=click.IntRange(min=1), help="With --contract: chain that is trusted.")
@common
def verify_command(
    options: Common,
    *,
    receipt_file: Path,
    log_key: Path | None,
    contract: str | None,
    chain_id: int | None,
) -> None:
    """Verify a receipt: signature, inclusion, content. Needs no passphrase.

    Offline, unless --node, --contract and --chain-id are given: then a node is asked whether that
    contract holds the anchor of the receipt. Take them from another source than the receipt.
    """
    key_file = log_key if log_key is not None else ledger.log_key_file(options.workspace)
    value = ledger.verify_receipt_file(receipt_file, key_file)
    text = (
        f"{receipt_file}: valid; entry {value['index']} of {value['size']}, "
        f"kind '{value['kind']}', {value['at']}"
    )
    if contract is not None or chain_id is not None:
        if options.node is None or contract is None or chain_id is None:
            raise ConfigurationError("--node, --contract and --chain-id belong together")
        pinned = ledger.PinnedContract(node=options.node, chain_id=chain_id, contract=contract)
        found = ledger.check_anchor_online(receipt_file, key_file, pinned)
        value |= found
        text += f"; anchored {found['anchored_at']}, {found['confirmations']} confirmations"
    emit(options, value, text)
