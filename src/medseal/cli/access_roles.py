"""`medseal access role`, `accounts`, `transfer`, `pause` and `resume`: who is what."""

import click

from medseal.cli.options import Common, common, emit
from medseal.ledger import PauseChange, RoleChange
from medseal.pipeline import roles
from medseal.pipeline.connection import Carried
from medseal.pipeline.workspace import Workspace

__all__ = ["COMMANDS", "ROLE", "next_step", "on_network"]

ROLE = click.Choice(
    ["registrar", "radiologist", "researcher", "consent-service", "auditor", "emergency"]
)

# What helps against each reason that a contract gives and that can pass.
_NEXT_STEPS = {
    "not-registrar": "this gateway is no registrar, its owner runs 'medseal access role add'",
    "not-consent-service": "this gateway is no consent service, its owner runs 'medseal access role"
    " add'",
    "not-clinical": "the account has no clinical role, the owner runs 'medseal access role add'",
    "paused": "the contract is paused, its owner runs 'medseal access resume'",
}


def next_step(reason: str) -> str:
    """Return what helps against a reason why something waits; the reason itself for any other."""
    return _NEXT_STEPS.get(reason, reason)


def on_network(carried: Carried) -> str:
    """Return what to say of a change that the network does not have for good yet."""
    if carried.state == "final":
        return ""
    why = f" ({next_step(carried.detail)})" if carried.detail else ""
    return f"; {carried.state}{why}, 'medseal ledger sync' carries it on"


@click.group(name="role")
def role_group() -> None:
    """Give a role to an account, or take it back."""


@role_group.command(name="add")
@click.argument("name")
@click.argument("role", type=ROLE)
@common
def add_command(options: Common, name: str, role: str) -> None:
    """Give NAME a role. NAME may be an account, or the 0x address of another gateway."""
    _change(options, name, role, add=True)


@role_group.command(name="remove")
@click.argument("name")
@click.argument("role", type=ROLE)
@common
def remove_command(options: Common, name: str, role: str) -> None:
    """Take a role from NAME."""
    _change(options, name, role, add=False)


def _change(options: Common, name: str, role: str, *, add: bool) -> None:
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        receipt = roles.change_role(workspace, name, role, add=add)
        carried = workspace.push()
    emit(
        options,
        {
            "name": name,
            "role": role,
            "change": "add" if add else "remove",
            "receipt": str(receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"'{name}' {'is now' if add else 'is no longer'} {role}; receipt {receipt}"
        + on_network(carried),
    )


@click.command(name="accounts")
@common
def accounts_command(options: Common) -> None:
    """List who is known here: name, account and roles.

    The account is what another institution writes in place of the name.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        rows = roles.list_accounts(workspace)
    for row in rows:
        value = {"name": row.name, "account": row.account, "roles": list(row.roles)}
        emit(options, value, f"{row.name:20} {row.account:40} {', '.join(row.roles)}")


@click.command(name="transfer")
@click.argument("step", type=click.Choice(["offer", "accept", "cancel"]))
@click.argument("name", required=False)
@common
def transfer_command(options: Common, step: str, name: str | None) -> None:
    """Hand the ledger over: offer it to NAME, who accepts a day later at the earliest.

    On a shared network NAME is the address of another gateway, which accepts in its workspace.
    """
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        receipt = roles.transfer(workspace, RoleChange(step), name)
        carried = workspace.push()
    done = {
        "offer": f"the ledger is offered to '{name}', who can accept it in "
        f"{roles.ACCEPT_DELAY_HOURS} hours",
        "accept": f"{name or 'this workspace'} is the owner of the ledger",
        "cancel": "the offer is cancelled",
    }[step]
    emit(
        options,
        {
            "step": step,
            "name": name,
            "receipt": str(receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"{done}; receipt {receipt}{on_network(carried)}",
    )


@click.command(name="pause")
@common
def pause_command(options: Common) -> None:
    """Refuse every use but the owner's, until 'medseal access resume'."""
    _pause(options, PauseChange.PAUSE)


@click.command(name="resume")
@common
def resume_command(options: Common) -> None:
    """End the pause."""
    _pause(options, PauseChange.RESUME)


def _pause(options: Common, change: PauseChange) -> None:
    with Workspace.open(options.workspace, options.passphrase(), node=options.node) as workspace:
        receipt = roles.pause(workspace, change)
        carried = workspace.push()
    is_paused = change is PauseChange.PAUSE
    emit(
        options,
        {
            "paused": is_paused,
            "receipt": str(receipt),
            "state": carried.state,
            "detail": carried.detail,
        },
        f"every use is {'refused' if is_paused else 'judged by its grant'} from now on; "
        f"receipt {receipt}{on_network(carried)}",
    )


COMMANDS: tuple[click.Command, ...] = (
    role_group,
    accounts_command,
    transfer_command,
    pause_command,
    resume_command,
)
