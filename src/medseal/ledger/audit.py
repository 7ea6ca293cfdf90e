"""Audit: replay a log from its first entry and compare every stored byte with it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from medseal.errors import (
    AccessRefusedError,
    CheckpointError,
    DamagedLedgerError,
    InputError,
    LedgerError,
)
from medseal.ledger.checkpoint import Checkpoint, verify_checkpoint
from medseal.ledger.events import Event, EventKind
from medseal.ledger.merkle import Frontier, leaf_hash
from medseal.ledger.note import VerifyingKey
from medseal.ledger.rules import AccessState
from medseal.ledger.storage import LogFile, leaf_prefix

__all__ = ["AuditReport", "audit_log", "check_head", "check_key_chain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit without findings has seen.

    Attributes
    ----------
    size
        Number of entries.
    root
        Root hash, 32 bytes.
    checkpoints
        Number of stored checkpoints, each verified.
    cosigned_size
        Newest size that every given witness cosigned; None when there is none.
    kinds
        Number of entries of each kind that occurs.
    """

    size: int
    root: bytes
    checkpoints: int
    cosigned_size: int | None
    kinds: Mapping[EventKind, int]


def check_head(log: LogFile, vkey: VerifyingKey) -> Frontier:
    """Return the frontier of a log whose size, root and newest signature agree.

    Reads O(log n) rows: a quick check, where `audit_log` looks at every byte.

    Raises
    ------
    CheckpointError
        The newest checkpoint is not that of the key.
    DamagedLedgerError
        Size or root differ from the newest checkpoint.
    """
    size, head = log.size(), log.head()
    head.verify(vkey)
    if head.size != size:
        first = min(head.size, size)
        raise DamagedLedgerError(
            f"{log.path}: {size} entries are stored and {head.size} are signed", index=first
        )
    frontier = Frontier.load(size, log.node)
    if frontier.root() != head.root:
        raise DamagedLedgerError(
            f"{log.path}: the stored tree differs from the signed root", index=max(size - 1, 0)
        )
    return frontier


def check_key_chain(log: LogFile, pinned: VerifyingKey) -> VerifyingKey:
    """Return the present key of a log, led to by rotations from a key that is trusted.

    Raises
    ------
    CheckpointError
        The log never had the trusted key, or a rotation is not signed by both keys.
    """
    signers = log.signers()
    keys = [vkey for _, vkey in signers]
    if pinned not in keys:
        raise CheckpointError(f"{log.path}: the log was never signed with the key '{pinned}'")
    for place in range(keys.index(pinned) + 1, len(keys)):
        _check_rotation(log, signers[place][0], keys[place - 1], keys[place])
    return keys[-1]


def _check_rotation(log: LogFile, size: int, old: VerifyingKey, new: VerifyingKey) -> None:
    event = Event.parse(log.leaf(size - 1))
    details = {"old_key": str(old), "new_key": str(new)}
    if event.kind is not EventKind.KEY_ROTATION or event.details != details:
        raise CheckpointError(f"{log.path}: entry {size - 1} does not rotate the key of the log")
    note = log.note(size)
    if note is None:
        raise CheckpointError(f"{log.path}: the checkpoint of a rotation is lost")
    # The old key vouches for the new one: both have signed the same head.
    verify_checkpoint(note, old, witnesses=(new,))


class _Replay:
    """The state of a log while it is replayed, beside what is stored."""

    def __init__(self, log: LogFile, witnesses: Sequence[VerifyingKey]) -> None:
        self.log = log
        self.witnesses = tuple(witnesses)
        self.frontier = Frontier()
        self.index = 0
        self.access = AccessState()
        self.kinds: Counter[EventKind] = Counter()
        self.checkpoints = 0
        self.cosigned_size: int | None = None
        self.signers = log.signers()
        self.nodes = self._rows("SELECT position, hash FROM node ORDER BY position")
        self.heads = self._rows("SELECT size, note FROM checkpoint ORDER BY size")
        self.next_head = next(self.heads, None)
        self.next_node = 0

    def _rows(self, query: str) -> Iterator[tuple[Any, Any]]:
        return iter(self.log.connection.execute(query))

    def damaged(self, message: str) -> DamagedLedgerError:
        """Return the error for the entry that is replayed at present."""
        return DamagedLedgerError(f"{self.log.path}: {message}", index=self.index)

    def key_at(self, size: int) -> VerifyingKey:
        """Return the key that signs heads of this size."""
        keys = [vkey for start, vkey in self.signers if start <= size]
        if not keys or self.signers[0][0] != 0:
            raise CheckpointError(f"{self.log.path}: the first key of the log is lost")
        return keys[-1]

    def step(self, position: object, data: object) -> None:
        """Replay one entry."""
        index = self.index
        # 1. The leaf stands in its place and is a valid event.
        if position != index or not isinstance(data, bytes):
            raise self.damaged(f"the entry {index} is lost")
        try:
            event = Event.parse(data)
            # 2. Its actor had the right to record it then.
            self.access.apply(event)
        except (AccessRefusedError, InputError, LedgerError) as error:
            raise self.damaged(f"the entry {index} is not valid ({error})") from error
        self.check_rotation(event)
        # 3. It can be found by its hash.
        value = leaf_hash(data)
        found = self.log.connection.execute(
            "SELECT 1 FROM leaf_prefix WHERE prefix = ? AND position = ?",
            (leaf_prefix(value), index),
        )
        if found.fetchone() is None:
            raise self.damaged(f"the entry {index} differs from the index of hashes")
        # 4. The inner nodes above it are those that are stored.
        for _, _, node in self.frontier.append(value):
            if next(self.nodes, None) != (self.next_node, node):
                raise self.damaged(f"a stored hash over the entry {index} differs")
            self.next_node += 1
        # 5. So is the head that was signed after it.
        self.check_checkpoint()
        self.kinds[event.kind] += 1
        self.index += 1

    def check_rotation(self, event: Event) -> None:
        """Compare an event that rotates the key with the stored keys."""
        if event.kind is not EventKind.KEY_ROTATION:
            return
        size = self.index + 1
        names = (event.details["old_key"], event.details["new_key"])
        if names != (str(self.key_at(size - 1)), str(self.key_at(size))):
            raise self.damaged("a rotation of the key differs from the stored keys")

    def check_checkpoint(self) -> None:
        """Verify the stored checkpoint of the present size, if there is one."""
        size = self.frontier.size
        if self.next_head is None or self.next_head[0] != size:
            return
        try:
            head = self.verified(self.next_head[1], size)
        except CheckpointError as error:
            raise self.damaged(f"the checkpoint of size {size}: {error}") from error
        if (head.size, head.root) != (size, self.frontier.root()):
            raise self.damaged(f"the checkpoint of size {size} was signed for another log")
        self.checkpoints += 1
        self.next_head = next(self.heads, None)

    def verified(self, note: object, size: int) -> Checkpoint:
        """Return a stored checkpoint whose signatures hold."""
        if not isinstance(note, bytes):
            raise CheckpointError("its bytes are lost")
        head = verify_checkpoint(note, self.key_at(size))
        lines = {(line.name, line.key_id) for line in head.signatures}
        if self.witnesses and {(key.name, key.key_id) for key in self.witnesses} <= lines:
            head.verify(self.key_at(size), witnesses=self.witnesses)
            self.cosigned_size = size
        return head

    def finish(self) -> None:
        """Refuse what is stored and follows from no entry."""
        if self.next_head is not None:
            raise self.damaged("a checkpoint is stored for no state of the log")
        if next(self.nodes, None) is not None:
            raise self.damaged("a hash is stored over no entry")
        count = self.log.connection.execute("SELECT count(*) FROM leaf_prefix").fetchone()[0]
        if count != self.frontier.size:
            raise self.damaged("the index of hashes names an entry that is not there")
        rotations = self.kinds[EventKind.KEY_ROTATION]
        if len(self.signers) != rotations + 1:
            raise self.damaged("a key is stored that no entry names")
        if self.log.access_entries() != self.access.entries:
            raise self.damaged("the stored rights differ from those that the log gives")


def audit_log(
    log: LogFile, pinned: VerifyingKey, *, witnesses: Sequence[VerifyingKey] = ()
) -> AuditReport:
    """Return what a replay of the whole log has seen; linear in its length.

    Parameters
    ----------
    log
        A connection of its own.
    pinned
        Key of the log, present or earlier, that is trusted.
    witnesses
        Keys of witnesses whose cosignatures are verified where they stand.

    Raises
    ------
    DamagedLedgerError
        A stored byte differs from what was signed; `index` names the first entry.
    CheckpointError
        The newest signature or a rotation of the key does not hold.
    LedgerError
        SQLite finds the file itself damaged.
    """
    with log.reading():
        # 1. The file as SQLite sees it.
        report = log.connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if report != "ok":
            raise LedgerError(f"{log.path}: the ledger is damaged, restore it from a copy")
        # 2. Every entry, hash, checkpoint and right.
        replay = _Replay(log, witnesses)
        replay.check_checkpoint()
        for position, data in log.connection.execute("SELECT * FROM leaf ORDER BY position"):
            replay.step(position, data)
        replay.finish()
        # 3. The newest head is signed, by a key that the trusted one leads to.
        check_head(log, check_key_chain(log, pinned))
    return AuditReport(
        size=replay.frontier.size,
        root=replay.frontier.root(),
        checkpoints=replay.checkpoints,
        cosigned_size=replay.cosigned_size,
        kinds=MappingProxyType(dict(replay.kinds)),
    )
