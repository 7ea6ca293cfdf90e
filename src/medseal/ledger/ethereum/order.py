"""In which order changes of one right reach the contract, also after numbers were lost."""

from collections.abc import Callable

from medseal.ledger.ethereum.codec import changed_by
from medseal.ledger.ethereum.gate import Gate
from medseal.ledger.ethereum.numbers import Numbers
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.tracker import Tracker
from medseal.ledger.item import Item, ItemKind, Stage
from medseal.ledger.outbox import Outbox

__all__ = ["Order"]


class Order:
    """Says whether it is the turn of an item that needs a number, for one round.

    A change waits until those before it of the same scope have a lower number. So a later one is
    carried out first only where the number of an earlier one was taken, or that one was refused.

    Parameters
    ----------
    outbox, tracker, node
        What waits, what became of it, and who knows transactions.
    gate
        What it holds back lets later changes pass; a revocation must not wait for it.
    numbers_of
        Returns the numbers of an account in this round.
    account
        Account of the gateway.

    Attributes
    ----------
    given
        Numbers that were given in this round and are not stored yet, by position of the item.
    """

    def __init__(
        self,
        outbox: Outbox,
        tracker: Tracker,
        node: Node,
        *,
        gate: Gate,
        numbers_of: Callable[[str], Numbers],
        account: str,
    ) -> None:
        self._outbox = outbox
        self._tracker = tracker
        self._node = node
        self._gate = gate
        self._numbers_of = numbers_of
        self._account = account
        self.given: dict[int, int] = {}

    def is_turn_of(self, item: Item, nonce: int) -> bool:
        """Say whether an item may be signed under a number now; give it up if it was overtaken."""
        earlier = [one for one in self._outbox.earlier(item) if one.position not in self._gate.held]
        if not all(self._is_ahead(one, nonce) for one in earlier):
            return False
        # Sent after a later one of its scope, this item would undo it. That one keeps its number.
        if any(self._may_come_before(later, nonce) for later in self._outbox.later(item)):
            return False
        stand = [
            later for later in self._outbox.later(item) if later.stage in (Stage.MINED, Stage.FINAL)
        ]
        return not stand or self._is_still_wanted(item, stand)

    def _is_ahead(self, earlier: Item, nonce: int) -> bool:
        """Say whether an earlier item will be carried out before this number is."""
        if earlier.position in self.given:
            return self.given[earlier.position] < nonce
        if earlier.nonce is None or earlier.account != self._account:
            return False
        # What became of a number that is used already, the tracker tells next time.
        return self._numbers_of(self._account).used <= earlier.nonce < nonce

    def _may_come_before(self, later: Item, nonce: int) -> bool:
        """Say whether a later item may still be carried out before this number is."""
        if later.nonce is None or later.account is None:
            return False
        if later.stage not in (Stage.QUEUED, Stage.SUBMITTED):
            return False
        is_lost = later.nonce < self._numbers_of(later.account).lost
        if is_lost and later.stage is Stage.QUEUED:
            # Its number is lost, unless it was mined a moment ago.
            self._tracker.settle_if_mined(later)
            return False
        if later.account != self._account:
            # Numbers of a former key say nothing about ours; what no node has waits for this item.
            return self.is_known(later)
        return later.nonce < nonce

    def is_known(self, item: Item) -> bool:
        """Say whether the node knows the transaction of an item that has a number."""
        return self._node.transaction(self._outbox.current(item).hash) is not None

    def _is_still_wanted(self, item: Item, stand: list[Item]) -> bool:
        """Say whether an item has to be sent although later ones of its scope stand in blocks."""
        if item.kind is ItemKind.ANCHOR:
            self._outbox.note(item, Stage.SKIPPED, "overtaken")
            return False
        changes = changed_by(item.data)
        changes_later = frozenset[object]().union(*(changed_by(later.data) for later in stand))
        if changes <= changes_later:
            self._outbox.note(item, Stage.REFUSED, "overtaken")
            return False
        # It takes back more than they have given: it is sent, and they are sent once more.
        self._outbox.repeat([later for later in stand if changed_by(later.data) & changes])
        return True
