"""The network ledger: a log of its own for durable receipts, a contract for rights and anchors."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from medseal.digest import Digest
from medseal.errors import (
    AccessRefusedError,
    InputError,
    MedsealError,
    RevertedError,
    UnreachableError,
)
from medseal.ledger.closing import Closing
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.ethereum.anchored import AnchoredLog
from medseal.ledger.ethereum.background import Background
from medseal.ledger.ethereum.codec import calls_of, checked_address
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.decisions import DecisionCache
from medseal.ledger.ethereum.folder import (
    default_folder,
    join_network,
    known_chain_id,
    open_log,
    open_outbox,
)
from medseal.ledger.ethereum.heads import check_heads
from medseal.ledger.ethereum.mirror import GATE_SCOPES, Mirror, changes_who_may_record
from medseal.ledger.ethereum.relay import Relay
from medseal.ledger.ethereum.restrictions import Use, restricted
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.settings import NetworkSettings
from medseal.ledger.ethereum.signer import TransactionSigner
from medseal.ledger.ethereum.tracker import Tracker
from medseal.ledger.events import Event, EventKind, now_ms
from medseal.ledger.grants import Action, Decision, Grant, Role
from medseal.ledger.item import Stage, State
from medseal.ledger.merkle import leaf_hash
from medseal.ledger.protocol import SyncState
from medseal.ledger.receipt import Receipt
from medseal.ledger.recording import Recording

__all__ = ["EthereumLedger"]


class EthereumLedger(AnchoredLog, Recording, Closing):
    """A log whose rights a contract judges and whose checkpoints that contract anchors.

    A receipt is durable here before the network is asked; `sync` or the thread of `start` bring
    anchors and changes of rights to the contract. Several threads and processes may use a folder
    at once. After a fork the child opens the ledger again.

    Parameters
    ----------
    url
        JSON-RPC address of a node.
    contract
        Address of the contract.
    signer
        Key of this gateway.
    folder
        Where log and outbox lie; ``.medseal/networks/<chain id>-<contract>`` unless given.
    log
        An open log to use in place of one in the folder; it is not closed with the ledger.
    settings
        See `NetworkSettings`.

    Raises
    ------
    ChainMismatchError
        The node speaks for another chain, or another contract or none stands there, or the log
        belongs to another contract.
    UnreachableError
        The node does not answer and the number of the chain is not known here.
    InputError, LedgerError, StorageError
        Address, log or outbox cannot be used.
    """

    def __init__(
        self,
        url: str,
        contract: str,
        signer: TransactionSigner,
        *,
        folder: Path | None = None,
        log: EmbeddedLedger | None = None,
        settings: NetworkSettings | None = None,
    ) -> None:
        self.settings = chosen = NetworkSettings() if settings is None else settings
        self.signer = signer
        self._away_until = 0.0
        self._last_gate = -1
        with ExitStack() as opened:
            self.node = Node(url, timeout_seconds=chosen.timeout_seconds)
            opened.callback(self.node.close)
            address = checked_address(contract.lower())
            if log is None and folder is not None:
                log = opened.enter_context(open_log(Path(folder), signer.account))
            chain_id = chosen.chain_id or known_chain_id(self.node, address, log)
            self.folder = default_folder(chain_id, address) if folder is None else Path(folder)
            self.contract = Contract(self.node, address, chain_id=chain_id)
            self._asked = self._impatient(self.contract)
            self._check_node()
            if log is None:
                log = opened.enter_context(open_log(self.folder, signer.account))
            join_network(log, chain_id, address, signer.account)
            outbox = opened.enter_context(open_outbox(self.folder, log, chain_id, address))
            super().__init__(log, outbox, chain_id, address)
            self._assemble()
            opened.callback(self.stop)
            self._closing = opened.pop_all()

    def _impatient(self, contract: Contract) -> Contract:
        """Return the contract, seen through a node that nobody waits for."""
        limit = self.settings.simulation_seconds
        node = contract.node.with_limits(timeout_seconds=limit, attempts=1)
        return Contract(node, contract.address, chain_id=contract.chain_id)

    def _check_node(self) -> None:
        """Refuse a node of another chain; one that is away is no obstacle."""
        try:
            self._asked.check()
        except UnreachableError:
            self._away_until = time.monotonic() + self.settings.away_seconds

    def _assemble(self) -> None:
        chosen, outbox = self.settings, self._outbox
        confirmations = chosen.relay.confirmations
        self._mirror = Mirror(
            self.log,
            outbox,
            batch_leaves=chosen.relay.batch_leaves,
            batch_seconds=chosen.relay.batch_seconds,
        )
        self._relay = Relay(
            mirror=self._mirror,
            outbox=outbox,
            tracker=Tracker(outbox, self.node, self.contract, confirmations=confirmations),
            contract=self.contract,
            signer=self.signer,
            settings=chosen.relay,
        )
        self._background = Background(
            lambda: not _is_reached(self.sync(), State.FINAL),
            busy_seconds=chosen.poll_seconds,
            idle_seconds=chosen.idle_seconds,
        )
        self._decisions = DecisionCache(
            self.contract,
            max_age_seconds=chosen.max_age_seconds,
            timeout_seconds=chosen.simulation_seconds,
            max_head_age_seconds=chosen.max_head_age_seconds,
        )

    @classmethod
    def deploy(
        cls,
        url: str,
        signer: TransactionSigner,
        *,
        folder: Path | None = None,
        log: EmbeddedLedger | None = None,
        settings: NetworkSettings | None = None,
    ) -> Self:
        """Put a new contract on the chain, owned by the signer, and open its ledger; as above."""
        node = Node(url)
        try:
            address = Contract.deploy(node, signer).address
        finally:
            node.close()
        return cls(url, address, signer, folder=folder, log=log, settings=settings)

    def close(self) -> None:
        """Stop the thread and close the files; what waits is carried on after the next opening."""
        self._closing.close()

    # --- Recording ----------------------------------------------------------------------------

    def append(self, event: Event) -> Receipt:
        """Record an event and return its durable receipt; see `Ledger.append`."""
        return self.append_many((event,))[0]

    def append_many(self, events: Sequence[Event]) -> list[Receipt]:
        """Record events in order, all or none, and return their durable receipts.

        Each event that changes rights is shown to the contract first, while the node answers; of
        several, those after one that changes who may record are recorded unasked. A refusal that
        comes later is shown by `state_of`.

        Raises
        ------
        AccessRefusedError
            The contract would refuse an event; nothing was recorded.
        InputError
            As `EmbeddedLedger.append_many`.
        LedgerBusyError, StorageFullError, LedgerError
            Nothing was acknowledged.
        """
        mirrored = [event for event in events if calls_of(event)]
        if mirrored:
            self._ask_contract(mirrored)
        receipts = self.log.append_many(events)
        gates = [
            receipt.index
            for event, receipt in zip(events, receipts, strict=True)
            if changes_who_may_record(event)
        ]
        self._last_gate = max((self._last_gate, *gates))
        self._background.wake()
        return receipts

    def _ask_contract(self, events: Sequence[Event]) -> None:
        """Raise if the contract would refuse one of the events, as far as it can tell."""
        if time.monotonic() < self._away_until or self._is_gate_under_way():
            return
        for event in events:
            # An erasure holds here in any case: keys are destroyed whatever a contract says.
            if event.kind is not EventKind.ERASE and not self._is_recorded(event):
                try:
                    for data in calls_of(event):
                        self._asked.simulate(self.signer.address, data)
                except RevertedError:
                    raise AccessRefusedError(
                        "the contract refuses this for a reason of its own", reason="refused"
                    ) from None
                except UnreachableError:
                    self._away_until = time.monotonic() + self.settings.away_seconds
                    return
            if changes_who_may_record(event):
                return

    def _is_gate_under_way(self) -> bool:
        waits = self._outbox.waits(GATE_SCOPES, Stage.QUEUED, Stage.SUBMITTED)
        return waits or self._last_gate >= self._outbox.cursor()

    def _is_recorded(self, event: Event) -> bool:
        """Say whether the log has the event: a repetition is no new change."""
        try:
            self.log.prove(Digest(leaf_hash(event.leaf())))
        except InputError:
            return False
        return True

    # --- Rights -------------------------------------------------------------------------------

    def may(
        self,
        account: str,
        subject: str,
        action: Action,
        *,
        purpose: str = "",
        at_ms: int | None = None,
    ) -> Decision:
        """Return whether an account may act on an image, as the contract decides.

        What this gateway has taken back is refused at once, before the contract knows. One that
        cannot be reached allows nothing; see `DecisionCache`.
        """
        when = now_ms() if at_ms is None else at_ms
        erased = self.log.may(account, subject, action, purpose=purpose, at_ms=when)
        if erased.reason == "erased":
            return erased
        found = self._decisions.may(account, subject, action, purpose=purpose, at_ms=at_ms)
        self._mirror.scan()
        use = Use(account=account, subject=subject, action=action)
        return restricted(found, use, self.log, self._outbox, self.contract.roles)

    def roles(self, account: str) -> tuple[Role, ...]:
        """Return the roles that an account holds in the contract.

        Raises
        ------
        UnreachableError
            The node does not answer.
        """
        return self.contract.roles(account)

    def grants(self, *, account: str | None = None, subject: str | None = None) -> list[Grant]:
        """Return the grants that stand in the contract; raises as `roles`."""
        return self.contract.grants(account=account, subject=subject)

    def check_heads(self) -> int:
        """Return how many heads of this log the contract holds, if the log continues each of them.

        Raises
        ------
        ConsistencyError
            The log was rolled back or rewritten; see `check_heads`.
        UnreachableError
            The node does not answer.
        """
        return check_heads(self.log, self.contract, self.signer.account)

    # --- The way to the contract --------------------------------------------------------------

    def start(self) -> None:
        """Let a thread bring to the contract what waits, until `stop` or `close`."""
        self._background.start()

    def stop(self) -> None:
        """Stop that thread after its present step."""
        self._background.stop()

    @property
    def relay_error(self) -> MedsealError | None:
        """Why the thread of `start` cannot get on at present; None when it does."""
        return self._background.error

    def sync(self, *, flush: bool = False) -> SyncState:
        """Carry what is under way one step on, and say how far the entries are.

        With `flush` the newest checkpoint is anchored now, however young and small the batch is.

        Raises
        ------
        ChainMismatchError
            The node speaks for another chain, or the contract is not there any more.
        UnreachableError, NodeError
            The node did not answer, or not as it should. Nothing is lost, `state` still tells.
        LedgerBusyError, StorageFullError, LedgerError
            Log or outbox cannot be read or written.
        """
        self._relay.round(flush=flush)
        return self.state()

    def wait(
        self,
        state: State | str,
        timeout_seconds: float,
        *,
        progress: Callable[[SyncState], None] | None = None,
    ) -> SyncState:
        """Carry on until every entry is at least in a state, or refused, and return the counts.

        Parameters
        ----------
        state
            ``submitted``, ``mined`` or ``final``.
        timeout_seconds
            How long to wait; a node that is away is asked again until then.
        progress
            Is told the counts after each round.

        Raises
        ------
        ChainMismatchError, LedgerError
            Waiting does not help.
        UnreachableError
            The time is over; what waits is kept.
        """
        wanted = State(state)
        deadline = time.monotonic() + timeout_seconds
        while True:
            missed: UnreachableError | None = None
            try:
                self._relay.round(flush=True)
            except UnreachableError as error:
                missed = error
            found = self.state()
            if progress is not None:
                progress(found)
            if missed is None and _is_reached(found, wanted):
                return found
            if time.monotonic() >= deadline:
                reasons = ", ".join(f"{word}: {n}" for word, n in self.waiting_reasons().items())
                raise UnreachableError(
                    f"{found.queued} entries are queued, {found.submitted} submitted and"
                    f" {found.mined} mined after {timeout_seconds:g} s"
                    + (f" ({reasons})" if reasons else "")
                    + ("" if missed is None else f": {missed}")
                )
            time.sleep(self.settings.poll_seconds)


def _is_reached(found: SyncState, wanted: State) -> bool:
    behind = {
        State.SUBMITTED: found.queued,
        State.MINED: found.queued + found.submitted,
        State.FINAL: found.queued + found.submitted + found.mined,
    }
    if wanted not in behind:
        raise InputError("wait for submitted, mined or final")
    return not behind[wanted]
