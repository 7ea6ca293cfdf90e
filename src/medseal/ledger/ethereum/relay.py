"""The relay: brings what waits in the outbox to the contract, each item once, in order.

Transactions are stored before they are sent, so a repetition sends the same bytes. Numbers of
transactions (nonces) are given out here alone, while the outbox is held, and leave no gap.
"""

from collections.abc import Iterator
from typing import Any

from medseal.errors import (
    ChainMismatchError,
    NodeError,
    NonceTooLowError,
    UnderpricedError,
)
from medseal.ledger.ethereum.answers import Fees
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.fees import GAS_LIMIT, signed_transaction
from medseal.ledger.ethereum.gate import Gate
from medseal.ledger.ethereum.mirror import ERASE_SCOPE, OWNER_SCOPE, Mirror
from medseal.ledger.ethereum.numbers import Numbers
from medseal.ledger.ethereum.order import Order
from medseal.ledger.ethereum.recovery import recover
from medseal.ledger.ethereum.settings import RelaySettings
from medseal.ledger.ethereum.signer import TransactionSigner
from medseal.ledger.ethereum.tracker import Tracker
from medseal.ledger.events import now_ms
from medseal.ledger.item import Item, ItemKind, SignedTransaction, Stage
from medseal.ledger.outbox import Outbox

__all__ = ["NEW_OUTBOX", "Relay"]

# Stands in an outbox that was made for a log with a history.
NEW_OUTBOX = "recover"
_UNDERPRICED = "underpriced"
_GAS_MARKS = 2**16


class _Stop(Exception):  # noqa: N818 - ends a round early, it is no error
    """Nothing more can be sent in this round."""


class Relay:
    """Sends for one outbox.

    Parameters
    ----------
    mirror, outbox, tracker
        Where items come from, where they wait, and what becomes of them.
    contract, signer
        Where they go, and who signs.
    settings
        See `RelaySettings`.
    """

    def __init__(
        self,
        *,
        mirror: Mirror,
        outbox: Outbox,
        tracker: Tracker,
        contract: Contract,
        signer: TransactionSigner,
        settings: RelaySettings,
    ) -> None:
        self._mirror = mirror
        self._outbox = outbox
        self._tracker = tracker
        self._node = contract.node
        self._contract = contract
        self._signer = signer
        self._settings = settings
        self._numbers: dict[str, Numbers] = {}
        self._fees: Fees | None = None
        self._fresh: list[tuple[Item, SignedTransaction]] = []
        self._staged: list[tuple[Item, SignedTransaction]] = []
        self._fillers: list[SignedTransaction] = []
        self._held: dict[int, int] | None = None

    def round(self, *, flush: bool = False) -> None:
        """Carry everything one step on, as far as it can be done now.

        Parameters
        ----------
        flush
            Close the present batch even if it is small and young.

        Raises
        ------
        ChainMismatchError
            The node speaks for another chain, or the contract is not there any more.
        UnreachableError, NodeError
            The node did not answer, or not as it should; everything waits in the outbox.
        StorageFullError, LedgerBusyError, LedgerError
            The log or the outbox cannot be read or written.
        """
        with self._outbox.exclusive():
            # 1. What the log has gained; this needs no network.
            self._mirror.scan()
            self._mirror.close_batch(flush=flush)
            if self._outbox.is_empty():
                return
            # 2. Is it the right chain, and what does it hold?
            self._check_chain()
            self._recover()
            self._tracker.recheck()
            self._tracker.poll()
            # 3. Send; some nodes have the block ready at once.
            if self._send():
                self._tracker.poll()

    def _check_chain(self) -> None:
        try:
            self._contract.check()
        except ChainMismatchError:
            # The same chain without the contract has lost what was final; another says nothing.
            if self._node.chain_id() == self._contract.chain_id:
                self._tracker.recheck()
            raise

    def _recover(self) -> None:
        if self._outbox.meta(NEW_OUTBOX) is not None:
            recover(self._outbox, self._contract, self._signer.address)
            self._outbox.forget(NEW_OUTBOX)

    def _send(self) -> bool:
        """Send what waits, in order, and say whether anything was sent."""
        sent: list[Item] = []
        try:
            for item, signed in self._stage():
                self._hand_over(item, signed)
                sent.append(item)
            for filler in self._fillers:
                self._node.send(filler.raw)
        except (_Stop, NonceTooLowError):
            # Somebody with the same key was faster; the tracker looks who it was.
            pass
        finally:
            self._outbox.note_sent(sent)
        return bool(sent)

    def _stage(self) -> list[tuple[Item, SignedTransaction]]:
        """Return what has to be sent now; all of it is stored, with one fsync, before any is."""
        self._numbers, self._fees, self._held = {}, None, None
        self._gate = Gate(self._outbox, self._tracker, self._signer.address)
        self._order = Order(
            self._outbox,
            self._tracker,
            self._node,
            gate=self._gate,
            numbers_of=self._numbers_of,
            account=self._signer.account,
        )
        self._fresh, self._staged, self._fillers = [], [], []
        try:
            flying = sum(self._send_numbered(account) for account in self._outbox.senders())
            self._sign_waiting(self._settings.max_in_flight - flying)
        except _Stop:
            pass
        self._gate.close()
        self._outbox.store_signed(self._fresh)
        return self._staged

    def _put(self, item: Item, signed: SignedTransaction) -> None:
        numbers = self._numbers_of(signed.account)
        numbers.next = max(numbers.next, signed.nonce + 1)
        self._staged.append((item, signed))

    def _send_numbered(self, account: str) -> int:
        """Send what has the next numbers of an account, and return how many are under way.

        The lowest numbers come first, whatever was recorded first: all others wait for them.
        """
        numbers, flying = self._numbers_of(account), 0
        most = self._settings.max_in_flight
        for item in self._outbox.numbered(account, numbers.used, limit=most):
            nonce = item.nonce
            if nonce is None or nonce > numbers.next or self._is_over(item):
                # A gap: what needs a number takes one of those first.
                break
            is_there = nonce < numbers.next and item.stage is Stage.SUBMITTED
            steps = self._bump(item, numbers) if is_there else self._send_again(item, nonce)
            for signed in steps:
                self._put(item, signed)
            flying += 1
        return flying

    def _sign_waiting(self, room: int) -> None:
        """Sign as many as there is room for of those that need a number, the oldest first."""
        gaps: list[int] = []
        for item in self._waiting():
            if room <= 0:
                break
            if self._needs_number(item, gaps):
                signed = self._sign_anew(item)
                if signed is not None:
                    self._put(item, signed)
                    room -= 1
        if gaps and not self._fresh:
            self._fill_gap(min(gaps))

    def _needs_number(self, item: Item, gaps: list[int]) -> bool:
        """Say whether an item has no number that it could be carried out under."""
        if item.nonce is None or item.account is None:
            return True
        numbers = self._numbers_of(item.account)
        if item.nonce < numbers.used:
            # Taken by another transaction, or mined a moment ago: the tracker tells.
            return item.stage is Stage.QUEUED and item.nonce < numbers.lost
        if item.nonce <= numbers.next or self._gate.holds(item):
            return False
        if not self._order.is_known(item):
            # A gap that nobody fills: the chain begins anew and has other numbers.
            return True
        if item.account == self._signer.account:
            gaps.append(item.nonce)
        return False

    def _waiting(self) -> Iterator[Item]:
        """Yield all that may have to be sent, page by page: much of it may be held back."""
        after, most = 0, 4 * self._settings.max_in_flight
        while page := self._outbox.items(Stage.QUEUED, Stage.SUBMITTED, after=after, limit=most):
            yield from (item for item in page if not self._is_over(item))
            after = page[-1].position

    def _is_over(self, item: Item) -> bool:
        """Give up broken glass whose hour has passed: sent now, it would begin anew."""
        if item.stage is not Stage.QUEUED or not self._mirror.is_over(item):
            return False
        if item.nonce is not None and self._order.is_known(item):
            # A node may carry it out, whatever is said here.
            return False
        self._outbox.note(item, Stage.REFUSED, "expired")
        return True

    def _send_again(self, item: Item, nonce: int) -> Iterator[SignedTransaction]:
        """Yield the stored transaction, or one that pays more where it paid too little."""
        newest = self._outbox.current(item)
        if item.account == self._signer.account:
            is_cheap = item.detail == _UNDERPRICED and newest.price > 0
            yield self._sign(item, nonce, above=newest.price) if is_cheap else newest
        elif not self._outbox.earlier(item):
            # The numbers of a former key do not keep the order with ours.
            yield newest

    def _numbers_of(self, account: str) -> Numbers:
        if account not in self._numbers:
            confirmations = self._settings.confirmations
            numbers = Numbers(self._node, account, confirmations)
            if numbers.used <= self._outbox.standing_nonce(account):
                # The chain was replaced since it was looked at in this round.
                raise _Stop
            self._numbers[account] = numbers
        return self._numbers[account]

    # --- Signing ------------------------------------------------------------------------------

    def _sign_anew(self, item: Item) -> SignedTransaction | None:
        """Sign an item that has no number, or lost it, if its turn has come."""
        if self._gate.holds(item):
            return None
        if item.nonce is not None and self._tracker.settle_if_mined(item):
            return None
        nonce = self._free_nonce()
        if not self._order.is_turn_of(item, nonce) or not self._is_wanted(item):
            return None
        return self._sign(item, nonce)

    def _is_wanted(self, item: Item) -> bool:
        """Ask the contract about anchors and erasures first; write down what it would refuse."""
        if item.kind is ItemKind.ANCHOR:
            reason = self._tracker.refusal(item, self._signer.address)
            if reason and not self._tracker.adopt(item):
                self._outbox.note(item, Stage.QUEUED, reason)
            return not reason
        if not item.scope.startswith(ERASE_SCOPE):
            return True
        if self._outbox.waits((OWNER_SCOPE,), Stage.SUBMITTED):
            raise _Stop
        reason = self._tracker.refusal(item, self._signer.address)
        if reason:
            # Erased already, or by a gateway that does not own the contract: it holds here only.
            self._outbox.note(item, Stage.SKIPPED, reason)
        return not reason

    def _free_nonce(self) -> int:
        """Return the lowest number that no item holds, and that the node does not know."""
        nonce, held = self._numbers_of(self._signer.account).next, self._held_nonces()
        while nonce in held:
            nonce += 1
        return nonce

    def _held_nonces(self) -> set[int]:
        if self._held is None:
            first = self._numbers_of(self._signer.account).next
            self._held = self._outbox.nonces(self._signer.account, first)
        return set(self._held.values())

    def _fill_gap(self, end: int) -> None:
        """Use up the numbers below `end` that nothing holds, with transactions that do nothing.

        The node keeps a transaction of ours for later. Under a lower number it could be carried
        out twice; so the number of what was lost is used up, and everything keeps its own.
        """
        numbers, held = self._numbers_of(self._signer.account), self._held_nonces()
        for nonce in range(numbers.next, min(end, numbers.next + self._settings.max_in_flight)):
            if nonce in held:
                return
            call = {"nonce": nonce, "to": self._signer.address, "data": b""}
            self._fillers.append(self._signed(call))
            numbers.next = nonce + 1

    def _sign(self, item: Item, nonce: int, *, above: int | None = None) -> SignedTransaction:
        """Sign an item under a number."""
        # Where a chain begins anew, two items with the same data can get the same number one after
        # the other. The limit, of which nothing is paid that is not used, tells their bytes apart.
        gas = GAS_LIMIT + item.position % _GAS_MARKS
        call = {"nonce": nonce, "to": self._contract.address, "data": item.data, "gas": gas}
        try:
            signed = self._signed(call, above=above)
        except _Stop:
            if above is None:
                self._outbox.note(item, Stage.QUEUED, "fee-above-limit")
            raise
        self._fresh.append((item, signed))
        self._order.given[item.position] = nonce
        if self._held is not None:
            self._held[item.position] = nonce
        return signed

    def _signed(self, call: dict[str, Any], *, above: int | None = None) -> SignedTransaction:
        """Sign a call for the fee of the moment, or for one that replaces another."""
        if self._fees is None:
            self._fees = self._node.fees(self._signer.address)
        price = self._settings.fees.price(self._fees, above=above)
        if price is None:
            raise _Stop
        call["chainId"] = self._contract.chain_id
        return signed_transaction(self._signer, call, self._fees, price, is_bump=above is not None)

    def _bump(self, item: Item, numbers: Numbers) -> Iterator[SignedTransaction]:
        """Raise the fee of the transaction that all others wait for, when it is stuck."""
        newest = self._outbox.current(item)
        waited_ms = now_ms() - newest.at_ms
        if (
            item.nonce == numbers.used
            and newest.price > 0
            and waited_ms > 1000 * self._settings.fees.bump_seconds
            and item.account == self._signer.account
        ):
            yield self._sign(item, numbers.used, above=newest.price)

    # --- Sending ------------------------------------------------------------------------------

    def _hand_over(self, item: Item, signed: SignedTransaction) -> None:
        """Send stored bytes and write down what the node said."""
        try:
            self._node.send(signed.raw)
        except NonceTooLowError:
            raise
        except UnderpricedError:
            # The fees have risen, or another transaction of this number waits there.
            self._outbox.note(item, Stage.QUEUED, _UNDERPRICED)
            raise _Stop from None
        except NodeError as error:
            self._outbox.note(item, item.stage, type(error).__name__)
            raise
