"""Grants and revocations as events of any ledger."""

from abc import ABC, abstractmethod

from medseal.ledger.events import Event
from medseal.ledger.grants import Action, Grant
from medseal.ledger.receipt import Receipt
from medseal.ledger.rights import grant_event, revoke_event

__all__ = ["Recording"]


class Recording(ABC):
    """The side of a ledger that records."""

    @abstractmethod
    def append(self, event: Event) -> Receipt:
        """Record an event and return its durable receipt; see `Ledger.append`."""

    def grant(self, grant: Grant, *, actor: str, at_ms: int | None = None) -> Receipt:
        """Give a grant; see `Ledger.grant`."""
        return self.append(grant_event(grant, actor=actor, at_ms=at_ms))

    def revoke(
        self,
        account: str,
        subject: str,
        action: Action | None = None,
        *,
        actor: str,
        at_ms: int | None = None,
    ) -> Receipt:
        """Take back one action or all; see `Ledger.revoke`."""
        return self.append(revoke_event(account, subject, action, actor=actor, at_ms=at_ms))
