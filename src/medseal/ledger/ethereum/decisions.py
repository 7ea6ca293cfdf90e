"""Access decisions of the contract, reused for a moment and never for longer; else refused.

The bound: what `DecisionCache.may` returns was judged by the node after the larger of
`max_age_seconds` and `timeout_seconds` before, so a revocation that the node's newest block holds
is outlived by no more than that. Whatever cannot be judged in time is refused.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from medseal.errors import (
    ChainMismatchError,
    InputError,
    NodeError,
    RevertedError,
    UnreachableError,
)
from medseal.ledger.ethereum.answers import parse_block, parse_data
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.events import now_ms
from medseal.ledger.grants import Action, Decision

__all__ = ["DecisionCache"]

_NEVER_MS = 2**48 - 1
# A connection is lost once in a while; more often means that nobody knows who answers.
_ROUNDS = 3

_Key = tuple[str, str, Action, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """An allowed decision; the time at which it was asked for counts, not that of the answer."""

    decision: Decision
    asked_at: float
    from_ms: int
    until_ms: int


class DecisionCache:
    """Asks the contract, and keeps what was allowed for a moment; threads may share it.

    Parameters
    ----------
    contract
        The contract, whose chain id is pinned; it is checked again after each lost connection.
    max_age_seconds
        How long an allowed decision is reused, by the monotonic clock; 0 for never. It also ends
        with the grant or the break-glass window that it rests on. Refusals are never reused.
    timeout_seconds
        Limit of one exchange with the node; a node that does not answer means no.
    max_head_age_seconds
        How far the time of the node's newest block may lie from that of this machine: beyond, the
        node has lost its network, or a clock is wrong. None where blocks are made only of
        transactions; such a network cannot show that it has stopped.
    max_entries
        How many decisions are kept.

    Raises
    ------
    InputError
        A limit is negative, or the one of an exchange is 0.
    """

    def __init__(
        self,
        contract: Contract,
        *,
        max_age_seconds: float = 1.0,
        timeout_seconds: float = 1.0,
        max_head_age_seconds: float | None = 60.0,
        max_entries: int = 4096,
    ) -> None:
        if max_age_seconds < 0 or max_entries < 0 or (max_head_age_seconds or 0) < 0:
            raise InputError("the limits of the decision cache are not negative")
        node = contract.node.with_limits(timeout_seconds=timeout_seconds, attempts=1)
        self._contract = Contract(node, contract.address, chain_id=contract.chain_id)
        self._max_age_seconds = max_age_seconds
        self._max_head_age_seconds = max_head_age_seconds
        self._max_entries = max_entries
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        # Lost connections when the contract was last checked.
        self._checked = -1

    def may(
        self,
        account: str,
        subject: str,
        action: Action,
        *,
        purpose: str = "",
        at_ms: int | None = None,
    ) -> Decision:
        """Return whether an account may act on an image now, or at the given time.

        Besides those of the contract there are three reasons to refuse: ``unreachable`` (no
        usable answer in time), ``wrong-chain`` (another chain or contract answers) and ``stale``
        (see `max_head_age_seconds`).

        Raises
        ------
        InputError
            An argument has another form.
        """
        at_ms = now_ms() if at_ms is None else at_ms
        key = (account, subject, action, purpose)
        kept = self._find(key, at_ms)
        if kept is not None:
            return kept
        try:
            fresh = self._ask(key, at_ms)
        except ChainMismatchError:
            return Decision(allowed=False, reason="wrong-chain")
        except UnreachableError:
            return Decision(allowed=False, reason="unreachable")
        if fresh.decision.allowed and fresh.until_ms > at_ms:
            self._keep(key, fresh)
        return fresh.decision

    def clear(self) -> None:
        """Forget what is kept, for example after a revocation by this machine."""
        with self._lock:
            self._kept.clear()

    def _find(self, key: _Key, at_ms: int) -> Decision | None:
        with self._lock:
            kept = self._kept.get(key)
            if kept is None:
                return None
            if time.monotonic() - kept.asked_at >= self._max_age_seconds:
                del self._kept[key]
                return None
            return kept.decision if kept.from_ms <= at_ms < kept.until_ms else None

    def _keep(self, key: _Key, fresh: _Kept) -> None:
        with self._lock:
            self._kept[key] = fresh
            self._kept.move_to_end(key)
            while len(self._kept) > self._max_entries:
                self._kept.popitem(last=False)

    def _ask(self, key: _Key, at_ms: int) -> _Kept:
        """Return the decision of the contract, from a node that was checked."""
        node = self._contract.node
        for _ in range(_ROUNDS):
            losses = node.losses
            if self._checked != losses:
                self._contract.check()
                self._checked = losses
            fresh = self._ask_once(key, at_ms)
            if node.losses == losses:
                return fresh
        raise UnreachableError(f"the connections to {node.url} do not last")

    def _ask_once(self, key: _Key, at_ms: int) -> _Kept:
        """Return the decision of the contract and the time until which it can hold."""
        account, subject, action, purpose = key
        contract = self._contract
        asked = contract.decide_request(account, subject, action, purpose=purpose, at_ms=at_ms)
        ends = contract.end_requests(account, subject, action)
        asked_at = time.monotonic()
        chain, head, *calls = contract.node.batch(
            (("eth_chainId", ()), ("eth_getBlockByNumber", ("latest", False)), asked, *ends)
        )
        contract.check_chain(chain)
        words = [self._call_result(call) for call in calls]
        decision = contract.parse_decision(words[0])
        if self._is_stale(head):
            decision = Decision(allowed=False, reason="stale")
        grant = contract.parse_words(words[1], 3)
        window = contract.parse_words(words[2], 1)
        until_ms = _NEVER_MS
        if decision.reason == "granted":
            until_ms = grant[1] if grant[0] else at_ms
        elif decision.reason == "break-glass":
            until_ms = window[0]
        return _Kept(decision=decision, asked_at=asked_at, from_ms=at_ms, until_ms=until_ms)

    def _call_result(self, answer: object) -> bytes:
        if isinstance(answer, RevertedError):
            raise self._contract.mismatch()
        if isinstance(answer, NodeError):
            raise answer
        return parse_data(answer)

    def _is_stale(self, answer: object) -> bool:
        if isinstance(answer, NodeError):
            raise answer
        head = parse_block(answer)
        if head is None:
            raise NodeError(f"{self._contract.node.url} has no newest block")
        if self._max_head_age_seconds is None:
            return False
        return abs(now_ms() / 1000 - head.timestamp) > self._max_head_age_seconds
