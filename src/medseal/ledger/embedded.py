"""The embedded ledger: one SQLite file, durable receipts, group commit, no daemon.

SQLite is spoken to directly, without an object mapper: a receipt is a promise about one fsync,
so the beginning and the end of every transaction stand in this package and nowhere else.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from medseal.errors import (
    CheckpointError,
    ConsistencyError,
    InputError,
    LedgerError,
    MedsealError,
)
from medseal.ledger.audit import check_head
from medseal.ledger.batch import Batch, Commit, Request
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.events import Event, EventKind, now_ms
from medseal.ledger.growth import Growth
from medseal.ledger.merkle import EMPTY_ROOT, Frontier
from medseal.ledger.note import ED25519, SignedNote, Signer, VerifyingKey
from medseal.ledger.reader import LedgerReader, stored_checkpoint
from medseal.ledger.receipt import Receipt
from medseal.ledger.recording import Recording
from medseal.ledger.storage import LogFile, create_log
from medseal.ledger.witness import cosign_checkpoint

__all__ = ["MAX_BATCH_EVENTS", "EmbeddedLedger"]

# Bounds the memory of one transaction: about 100 MB of leaves, hashes and paths.
MAX_BATCH_EVENTS = 65_536


class EmbeddedLedger(LedgerReader, Recording):
    """A log in one SQLite file; several threads and several processes may use it at once.

    Every append ends with a signed checkpoint and an fsync before its receipt is returned.
    Threads that append at the same time share one transaction. After a fork the child opens the
    ledger again.

    Parameters
    ----------
    path
        File of the log.
    signing_key
        Key of the log; its name is the origin of the log. Without it the log is read-only.
    vkey
        Public key that is trusted; enough to read and audit, also after a rotation of the key.
    create
        Write an empty log when the file is missing; needs the signing key.
    busy_timeout_seconds
        How long to wait for another process.

    Raises
    ------
    InputError
        Neither key was given, or one of another type.
    CheckpointError
        The log was signed with another key.
    DamagedLedgerError, LedgerError
        The head of the log does not verify, or the file is damaged.
    StorageError, StorageFullError
        The file is missing, closed to us, or cannot be created.
    """

    def __init__(
        self,
        path: Path,
        *,
        signing_key: Signer | None = None,
        vkey: VerifyingKey | None = None,
        create: bool = False,
        busy_timeout_seconds: float = 10.0,
    ) -> None:
        trusted = vkey if signing_key is None else signing_key.vkey
        if trusted is None:
            raise InputError("give the signing key of the log, or its public key to read it")
        if trusted.algorithm != ED25519 or vkey not in (None, trusted):
            raise InputError("the keys given do not belong to one log")
        self._signer = signing_key
        self._writer: LogFile | None = None
        self._pending: list[Request] = []
        self._is_committing = False
        self._turns = threading.Condition()
        if create and not Path(path).exists():
            _create(Path(path), signing_key)
        super().__init__(path, trusted, busy_timeout_seconds=busy_timeout_seconds)
        if signing_key is None:
            return
        try:
            if self._vkey != trusted:
                raise CheckpointError(f"{path}: the log has a newer key, open it with that")
            self._writer = self._open(writable=True)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file; every receipt that was returned is durable already."""
        super().close()
        if self._writer is not None:
            self._writer.close()

    def _writing_parts(self) -> tuple[LogFile, Signer]:
        """Return the connection and the key that writing needs."""
        self._check_process()
        if self._writer is None or self._signer is None:
            raise InputError("the ledger was opened without its signing key, it can only be read")
        return self._writer, self._signer

    def append(self, event: Event) -> Receipt:
        """Record an event and return its durable receipt; see `Ledger.append`."""
        return self.append_many((event,))[0]

    def append_many(self, events: Sequence[Event]) -> list[Receipt]:
        """Record events in order, all or none, and return their durable receipts.

        Raises
        ------
        InputError
            More than `MAX_BATCH_EVENTS`, an event that is incomplete for its kind, or a rotation
            of the key, which has a method of its own.
        AccessRefusedError
            An actor may not record an event.
        LedgerBusyError, StorageFullError, LedgerError
            Nothing was acknowledged.
        """
        if len(events) > MAX_BATCH_EVENTS:
            raise InputError(f"at most {MAX_BATCH_EVENTS} events are appended at once")
        if any(event.kind is EventKind.KEY_ROTATION for event in events):
            raise InputError("a key is rotated with `rotate_key`")
        self._writing_parts()
        if not events:
            return []
        request = Request(events)
        with self._turns:
            self._pending.append(request)
        while not request.is_settled:
            self._follow_or_lead(request)
        return self._receipts(request)

    def _follow_or_lead(self, own: Request) -> None:
        """Wait until somebody has committed the request, or commit all that wait by then."""
        with self._turns:
            self._turns.wait_for(lambda: own.is_settled or not self._is_committing)
            if own.is_settled:
                return
            taken = self._take_pending()
            self._is_committing = True
        try:
            self._commit(taken)
        except MedsealError as error:
            for request in taken:
                request.error = error
        finally:
            with self._turns:
                # After an interruption the others still wait, and lead for themselves.
                self._pending[:0] = [r for r in taken if not r.is_settled and r is not own]
                self._is_committing = False
                self._turns.notify_all()

    def _take_pending(self) -> list[Request]:
        """Return the oldest requests that fit into one transaction; `_turns` is held."""
        taken, count = [], 0
        while self._pending and count < MAX_BATCH_EVENTS:
            taken.append(self._pending.pop(0))
            count += len(taken[-1].events)
        return taken

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Commit alone: no group is under way and none begins."""
        with self._turns:
            self._turns.wait_for(lambda: not self._is_committing)
            self._is_committing = True
        try:
            yield
        finally:
            with self._turns:
                self._is_committing = False
                self._turns.notify_all()

    def _commit(self, requests: Sequence[Request], new_signer: Signer | None = None) -> None:
        """Append what the requests want in one transaction and settle them."""
        log, signer = self._writing_parts()
        with log.writing():
            frontier = self._present_frontier(log, signer)
            batch = Batch(log, frontier)
            for request in requests:
                batch.add(request)
            growth = batch.store()
            checkpoint = self._sign(log, growth, signer, new_signer)
        self._frontier = growth.frontier
        commit = Commit(start=growth.start, checkpoint=checkpoint, paths=growth.paths())
        for request in requests:
            if request.error is None:
                request.commit = commit

    def _present_frontier(self, log: LogFile, signer: Signer) -> Frontier:
        """Return the frontier of the file, checked again if another process has appended."""
        if log.signers()[-1][1] != signer.vkey:
            raise CheckpointError(f"{self.path}: the log has a newer key, open it with that")
        size = log.size()
        if size < self._frontier.size:
            raise ConsistencyError(
                f"{self.path}: the log was rolled back, it had {self._frontier.size} entries"
                f" and now has {size}"
            )
        return self._frontier if size == self._frontier.size else check_head(log, signer.vkey)

    def _sign(
        self, log: LogFile, growth: Growth, signer: Signer, new_signer: Signer | None
    ) -> Checkpoint:
        """Return the head after the batch, signed and stored."""
        frontier = growth.frontier
        if frontier.size == growth.start:
            return log.head()
        head = Checkpoint(origin=signer.vkey.name, size=frontier.size, root=frontier.root())
        head = head.sign(signer)
        if new_signer is not None:
            head = head.sign(new_signer)
            log.store_signer(head.size, new_signer.vkey)
        log.store_checkpoint(head)
        return head

    def _receipts(self, request: Request) -> list[Receipt]:
        if request.error is not None:
            raise request.error
        commit = request.commit
        if commit is None:
            raise LedgerError(f"{self.path}: the append was interrupted, try again")
        return [
            self._receipt(commit, position, leaf)
            for position, leaf in zip(request.positions, request.leaves, strict=True)
        ]

    def _receipt(self, commit: Commit, position: int, leaf: bytes) -> Receipt:
        if position < commit.start:
            return self.prove(position)
        return commit.receipt(position, leaf)

    def rotate_key(self, new_key: Signer, *, actor: str, at_ms: int | None = None) -> Receipt:
        """Hand the log over to a new key: an event that names both, signed by both.

        Parameters
        ----------
        new_key
            Key of the same name.
        actor
            Account of the owner.
        at_ms
            Milliseconds since 1970 UTC; now unless given.

        Raises
        ------
        InputError
            The new key has another name or type, or is the present one.
        AccessRefusedError
            The actor is not the owner.
        """
        self._writing_parts()
        old, new = self._vkey, new_key.vkey
        if new.name != old.name or new.algorithm != ED25519 or new == old:
            raise InputError("the new key is another Ed25519 key under the name of the log")
        details = {"old_key": str(old), "new_key": str(new)}
        event = Event.new(EventKind.KEY_ROTATION, at_ms=at_ms, actor=actor, details=details)
        request = Request((event,))
        with self._turn():
            self._commit((request,), new_key)
            if request.error is None:
                self._signer, self._vkey, self._trusted = new_key, new, new
        return self._receipts(request)[0]

    def witness(
        self, cosigner: Signer, *, timestamp_s: int | None = None, previous: bytes | None = None
    ) -> Checkpoint:
        """Let a witness whose key is at hand cosign the newest checkpoint, and store the result.

        Parameters
        ----------
        cosigner
            Key of the witness, of the type `COSIGNATURE_V1`.
        timestamp_s
            Seconds since 1970 UTC; now unless given.
        previous
            Checkpoint that this witness cosigned last and kept; the log must continue it.

        Raises
        ------
        ConsistencyError
            The log was rolled back or rewritten since `previous`.
        """
        head = self.checkpoint()
        proof: tuple[bytes, ...] = ()
        if previous is not None:
            seen = self.check_continues(previous, witnesses=(cosigner.vkey,))
            proof = self.consistency(seen.size, head.size)
        cosigned = cosign_checkpoint(
            head.to_bytes(),
            self._vkey,
            cosigner,
            timestamp_s=now_ms() // 1000 if timestamp_s is None else timestamp_s,
            previous=previous,
            proof=proof,
        )
        self.store_cosignature(cosigned, cosigner.vkey)
        return cosigned

    def store_cosignature(self, cosigned: Checkpoint, witness: VerifyingKey) -> None:
        """Keep the cosignature that a witness returned, beside the stored checkpoint.

        Raises
        ------
        CheckpointError
            The cosignature does not hold, or the log signed no such head.
        """
        log, _ = self._writing_parts()
        note = SignedNote(text=cosigned.body(), signatures=cosigned.signatures)
        note.verify((witness,))
        name = (witness.name, witness.key_id)
        lines = [line for line in cosigned.signatures if (line.name, line.key_id) == name]
        with self._turn(), log.writing():
            stored = stored_checkpoint(log, cosigned.size)
            if stored.body() != cosigned.body():
                raise CheckpointError("the log signed another head of this size")
            added = tuple(line for line in lines if line not in stored.signatures)
            log.store_checkpoint(replace(stored, signatures=(*stored.signatures, *added)))


def _create(path: Path, signer: Signer | None) -> None:
    """Write an empty log with its signed head of size 0."""
    if signer is None:
        raise InputError("a log is created with its signing key")
    empty = Checkpoint(origin=signer.vkey.name, size=0, root=EMPTY_ROOT)
    create_log(path, empty.sign(signer), signer.vkey)
