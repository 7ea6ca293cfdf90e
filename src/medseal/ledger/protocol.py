"""The one interface of every ledger: an embedded file, or a contract on a network."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from medseal.digest import Digest
from medseal.ledger.events import Event
from medseal.ledger.grants import Action, Decision, Grant
from medseal.ledger.receipt import Receipt

__all__ = ["Ledger", "SyncState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncState:
    """How far the entries of a ledger have travelled; each entry counts once.

    Attributes
    ----------
    queued
        Durable here, not sent yet.
    submitted
        Sent, in no block yet.
    mined
        In a block that may still be replaced.
    final
        Beyond recall. For an embedded ledger that is every entry.
    refused
        Durable here, and the contract did not accept what it would have changed.
    """

    queued: int
    submitted: int
    mined: int
    final: int
    refused: int = 0


class Ledger(Protocol):
    """What the rest of the package may ask of a ledger.

    A receipt that was returned is durable. Appending the same event again returns a receipt for
    the entry that exists, so whoever does not know whether a call succeeded repeats it. Rules are
    those of `medseal.ledger.rules` everywhere; what cannot be decided is refused.
    """

    def append(self, event: Event) -> Receipt:
        """Record an event.

        Raises
        ------
        AccessRefusedError
            The event would change rights and its actor may not.
        InputError
            The event is not complete for its kind.
        LedgerBusyError, StorageFullError, UnreachableError
            Nothing was acknowledged; try again.
        """
        ...

    def append_many(self, events: Sequence[Event]) -> list[Receipt]:
        """Record events in order, all or none; raises as `append`."""
        ...

    def prove(self, entry: int | Digest, *, size: int | None = None) -> Receipt:
        """Return a receipt for an entry, named by its index or by its leaf hash.

        Parameters
        ----------
        entry
            Index or leaf hash.
        size
            Size of the tree to prove it in, one at which a checkpoint was signed; None for the
            newest.

        Raises
        ------
        InputError
            No such entry or no checkpoint of that size.
        """
        ...

    def grant(self, grant: Grant, *, actor: str, at_ms: int | None = None) -> Receipt:
        """Give a grant; it replaces an older one for the same account, image and action."""
        ...

    def revoke(
        self,
        account: str,
        subject: str,
        action: Action | None = None,
        *,
        actor: str,
        at_ms: int | None = None,
    ) -> Receipt:
        """Take back one action, or all of them and an open break-glass window."""
        ...

    def may(
        self,
        account: str,
        subject: str,
        action: Action,
        *,
        purpose: str = "",
        at_ms: int | None = None,
    ) -> Decision:
        """Return whether an account may act on an image now, or at the given time."""
        ...

    def sync(self) -> SyncState:
        """Carry on whatever is under way, and say how far the entries are."""
        ...
