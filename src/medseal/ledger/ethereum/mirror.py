"""From the log to the outbox: which entries the contract has to learn of, and when to anchor."""

from medseal.errors import ConsistencyError
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.ethereum.codec import anchor_call, calls_of, is_break_glass
from medseal.ledger.events import Event, EventKind, now_ms
from medseal.ledger.grants import Role
from medseal.ledger.item import ANCHOR_SCOPE, Item, ItemKind, NewItem
from medseal.ledger.outbox import Outbox
from medseal.ledger.rules import BREAK_GLASS_WINDOW_MS

__all__ = [
    "ERASE_SCOPE",
    "GATE_SCOPES",
    "OWNER_SCOPE",
    "PAUSE_SCOPE",
    "ROLE_SCOPE",
    "Mirror",
    "changes_who_may_record",
    "consent_scope",
    "right_scope",
    "role_scope",
    "scope_of",
]

PAUSE_SCOPE = "pause"
ROLE_SCOPE = "role/"
OWNER_SCOPE = f"{ROLE_SCOPE}owner"
ERASE_SCOPE = "erase/"
# How the scopes begin of what decides who may record afterwards.
GATE_SCOPES = (ROLE_SCOPE, PAUSE_SCOPE, ERASE_SCOPE)
_GATES = (EventKind.ROLE, EventKind.PAUSE, EventKind.ERASE)
# Entries that are read and noted in one go.
_CHUNK = 4096


def role_scope(role: str, account: str) -> str:
    """Return the scope of a role of an account; the owner's is one for all."""
    return OWNER_SCOPE if role == Role.OWNER else f"{ROLE_SCOPE}{role}/{account}"


def right_scope(subject: str, account: str) -> str:
    """Return the scope of the grants of an account for an image, and of its broken glass."""
    return f"right/{subject}/{account}"


def consent_scope(subject: str) -> str:
    """Return the scope of the consent to research with an image."""
    return f"consent/{subject}"


def scope_of(event: Event) -> str:
    """Return what an event changes; of two with the same scope the later one counts."""
    account = str(event.details.get("account", event.actor))
    match event.kind:
        case EventKind.ROLE:
            return role_scope(str(event.details["role"]), account)
        case EventKind.PAUSE:
            return PAUSE_SCOPE
        case EventKind.ERASE:
            return f"{ERASE_SCOPE}{event.subject}"
        case EventKind.CONSENT:
            return consent_scope(event.subject)
        case _:
            return right_scope(event.subject, account)


def changes_who_may_record(event: Event) -> bool:
    """Say whether later events may be allowed or refused because of this one."""
    return event.kind in _GATES


class Mirror:
    """Reads the log and fills the outbox.

    Parameters
    ----------
    log
        The log; entries before the cursor of the outbox are not mirrored.
    outbox
        What it fills.
    batch_leaves, batch_seconds
        A batch is closed when it has so many entries, or its first one is so old.
    """

    def __init__(
        self, log: EmbeddedLedger, outbox: Outbox, *, batch_leaves: int, batch_seconds: float
    ) -> None:
        self._log = log
        self._outbox = outbox
        self._batch_leaves = batch_leaves
        self._batch_ms = batch_seconds * 1000

    def scan(self) -> None:
        """Take in the changes of rights that the log has gained.

        Raises
        ------
        ConsistencyError
            The log is shorter than it was.
        """
        cursor, size = self._outbox.cursor(), self._log.size
        if size < cursor:
            raise ConsistencyError(
                f"{self._log.path}: the log was rolled back, it had {cursor} entries and now has"
                f" {size}"
            )
        while cursor < size:
            end = min(cursor + _CHUNK, size)
            items: list[NewItem] = []
            for index, event in self._log.events(cursor, end):
                items += _items_of(index, event)
            self._outbox.extend(items, end)
            cursor = end

    def is_over(self, item: Item) -> bool:
        """Say whether an item would come too late: broken glass opens an image for an hour."""
        if not is_break_glass(item.data):
            return False
        [(_, event)] = self._log.events(item.place, item.place + 1)
        return now_ms() - event.at_ms >= BREAK_GLASS_WINDOW_MS

    def close_batch(self, *, flush: bool = False) -> None:
        """Queue an anchor of the newest checkpoint when a batch is full or old, or at once."""
        head = self._log.checkpoint()
        last = self._outbox.last_anchor()
        if head.size <= last:
            return
        if flush or head.size - last >= self._batch_leaves or self._is_old(last):
            data = anchor_call(head.root, head.size)
            self._outbox.close_batch(
                NewItem(kind=ItemKind.ANCHOR, place=head.size, data=data, scope=ANCHOR_SCOPE)
            )

    def _is_old(self, index: int) -> bool:
        _, first = next(self._log.events(index, index + 1))
        # A clock that was set back must not hold a batch open.
        return not 0 <= now_ms() - first.at_ms < self._batch_ms


def _items_of(index: int, event: Event) -> list[NewItem]:
    return [
        NewItem(kind=ItemKind.CALL, place=index, part=part, data=data, scope=scope_of(event))
        for part, data in enumerate(calls_of(event))
    ]
