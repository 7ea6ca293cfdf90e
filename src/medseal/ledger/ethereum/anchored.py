"""A log whose checkpoints a contract anchors: states of its entries, and proofs with anchors."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from medseal.digest import Digest
from medseal.errors import CheckpointError, ConsistencyError, InputError
from medseal.ledger.audit import AuditReport
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.events import Event
from medseal.ledger.item import EntryState, Item, Stage
from medseal.ledger.note import VerifyingKey
from medseal.ledger.outbox import Outbox
from medseal.ledger.protocol import SyncState
from medseal.ledger.receipt import Anchor, Receipt

__all__ = ["AnchoredLog"]


class AnchoredLog:
    """The reading side of a network ledger; asks no node.

    Parameters
    ----------
    log, outbox
        The entries, and how far they are.
    chain_id, contract
        Which contract they go to.
    """

    def __init__(self, log: EmbeddedLedger, outbox: Outbox, chain_id: int, contract: str) -> None:
        self.log = log
        self._outbox = outbox
        self._chain_id = chain_id
        self._address = contract

    def state(self) -> SyncState:
        """Return how far the entries are, as far as it is known here; asks nobody."""
        return self._outbox.counts(self.log.size)

    def state_of(self, index: int) -> EntryState:
        """Return how far an entry is, as far as it is known here; asks nobody.

        Raises
        ------
        InputError
            No such entry.
        """
        if not 0 <= index < self.log.size:
            raise InputError(f"the log has no entry {index}")
        return self._outbox.state_of(index)

    def waiting_reasons(self) -> dict[str, int]:
        """Return why changes and anchors wait that are `queued`, each with their number."""
        return self._outbox.reasons()

    # --- Proofs -------------------------------------------------------------------------------

    def prove(self, entry: int | Digest, *, size: int | None = None) -> Receipt:
        """Return a receipt for an entry, with the smallest final anchor that covers it.

        Where none is final yet one that is mined serves, and where none is mined the newest
        checkpoint without an anchor; see `Ledger.prove`.
        """
        plain = self.log.prove(entry, size=size)
        if size is not None:
            found = self._outbox.anchor_at(size)
            return plain if found is None else self._anchored(plain, found)
        found = self._outbox.anchor_of(plain.index)
        if found is not None and not self._is_of_present_key(found):
            # After a rotation of the key of the log an old head no longer verifies with it.
            found = self._outbox.newest_anchor()
        if found is None or not self._is_of_present_key(found) or self._anchor(found) is None:
            return plain
        return self._anchored(self.log.prove(plain.index, size=found.place), found)

    def _is_of_present_key(self, item: Item) -> bool:
        try:
            self.log.checkpoint(item.place).verify(self.log.vkey)
        except CheckpointError:
            return False
        return True

    def _anchored(self, plain: Receipt, item: Item) -> Receipt:
        if plain.checkpoint.root != item.root:
            raise ConsistencyError(
                f"{self.log.path}: the log was rewritten since its {item.place} entries were"
                " anchored"
            )
        return replace(plain, anchor=self._anchor(item))

    def _anchor(self, item: Item) -> Anchor | None:
        if item.stage not in (Stage.MINED, Stage.FINAL):
            return None
        if item.hash is None or item.block_number is None or item.block_hash is None:
            return None
        return Anchor(
            chain_id=self._chain_id,
            contract=self._address,
            transaction=item.hash,
            block_number=item.block_number,
            block_hash=item.block_hash,
        )

    @property
    def vkey(self) -> VerifyingKey:
        """Public key that signs the log at present."""
        return self.log.vkey

    @property
    def origin(self) -> str:
        """Name of the log in its checkpoints."""
        return self.log.origin

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.log.size

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """Return a checkpoint; see `EmbeddedLedger.checkpoint`."""
        return self.log.checkpoint(size)

    def consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """Return a consistency proof; see `EmbeddedLedger.consistency`."""
        return self.log.consistency(old_size, new_size)

    def events(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, Event]]:
        """Yield index and event of entries; see `EmbeddedLedger.events`."""
        return self.log.events(start, stop)

    def audit(self, *, witnesses: Sequence[VerifyingKey] = ()) -> AuditReport:
        """Replay the log; see `EmbeddedLedger.audit`."""
        return self.log.audit(witnesses=witnesses)

    def check_continues(
        self, checkpoint: bytes, *, witnesses: Sequence[VerifyingKey] = ()
    ) -> Checkpoint:
        """Check a checkpoint kept elsewhere; see `EmbeddedLedger.check_continues`."""
        return self.log.check_continues(checkpoint, witnesses=witnesses)
