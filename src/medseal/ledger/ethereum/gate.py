"""What the contract does not take at present: a gateway without its role, a contract on pause."""

from medseal.ledger.ethereum.codec import gate_of
from medseal.ledger.ethereum.mirror import GATE_SCOPES
from medseal.ledger.ethereum.tracker import Tracker
from medseal.ledger.item import PASSING_REASONS, Item, ItemKind
from medseal.ledger.outbox import Outbox

__all__ = ["Gate"]


class Gate:
    """Holds back changes of rights that would be refused for a reason that can pass; for a round.

    The contract is asked once for each function, as the answer depends on the sender and not on
    the image. What is held back is `queued` and says why. Changes of roles and pauses are not: who
    is not the owner any more must not make them whenever it becomes the owner again.

    Parameters
    ----------
    outbox, tracker
        Where items wait, and who asks the contract.
    sender
        Address of the gateway.

    Attributes
    ----------
    held
        Positions of what was held back in this round.
    """

    def __init__(self, outbox: Outbox, tracker: Tracker, sender: str) -> None:
        self._outbox = outbox
        self._tracker = tracker
        self._sender = sender
        self._reasons: dict[bytes, str] = {}
        self._waiting: dict[str, list[Item]] = {}
        self.held: set[int] = set()

    def holds(self, item: Item) -> bool:
        """Say whether an item has to wait until the contract takes its like."""
        # Each anchor is asked about for itself: its root may be there already.
        if item.kind is ItemKind.ANCHOR or item.scope.startswith(GATE_SCOPES):
            return False
        if item.position in self.held:
            return True
        gate = gate_of(item.data)
        if gate not in self._reasons:
            reason = self._tracker.refusal(item, self._sender)
            self._reasons[gate] = reason if reason in PASSING_REASONS else ""
        reason = self._reasons[gate]
        if reason:
            self._waiting.setdefault(reason, []).append(item)
            self.held.add(item.position)
        return bool(reason)

    def close(self) -> None:
        """Write down what was held back."""
        for reason, items in self._waiting.items():
            self._outbox.hold(items, reason)
