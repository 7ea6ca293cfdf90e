"""Roles of people and gateways, the handing over of the ledger, and its pause."""

from dataclasses import dataclass
from pathlib import Path

from medseal.errors import ConfigurationError
from medseal.ledger import PauseChange, Role, RoleChange, now_ms, pause_event, role_event
from medseal.pipeline.workspace import Workspace

__all__ = ["ACCEPT_DELAY_HOURS", "AccountRow", "change_role", "list_accounts", "pause", "transfer"]

# Between the offer of the ownership and its acceptance.
ACCEPT_DELAY_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """Who is known here.

    Attributes
    ----------
    name
        Name, or the account itself where none is known.
    account
        As the ledger and other institutions know it.
    roles
        What it holds now.
    """

    name: str
    account: str
    roles: tuple[str, ...]


def change_role(workspace: Workspace, name: str, role: str, *, add: bool) -> Path:
    """Give a role, or take it back, and return the path of the receipt.

    Parameters
    ----------
    workspace
        Open.
    name
        A name, an account, or the address of the gateway of another institution.
    role
        Any but ``owner``, which is transferred.
    add
        Whether it is given.

    Raises
    ------
    ConfigurationError
        The ownership is transferred, not given.
    UnknownNameError
        A role is taken from a name that is not known.
    AccessRefusedError
        This workspace is not the owner.
    """
    if role == Role.OWNER:
        raise ConfigurationError("the ownership is handed over by 'medseal access transfer'")
    account = workspace.remember_name(name) if add else workspace.known_account(name)
    change = RoleChange.ADD if add else RoleChange.REMOVE
    event = role_event(account, Role(role), change, actor=workspace.owner)
    return workspace.keep_receipt(workspace.ledger.append(event))


def transfer(
    workspace: Workspace, step: RoleChange, name: str | None, *, at_ms: int | None = None
) -> Path:
    """Offer the ownership, accept or cancel it, and return the path of the receipt.

    Parameters
    ----------
    workspace
        Open.
    step
        ``offer``, ``accept`` or ``cancel``; accepted a day after the offer at the earliest.
    name
        To whom it is offered, or who accepts. None accepts for this workspace, and cancels.
    at_ms
        Milliseconds since 1970 UTC; now unless given.

    Raises
    ------
    ConfigurationError
        An offer names nobody.
    UnknownNameError
        The name is not known.
    AccessRefusedError
        Not the owner, nothing was offered to this account, or it is too early.
    """
    if step is RoleChange.OFFER and name is None:
        raise ConfigurationError("name to whom the ledger is offered")
    account = workspace.owner if name is None else workspace.known_account(name)
    actor = account if step is RoleChange.ACCEPT else workspace.owner
    moment = now_ms() if at_ms is None else at_ms
    event = role_event(account, Role.OWNER, step, actor=actor, at_ms=moment)
    receipt = workspace.keep_receipt(workspace.ledger.append(event))
    workspace.find_owner()
    return receipt


def pause(workspace: Workspace, change: PauseChange) -> Path:
    """Refuse every use but the owner's from now on, or end that; return the path of the receipt.

    Raises
    ------
    AccessRefusedError
        Not the owner, or it is paused, or not paused, already.
    """
    event = pause_event(change, actor=workspace.owner)
    return workspace.keep_receipt(workspace.ledger.append(event))


def list_accounts(workspace: Workspace) -> list[AccountRow]:
    """Return everybody who has a name here, with account and roles, sorted by name."""
    names = workspace.names()
    rows = [
        AccountRow(
            name=name,
            account=account,
            roles=tuple(str(role) for role in workspace.ledger.roles(account)),
        )
        for account, name in names.items()
    ]
    return sorted(rows, key=lambda row: (row.name, row.account))
