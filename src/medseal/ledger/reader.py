"""The reading side of the embedded ledger: all that an auditor with the public key can do."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from medseal.digest import Digest
from medseal.errors import CheckpointError, ConsistencyError, InputError, LedgerError
from medseal.ledger.audit import AuditReport, audit_log, check_head, check_key_chain
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.closing import Closing
from medseal.ledger.difference import TreeExport, export_tree, refuse_difference
from medseal.ledger.events import Event, now_ms
from medseal.ledger.grants import (
    NETWORK_KEY,
    OWNER_KEY,
    Action,
    Decision,
    Grant,
    Role,
    consent_key,
    decide,
    parse_grant,
    roles_of,
)
from medseal.ledger.merkle import Frontier, Tree
from medseal.ledger.note import SignedNote, VerifyingKey
from medseal.ledger.protocol import SyncState
from medseal.ledger.receipt import Receipt
from medseal.ledger.storage import LogFile

__all__ = ["LedgerReader", "stored_checkpoint"]

_READ_CHUNK = 1024
Wanted = Callable[[bytes], bool]


class LedgerReader(Closing):
    """A log in one SQLite file, opened read-only; its head is verified on opening.

    Parameters
    ----------
    path
        File of the log.
    trusted
        Public key of the log; may be one that was rotated since.
    busy_timeout_seconds
        How long to wait for another process.

    Raises
    ------
    CheckpointError
        The log was signed with another key.
    DamagedLedgerError, LedgerError
        The head of the log does not verify, or the file is damaged.
    StorageError
        The file is missing or closed to us.
    """

    def __init__(
        self, path: Path, trusted: VerifyingKey, *, busy_timeout_seconds: float = 10.0
    ) -> None:
        self.path = Path(path)
        self._trusted = trusted
        self._busy_timeout_seconds = busy_timeout_seconds
        self._process = os.getpid()
        self._reader = self._open(writable=False)
        try:
            self._vkey, self._frontier = self._checked_head()
        except BaseException:
            self._reader.close()
            raise

    def _open(self, *, writable: bool) -> LogFile:
        timeout = self._busy_timeout_seconds
        return LogFile(self.path, writable=writable, busy_timeout_seconds=timeout)

    def _checked_head(self) -> tuple[VerifyingKey, Frontier]:
        """Return the present key and frontier; O(log n) rows, nothing is replayed."""
        with self._reader.reading():
            vkey = check_key_chain(self._reader, self._trusted)
            return vkey, check_head(self._reader, vkey)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    @contextmanager
    def _reading(self) -> Iterator[LogFile]:
        """Give the reader within one state of the file."""
        self._check_process()
        with self._reader.reading():
            yield self._reader

    def _check_process(self) -> None:
        # A connection that is carried over a fork can destroy the file.
        if os.getpid() != self._process:
            raise LedgerError(f"{self.path}: open the ledger again after a fork")

    @property
    def vkey(self) -> VerifyingKey:
        """Public key that signs the log at present."""
        return self._vkey

    @property
    def origin(self) -> str:
        """Name of the log in its checkpoints."""
        return self._vkey.name

    @property
    def size(self) -> int:
        """Number of entries."""
        with self._reading() as log:
            return log.size()

    def __len__(self) -> int:
        return self.size

    @property
    def owner(self) -> str:
        """Account that owns the log; empty before the first event."""
        with self._reading() as log:
            return log.access(OWNER_KEY) or ""

    @property
    def network(self) -> str:
        """Contract that judges the rights of the log, ``chain id/address``; empty for none."""
        with self._reading() as log:
            return log.access(NETWORK_KEY) or ""

    def consent(self, subject: str) -> str:
        """Return ``given``, ``withdrawn`` or nothing: a patient's word, up to joining a network."""
        with self._reading() as log:
            return log.access(consent_key(subject)) or ""

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        """Return the newest checkpoint, or the one of a size; `to_bytes` exports it.

        Raises
        ------
        InputError
            No checkpoint was signed at this size.
        """
        with self._reading() as log:
            return stored_checkpoint(log, size)

    def root(self, size: int) -> bytes:
        """Return the root over the first `size` entries.

        Raises
        ------
        InputError
            The log has fewer.
        """
        with self._reading() as log:
            present = log.size()
            if not 0 <= size <= present:
                raise InputError(f"the log has {present} entries, fewer than {size}")
            return Tree(size, log.node).root()

    def prove(self, entry: int | Digest, *, size: int | None = None) -> Receipt:
        """Return a receipt for an entry; reads O(log n) rows. See `Ledger.prove`."""
        with self._reading() as log:
            checkpoint = stored_checkpoint(log, size)
            index = log.find(entry.value) if isinstance(entry, Digest) else entry
            if index is None:
                raise InputError("no entry of the log has this leaf hash")
            path = Tree(checkpoint.size, log.node).inclusion_path(index)
            return Receipt(leaf=log.leaf(index), index=index, path=path, checkpoint=checkpoint)

    def consistency(self, old_size: int, new_size: int | None = None) -> tuple[bytes, ...]:
        """Return the proof that the log of `new_size` continues that of `old_size`.

        Parameters
        ----------
        old_size, new_size
            Numbers of entries; `new_size` is the present size unless given.

        Raises
        ------
        InputError
            The log has no such sizes.
        """
        with self._reading() as log:
            present = log.size()
            size = present if new_size is None else new_size
            if not 0 <= size <= present:
                raise InputError(f"the log has {present} entries, fewer than {size}")
            return Tree(size, log.node).consistency_path(old_size)

    def export(self, size: int | None = None) -> TreeExport:
        """Return the hashes of all entries under a signed head; see `TreeExport`."""
        with self._reading() as log:
            return export_tree(log, stored_checkpoint(log, size))

    def check_same(self, kept: TreeExport) -> None:
        """Return if this log continues verified hashes of it that were kept elsewhere.

        The comparison reads O(log n) stored hashes; that they fit the entries, `audit` checks.

        Raises
        ------
        ConsistencyError
            The log was rolled back or rewritten since; `index` names the first entry.
        """
        with self._reading() as log:
            refuse_difference(kept, log.size(), log.node)

    def events(
        self, start: int = 0, stop: int | None = None, *, wanted: Wanted | None = None
    ) -> Iterator[tuple[int, Event]]:
        """Yield index and event of the entries [start, stop) that are there by then.

        `wanted` says of the bytes of an entry whether it is yielded; others are not even parsed.
        """
        position = start
        while stop is None or position < stop:
            end = position + _READ_CHUNK if stop is None else min(position + _READ_CHUNK, stop)
            with self._reading() as log:
                leaves = log.leaves(position, end)
            for leaf in leaves:
                if wanted is None or wanted(leaf):
                    yield position, Event.parse(leaf)
                position += 1
            if len(leaves) < _READ_CHUNK:
                return

    def may(
        self,
        account: str,
        subject: str,
        action: Action,
        *,
        purpose: str = "",
        at_ms: int | None = None,
    ) -> Decision:
        """Return whether an account may act on an image; sees every committed revocation."""
        when = now_ms() if at_ms is None else at_ms
        with self._reading() as log:
            return decide(log.access, account, subject, action, purpose=purpose, at_ms=when)

    def roles(self, account: str) -> tuple[Role, ...]:
        """Return the roles that an account holds now."""
        with self._reading() as log:
            return roles_of(log.access, account)

    def grants(self, *, account: str | None = None, subject: str | None = None) -> list[Grant]:
        """Return the grants that were not revoked, of one account or image or of all."""
        with self._reading() as log:
            try:
                entries = sorted(log.access_entries().items())
                found = [parse_grant(name, value) for name, value in entries]
            except InputError as error:
                raise LedgerError(f"{self.path}: a stored grant is malformed: audit it") from error
        return [
            grant
            for grant in found
            if grant is not None
            and account in (None, grant.account)
            and subject in (None, grant.subject)
        ]

    def sync(self) -> SyncState:
        """Return how far the entries are; here each one is final as soon as it has a receipt."""
        return SyncState(queued=0, submitted=0, mined=0, final=self.size)

    def audit(self, *, witnesses: Sequence[VerifyingKey] = ()) -> AuditReport:
        """Replay the whole log and compare it with every stored byte; see `audit_log`."""
        self._check_process()
        log = self._open(writable=False)
        try:
            return audit_log(log, self._trusted, witnesses=witnesses)
        finally:
            log.close()

    def check_continues(
        self, checkpoint: bytes, *, witnesses: Sequence[VerifyingKey] = ()
    ) -> Checkpoint:
        """Return a checkpoint that was kept elsewhere, if the present log continues it.

        Parameters
        ----------
        checkpoint
            Checkpoint of this log from a witness, a mail or a print.
        witnesses
            Keys of witnesses that must all have cosigned it.

        Raises
        ------
        CheckpointError
            Not a checkpoint of this log, or a cosignature is missing.
        ConsistencyError
            The log was rolled back or rewritten since.
        """
        with self._reading() as log:
            keys = tuple(vkey for _, vkey in log.signers())
            signed = SignedNote.parse(checkpoint).verify((*keys, *witnesses))
            if not signed.intersection(keys) or not signed.issuperset(witnesses):
                raise CheckpointError("the checkpoint lacks the signature of the log or a witness")
            seen = Checkpoint.parse(checkpoint)
            if seen.origin != self.origin:
                raise CheckpointError("the checkpoint is of another log")
            size = log.size()
            if size < seen.size:
                raise ConsistencyError(
                    f"the log was rolled back: it had {seen.size} entries and now has {size}"
                )
            if Tree(seen.size, log.node).root() != seen.root:
                raise ConsistencyError(
                    f"the log was rewritten: its first {seen.size} entries are not those signed"
                )
            return seen


def stored_checkpoint(log: LogFile, size: int | None) -> Checkpoint:
    """Return the stored checkpoint of a size, or the newest."""
    if size is None:
        return log.head()
    note = log.note(size)
    if note is None:
        raise InputError(f"no checkpoint was signed at {size} entries")
    return Checkpoint.parse(note)
