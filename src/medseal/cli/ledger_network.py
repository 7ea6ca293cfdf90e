"""`medseal ledger deploy`, `redeploy`, `connect` and `sync`: a workspace on a network."""

from pathlib import Path

import click

from medseal.cli.access_roles import next_step
from medseal.cli.options import FILE, Common, common, emit, option, say
from medseal.errors import ConfigurationError
from medseal.pipeline import ledger
from medseal.pipeline.connect import Joined, JoinRequest, join, move, redeploy
from medseal.pipeline.workspace import Workspace

__all__ = ["COMMANDS"]

# A year: what is longer is a mistake, and `--watch` has no need of it.
_MAX_WAIT_SECONDS = 366 * 24 * 3600
_CONFIRMATIONS = option(
    "--confirmations",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Blocks above one until it is final; 0 where blocks are final at once (QBFT).",
)
_HEAD_AGE = option(
    "--max-head-age",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="Seconds after which a node without a new block is not believed; 0 for never.",
)
_KEY_FILE = option(
    "--key-file", type=FILE, help="Keystore file of the gateway's key, same passphrase."
)
_NEW_KEY = option("--new-key", is_flag=True, help="Make a key, kept in the workspace's keystore.")


def _request(
    url: str, contract: str | None, *, key_file: Path | None, new_key: bool, **limits: int
) -> JoinRequest:
    if (key_file is not None) == new_key:
        raise ConfigurationError("give the key of the gateway: either --key-file or --new-key")
    return JoinRequest(
        url=url,
        contract=contract,
        key_file=key_file,
        confirmations=limits["confirmations"],
        max_head_age_seconds=limits["max_head_age"] or None,
    )


def _emit(options: Common, joined: Joined) -> None:
    roles = ", ".join(joined.roles)
    emit(
        options,
        {
            "chain_id": joined.chain_id,
            "contract": joined.contract,
            "gateway": joined.address,
            "roles": list(joined.roles),
            "withdrawals": joined.withdrawals,
        },
        f"contract {joined.contract} on chain {joined.chain_id}; gateway {joined.address}, "
        + (
            roles
            or f"no role yet: its owner runs 'medseal access role add {joined.address} registrar'"
        ),
    )
    if joined.withdrawals:
        say(
            f"the contract does not know {joined.withdrawals} withdrawals of patients; research "
            "with these images is refused here; run 'medseal access carry-withdrawals'"
        )


@click.command(name="deploy")
@click.argument("url")
@_KEY_FILE
@_NEW_KEY
@_CONFIRMATIONS
@_HEAD_AGE
@common
def deploy_command(
    options: Common,
    *,
    url: str,
    key_file: Path | None,
    new_key: bool,
    confirmations: int,
    max_head_age: int,
) -> None:
    """Put a new contract on the network of the node at URL; this workspace owns it and joins.

    From then on the contract judges the rights, for good. Rights given before do not carry over.
    """
    limits = {"confirmations": confirmations, "max_head_age": max_head_age}
    request = _request(url, None, key_file=key_file, new_key=new_key, **limits)
    _emit(options, join(options.workspace, options.passphrase(), request))


@click.command(name="redeploy")
@common
def redeploy_command(options: Common) -> None:
    """Put the contract back on a network that lost it, at the chain id and address of before.

    For the workspace that deployed it. Every gateway brings what it had recorded back to it from
    its own log, with 'medseal ledger sync'.
    """
    _emit(options, redeploy(options.workspace, options.passphrase(), node=options.node))
    say("the contract is empty; 'medseal ledger sync --until final' brings the rights back")


@click.command(name="connect")
@click.argument("url")
@option("--contract", help="Address of the contract, 0x and 40 digits.")
@_KEY_FILE
@_NEW_KEY
@_CONFIRMATIONS
@_HEAD_AGE
@common
def connect_command(  # noqa: PLR0913 (one parameter an option)
    options: Common,
    *,
    url: str,
    contract: str | None,
    key_file: Path | None,
    new_key: bool,
    confirmations: int,
    max_head_age: int,
) -> None:
    """Join the network of the node at URL with --contract and a key, or ask another node of it.

    Chain and contract are pinned: another one is refused later.
    """
    if key_file is None and not new_key:
        _emit(options, move(options.workspace, options.passphrase(), url, contract=contract))
        return
    if contract is None:
        raise ConfigurationError("give --contract, or make one with 'medseal ledger deploy'")
    limits = {"confirmations": confirmations, "max_head_age": max_head_age}
    request = _request(url, contract, key_file=key_file, new_key=new_key, **limits)
    _emit(options, join(options.workspace, options.passphrase(), request))


@click.command(name="sync")
@option("--until", type=click.Choice(["submitted", "mined", "final"]), help="Wait for this state.")
@option(
    "--timeout",
    type=click.FloatRange(min=0, max=_MAX_WAIT_SECONDS),
    default=60.0,
    show_default=True,
    help="Seconds to wait with --until or --watch.",
)
@option("--watch", is_flag=True, help="Show each step; waits for 'final' unless --until says else.")
@common
def sync_command(options: Common, *, until: str | None, timeout: float, watch: bool) -> None:
    """Finish what an interrupted command left, carry the entries on, say how far they are."""
    shown: list[dict[str, int]] = []

    def show(counts: dict[str, int]) -> None:
        if watch and counts not in shown[-1:]:
            shown.append(counts)
            _emit_counts(options, counts)

    wanted = until or ("final" if watch else None)
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        counts = ledger.sync(workspace, until=wanted, timeout_seconds=timeout, progress=show)
        reasons = ledger.waiting_reasons(workspace)
    if counts not in shown[-1:]:
        _emit_counts(options, counts)
    for reason, count in reasons.items():
        say(f"{count} changes and anchors wait: {next_step(reason)}")


def _emit_counts(options: Common, counts: dict[str, int]) -> None:
    emit(options, counts, ", ".join(f"{name} {count}" for name, count in counts.items()))


COMMANDS: tuple[click.Command, ...] = (
    deploy_command,
    redeploy_command,
    connect_command,
    sync_command,
)
