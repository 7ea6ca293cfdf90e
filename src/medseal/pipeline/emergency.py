"""Review of broken glass: each emergency window with what was done under it."""

from dataclasses import dataclass

from medseal.ledger import EventKind, now_ms
from medseal.ledger.history import history
from medseal.ledger.rules import BREAK_GLASS_WINDOW_MS
from medseal.pipeline.connection import refused_entries
from medseal.pipeline.workspace import Workspace

__all__ = ["Emergency", "review"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Emergency:
    """One time somebody broke the glass.

    Attributes
    ----------
    index
        Entry of the log.
    name, account, roles
        Who, and in which roles then.
    image_id
        What; None once it was erased.
    opened_ms, until_ms
        UTC milliseconds.
    is_open
        Whether the window is open now.
    reason
        Keyed digest of the stated reason.
    is_reason
        Whether the words that were given for comparison are that reason; None without words.
    uses
        Entries of what was done under it.
    """

    index: int
    name: str
    account: str
    roles: tuple[str, ...]
    image_id: str | None
    opened_ms: int
    until_ms: int
    is_open: bool
    reason: str
    is_reason: bool | None
    uses: tuple[int, ...]


def review(workspace: Workspace, *, reason: str | None = None) -> list[Emergency]:
    """Return every break-glass of this log, oldest first.

    Windows that another gateway opened on a shared network are in the log of that gateway.

    Parameters
    ----------
    workspace
        Open.
    reason
        Words that somebody states now; compared with the digest of what was stated then.
    """
    names = workspace.names()
    images = {record.commitment: record.image_id for record in workspace.catalogue.images()}
    stated = None if reason is None else f"sha256:{workspace.keys.reason(reason)}"
    opened, uses, closed = [], dict[int, list[int]](), dict[tuple[str, str], int]()
    refused = refused_entries(workspace.ledger)
    for record in history(workspace.log.events(), refused=refused):
        event = record.event
        if record.index in refused:
            continue
        if event.kind is EventKind.BREAK_GLASS:
            opened.append(record)
        elif event.kind is EventKind.REVOKE and event.details["action"] == "all":
            closed[str(event.details["account"]), event.subject] = record.index
        elif record.reason == "break-glass" and record.basis is not None:
            uses.setdefault(record.basis, []).append(record.index)
    moment = now_ms()
    return [
        Emergency(
            index=record.index,
            name=names.get(record.event.actor, record.event.actor),
            account=record.event.actor,
            roles=tuple(str(role) for role in record.roles),
            image_id=images.get(record.event.subject),
            opened_ms=record.event.at_ms,
            until_ms=record.event.at_ms + BREAK_GLASS_WINDOW_MS,
            is_open=moment < record.event.at_ms + BREAK_GLASS_WINDOW_MS
            and closed.get((record.event.actor, record.event.subject), -1) < record.index
            and record.event.subject in images,
            reason=str(record.event.details["reason"]),
            is_reason=None if stated is None else stated == record.event.details["reason"],
            uses=tuple(uses.get(record.index, ())),
        )
        for record in opened
    ]
