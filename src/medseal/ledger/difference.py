"""Where two logs part: the hashes of all entries under a signed head, and the first that differs.

A checkpoint says that a log was rewritten, not where: its root is one hash over everything. With
the hash of each entry the place is found by descending from the roots, in O(log n) comparisons.
The hashes tell nothing else: each entry holds a random nonce.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from medseal.errors import CheckpointError, ConsistencyError, InputError, LedgerError
from medseal.ledger.checkpoint import Checkpoint, verify_checkpoint
from medseal.ledger.merkle import HASH_BYTES, Node, Tree, leaf_hash
from medseal.ledger.note import MAX_NOTE_BYTES, VerifyingKey
from medseal.ledger.storage import LogFile

__all__ = [
    "EXPORT_VERSION",
    "MAX_EXPORT_BYTES",
    "MAX_EXPORT_LEAVES",
    "TreeExport",
    "check_same_log",
    "export_tree",
    "first_difference",
    "is_export",
    "refuse_difference",
]

# First word of every export; docs/spec/tree-export.md.
EXPORT_VERSION = "medseal-tree/v1"
# 512 MiB of hashes; building the tree over them takes about half a minute.
MAX_EXPORT_LEAVES = 2**24
_HEAD_LINE = re.compile(rb"medseal-tree/v1 ([1-9][0-9]{0,4})\n")
_MAX_HEAD_BYTES = len(EXPORT_VERSION) + 7
MAX_EXPORT_BYTES = _MAX_HEAD_BYTES + MAX_NOTE_BYTES + MAX_EXPORT_LEAVES * HASH_BYTES
_READ_CHUNK = 1024


def first_difference(
    first_size: int, first_node: Node, second_size: int, second_node: Node
) -> int | None:
    """Return the first entry that two logs do not share; None where the longer continues the other.

    Parameters
    ----------
    first_size, second_size
        Numbers of entries.
    first_node, second_node
        Give the hashes of complete subtrees; each is asked for O(log n) of them.
    """
    shared, start = min(first_size, second_size), 0
    for level in reversed(range(shared.bit_length())):
        if not shared >> level & 1:
            continue
        index = start >> level
        if not hmac.compare_digest(first_node(level, index), second_node(level, index)):
            return _descend(first_node, second_node, level, index)
        start += 1 << level
    return None


def _descend(first: Node, second: Node, level: int, index: int) -> int:
    """Return the first leaf that differs under a node that differs."""
    while level:
        level, index = level - 1, index * 2
        if hmac.compare_digest(first(level, index), second(level, index)):
            index += 1
    return index


class _HashTree:
    """All complete subtrees over given leaf hashes.

    Parameters
    ----------
    leaves
        Hashes of 32 bytes, one after the other.
    """

    def __init__(self, leaves: bytes) -> None:
        self.size = len(leaves) // HASH_BYTES
        self._levels = [leaves]
        sha256, width = hashlib.sha256, 2 * HASH_BYTES
        while len(below := self._levels[-1]) >= width:
            pairs = range(0, len(below) // width * width, width)
            self._levels.append(
                b"".join(sha256(b"\x01" + below[i : i + width]).digest() for i in pairs)
            )

    def node(self, level: int, index: int) -> bytes:
        return self._levels[level][index * HASH_BYTES : (index + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeExport:
    """The hashes of all entries of a log under a signed head; `verified` reads one from a file.

    Attributes
    ----------
    checkpoint
        Signed head.
    leaves
        Leaf hashes in order, 32 bytes each, as many as the size of the head.

    Raises
    ------
    LedgerError
        Too many entries, or another number of hashes than entries.
    """

    checkpoint: Checkpoint
    leaves: bytes

    def __post_init__(self) -> None:
        if self.checkpoint.size > MAX_EXPORT_LEAVES:
            raise LedgerError(f"hashes of at most {MAX_EXPORT_LEAVES} entries fit into one file")
        if len(self.leaves) != self.checkpoint.size * HASH_BYTES:
            raise LedgerError("the file has another number of hashes than the head has entries")

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.checkpoint.size

    def to_bytes(self) -> bytes:
        """Return the file: a line with the length of the note, the note, the hashes."""
        note = self.checkpoint.to_bytes()
        return f"{EXPORT_VERSION} {len(note)}\n".encode() + note + self.leaves

    @classmethod
    def verified(
        cls, data: bytes, vkey: VerifyingKey, *, witnesses: Sequence[VerifyingKey] = ()
    ) -> Self:
        """Return an export whose head is signed and whose hashes give the signed root.

        Parameters
        ----------
        data
            Content of the file.
        vkey
            Key of the log.
        witnesses
            Keys of witnesses that must all have cosigned the head.

        Raises
        ------
        CheckpointError
            The head is malformed, of another log, or a signature is missing or does not fit.
        LedgerError
            Not such a file, or its hashes are not those that were signed.
        """
        # 1. The form.
        note, leaves = _split(data)
        # 2. The log, and every wanted witness, signed the head.
        checkpoint = verify_checkpoint(note, vkey, witnesses=witnesses)
        export = cls(checkpoint=checkpoint, leaves=leaves)
        if export.to_bytes() != data:
            raise LedgerError("the hashes of the log are not in their canonical form")
        # 3. The hashes are those that it signed.
        tree = _HashTree(leaves)
        if not hmac.compare_digest(Tree(tree.size, tree.node).root(), checkpoint.root):
            raise LedgerError("the hashes are not those of the signed head: fetch the file again")
        return export

    def difference(self, size: int, node: Node) -> int | None:
        """Return the first entry that another log does not share; see `first_difference`."""
        return first_difference(self.size, _HashTree(self.leaves).node, size, node)


def is_export(data: bytes) -> bool:
    """Say whether a file begins like an export of hashes."""
    return data.startswith(f"{EXPORT_VERSION} ".encode())


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return the note and the hashes of a file; nothing in them is verified yet."""
    if len(data) > MAX_EXPORT_BYTES:
        raise LedgerError(f"a file of hashes has at most {MAX_EXPORT_BYTES} bytes")
    head = _HEAD_LINE.match(data)
    if head is None:
        raise LedgerError("not the hashes of a log in version 1")
    length = int(head[1])
    note = data[head.end() : head.end() + length]
    if len(note) != length or length > MAX_NOTE_BYTES:
        raise LedgerError("the hashes of the log end before their signed head")
    return note, data[head.end() + length :]


def export_tree(log: LogFile, checkpoint: Checkpoint) -> TreeExport:
    """Return the hashes of the entries under a stored checkpoint; reads every entry before it.

    The caller holds one state of the file.
    """
    if checkpoint.size > MAX_EXPORT_LEAVES:
        raise InputError(f"hashes of at most {MAX_EXPORT_LEAVES} entries fit into one file")
    leaves = bytearray()
    for start in range(0, checkpoint.size, _READ_CHUNK):
        stop = min(start + _READ_CHUNK, checkpoint.size)
        for leaf in log.leaves(start, stop):
            leaves += leaf_hash(leaf)
    return TreeExport(checkpoint=checkpoint, leaves=bytes(leaves))


def check_same_log(older: TreeExport, newer: TreeExport) -> int:
    """Return how many entries two verified exports share, if the newer continues the older.

    Exports of one log that two parties were given, or that one party was given at two times.

    Raises
    ------
    CheckpointError
        They are of different logs.
    ConsistencyError
        They part, or the newer is shorter; `index` names the first entry.
    """
    if older.checkpoint.origin != newer.checkpoint.origin:
        raise CheckpointError("the hashes are those of two different logs")
    tree = _HashTree(newer.leaves)
    refuse_difference(older, newer.size, tree.node)
    return older.size


def refuse_difference(kept: TreeExport, size: int, node: Node) -> None:
    """Return if a log continues an export that was kept elsewhere.

    Raises
    ------
    ConsistencyError
        An entry was changed, or the log was rolled back; `index` names the first entry.
    """
    index = kept.difference(size, node)
    if index is not None:
        raise ConsistencyError(
            f"the log was rewritten or forked: entry {index} is the first that differs from the"
            f" {kept.size} entries that were signed",
            index=index,
        )
    if size < kept.size:
        raise ConsistencyError(
            f"the log was rolled back: it had {kept.size} entries and now has {size}, entry {size}"
            " is the first that is missing",
            index=size,
        )
