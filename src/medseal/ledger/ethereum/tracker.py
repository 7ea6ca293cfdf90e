"""What became of what was sent: receipts, confirmations, replaced blocks, lost numbers."""

from collections import Counter

from medseal.errors import AccessRefusedError, AlreadyAnchoredError, NodeError, RevertedError
from medseal.ledger.ethereum.answers import TxReceipt, parse_receipt
from medseal.ledger.ethereum.codec import account_to_address, changed_by
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.mirror import ERASE_SCOPE, GATE_SCOPES, OWNER_SCOPE, ROLE_SCOPE
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.standing import Standing
from medseal.ledger.item import PASSING_REASONS, Item, ItemKind, Settled, Stage
from medseal.ledger.outbox import Outbox

__all__ = ["Tracker"]

# A receipt may come a moment after the count of the sender's transactions.
_ROUNDS_WITHOUT_RECEIPT = 2
# Times that a change is sent which the contract refuses, and does not when it is asked afterwards.
_MOST_REVERTS = 8
# Number of a block, and of the transaction among those of its sender.
_Place = tuple[int, int]
_PASSING = PASSING_REASONS | {"reverted"}


class Tracker:
    """Compares the outbox with the chain and writes down what is true there.

    Parameters
    ----------
    outbox, node, contract
        What is compared with what.
    confirmations
        Blocks above one until what stands in it is final; 0 where a block is final at once.
    """

    def __init__(
        self, outbox: Outbox, node: Node, contract: Contract, *, confirmations: int
    ) -> None:
        self._outbox = outbox
        self._node = node
        self._contract = contract
        self._confirmations = confirmations
        self._standing = Standing(outbox, node)
        # Number of the newest block whose content is final, at the last look.
        self._deep = -1
        self._unseen: Counter[int] = Counter()

    def recheck(self) -> None:
        """Take back what the chain no longer holds, and make final what is deep enough."""
        head = self._node.block("latest")
        top = -1 if head is None else head.number
        self._deep = top - self._confirmations
        self._standing.compare(top)
        self._outbox.confirm(self._deep)

    def poll(self) -> None:
        """Look for the receipts of all that was signed and is in no block yet."""
        waiting = [
            (item, item.account, item.nonce)
            for item in self._outbox.unanswered()
            if item.account is not None and item.nonce is not None
        ]
        if not waiting:
            return
        used = {
            account: self._node.nonce(account_to_address(account), "latest")
            for account in {account for _, account, _ in waiting}
        }
        taken = [item for item, account, nonce in waiting if nonce < used[account]]
        pairs = list(zip(taken, self._receipts(taken), strict=True))
        # 1. What was carried out, with one fsync for all.
        self._settle(
            [
                (item, receipt)
                for item, receipt in pairs
                if receipt is not None and self._has_effect(item, receipt)
            ]
        )
        # 2. What was not, or whose number somebody else has used.
        for item, receipt in pairs:
            if receipt is not None:
                self._unseen.pop(item.position, None)
                if not self._has_effect(item, receipt):
                    self._settle_failed(item, receipt)
            elif item.stage is Stage.SUBMITTED:
                self._miss(item)

    def settle_if_mined(self, item: Item) -> bool:
        """Settle an item that a transaction has brought to the contract; say whether one has."""
        (receipt,) = self._receipts([item])
        if receipt is None:
            return False
        if self._has_effect(item, receipt):
            self._settle([(item, receipt)])
            return True
        return self._settle_failed(item, receipt)

    def _settle(self, carried_out: list[tuple[Item, TxReceipt]]) -> None:
        """Write down what was carried out; what came before something older follows once more.

        That happens only where a chain was replaced or began anew.
        """
        places = {item.position: self._place(item, receipt) for item, receipt in carried_out}
        displaced = {
            later.position: later
            for item, _ in carried_out
            if item.kind is ItemKind.CALL and item.scope != OWNER_SCOPE
            for later in self._outbox.later(item)
            if _is_before(places.get(later.position) or _in_force(later), places[item.position])
            and changed_by(later.data) & changed_by(item.data)
        }
        settled = [self._settled(item, receipt) for item, receipt in carried_out]
        self._standing.settle(settled, repeat=list(displaced.values()))

    def _place(self, item: Item, receipt: TxReceipt) -> _Place:
        nonces = [one.nonce for one in self._outbox.signed(item) if one.hash == receipt.hash]
        return receipt.block_number, nonces[0] if nonces else -1

    def _receipts(self, items: list[Item]) -> list[TxReceipt | None]:
        """Return for each item the receipt that decides: one with effect, else the newest."""
        signed = [self._outbox.signed(item) for item in items]
        asked = [("eth_getTransactionReceipt", (one.hash,)) for group in signed for one in group]
        answers = iter(self._node.batch(asked))
        found: list[TxReceipt | None] = []
        for item, group in zip(items, signed, strict=True):
            decides: TxReceipt | None = None
            for one in group:
                answer = next(answers)
                if isinstance(answer, NodeError):
                    raise answer
                receipt = parse_receipt(answer)
                if receipt is not None and (
                    self._has_effect(item, receipt) or (decides is None and one.nonce == item.nonce)
                ):
                    decides = receipt
            found.append(decides)
        return found

    def _settled(
        self, item: Item, where: TxReceipt, stage: Stage | None = None, detail: str = ""
    ) -> Settled:
        return Settled(
            position=item.position,
            stage=self.stage_at(where.block_number) if stage is None else stage,
            detail=detail,
            hash=where.hash,
            block_number=where.block_number,
            block_hash=where.block_hash,
        )

    def _settle_failed(self, item: Item, receipt: TxReceipt) -> bool:
        """Write down why a transaction had no effect; say whether nothing is left to do."""
        if receipt.status == 1:
            # Where no contract stands, every call succeeds.
            self._outbox.note(item, Stage.QUEUED, "no-effect")
            return False
        if item.kind is ItemKind.ANCHOR:
            # Only a root that is anchored already is refused for good.
            if self.adopt(item):
                return True
            self._outbox.note(item, Stage.QUEUED, self.refusal(item) or "reverted")
            return False
        if item.stage is Stage.QUEUED and item.detail in _PASSING:
            # It was told before, and is signed anew when it can be carried out.
            if receipt.block_number <= self._deep:
                self._outbox.release(item)
            return False
        reason = self.refusal(item) or "reverted"
        if self._may_pass(item, reason):
            self._outbox.note(item, Stage.QUEUED, reason)
            return False
        is_done = reason == "erased" and item.scope.startswith(ERASE_SCOPE)
        stage = Stage.SKIPPED if is_done else Stage.REFUSED
        self._standing.settle([self._settled(item, receipt, stage, reason)])
        return True

    def _may_pass(self, item: Item, reason: str) -> bool:
        """Say whether a change that was not carried out may be later, without a new event."""
        if item.scope.startswith(GATE_SCOPES):
            return False
        if reason != "reverted":
            return reason in PASSING_REASONS
        # It would be carried out now: the contract has changed since.
        names = [("eth_getTransactionReceipt", (one.hash,)) for one in self._outbox.signed(item)]
        return sum(answer is not None for answer in self._node.batch(names)) < _MOST_REVERTS

    def _has_effect(self, item: Item, receipt: TxReceipt) -> bool:
        """Say whether the contract has written down what a transaction was to change."""
        if receipt.status != 1:
            return False
        if item.kind is ItemKind.ANCHOR:
            return any(one.root == item.root for one in self._contract.anchored(receipt))
        # A role that is held already, or not held, changes nothing and is not written down.
        is_role = item.scope.startswith(ROLE_SCOPE)
        return is_role or any(log.address == self._contract.address for log in receipt.logs)

    def stage_at(self, block_number: int) -> Stage:
        """How far an item is that stands in this block."""
        is_final = not self._confirmations or block_number <= self._deep
        return Stage.FINAL if is_final else Stage.MINED

    def refusal(self, item: Item, sender: str | None = None) -> str:
        """Return why the contract would refuse an item now; empty when it would not."""
        account = item.account or ""
        try:
            self._contract.simulate(sender or account_to_address(account), item.data)
        except AccessRefusedError as error:
            return error.reason
        except AlreadyAnchoredError:
            return "already-anchored"
        except RevertedError:
            return "reverted"
        return ""

    def adopt(self, item: Item) -> bool:
        """Settle an anchor whose root stands in the contract, whoever brought it; say if so."""
        log = self._contract.anchor_log(item.root)
        # The log may be of a block that was replaced since; the receipt is of the one that is.
        receipt = None if log is None else self._node.receipt(log.transaction)
        if receipt is None or not self._has_effect(item, receipt):
            return False
        self._standing.settle([self._settled(item, receipt)])
        return True

    def _miss(self, item: Item) -> None:
        """Another transaction took the number of this one: queue it anew."""
        if item.kind is ItemKind.ANCHOR and self.adopt(item):
            return
        self._unseen[item.position] += 1
        if self._unseen[item.position] >= _ROUNDS_WITHOUT_RECEIPT:
            del self._unseen[item.position]
            self._outbox.note(item, Stage.QUEUED, "nonce-taken")


def _in_force(item: Item) -> _Place | None:
    """Return where an item stands that is in force; None for any other."""
    if item.stage not in (Stage.MINED, Stage.FINAL) or item.block_number is None:
        return None
    return item.block_number, -1 if item.nonce is None else item.nonce


def _is_before(place: _Place | None, other: _Place) -> bool:
    return place is not None and place < other
