"""RFC 6962 Merkle tree: roots, inclusion and consistency proofs from O(log n) stored nodes."""

import hashlib
import hmac
from collections.abc import Callable, Sequence

from medseal.errors import ConsistencyError, InclusionError, InputError

__all__ = [
    "EMPTY_ROOT",
    "HASH_BYTES",
    "MAX_PATH_HASHES",
    "Frontier",
    "Node",
    "Tree",
    "fold",
    "leaf_hash",
    "node_hash",
    "node_position",
    "subtrees",
    "verify_consistency",
    "verify_inclusion",
]

HASH_BYTES = 32
# A tree of 2**63 leaves, more than any size that a checkpoint may state.
MAX_PATH_HASHES = 64
# RFC 6962, 2.1: the hash of an empty list.
EMPTY_ROOT = hashlib.sha256(b"").digest()

# (level, index) -> hash of the complete subtree of the 2**level leaves from index * 2**level on.
Node = Callable[[int, int], bytes]


def leaf_hash(leaf: bytes) -> bytes:
    """Return SHA-256(0x00, leaf); the prefix keeps a leaf from posing as a node (RFC 6962, 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01, left, right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def node_position(level: int, index: int) -> int:
    """Return how many inner nodes were complete before this one: its row in an append-only store.

    Parameters
    ----------
    level
        At least 1: leaves are stored by themselves.
    index
        Number of the subtree within its level, from 0.
    """
    # The leaves before the last one of the subtree, ((index + 1) << level) - 1 of them, have as
    # many complete inner nodes less their set bits, popcount(index) + level; those of the last
    # leaf itself become complete from the lowest level upward.
    return ((index + 1) << level) - 2 - index.bit_count()


class Frontier:
    """The complete subtrees that make up a growing tree: all that an append has to know.

    Parameters
    ----------
    size
        Number of leaves.
    hashes
        Hashes of the complete subtrees, largest first, one for each set bit of `size`.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Sequence[bytes] = ()) -> None:
        if size < 0 or len(hashes) != size.bit_count():
            raise InputError("a frontier has one hash for each set bit of its size")
        self.size = size
        self.hashes = list(hashes)

    @classmethod
    def load(cls, size: int, node: Node) -> "Frontier":
        """Return the frontier of a stored tree; reads popcount(size) nodes."""
        return cls(size, [node(level, start >> level) for level, start in subtrees(size)])

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add a leaf by its hash; return the inner nodes (level, index, hash) that it completed."""
        completed = []
        index, level, value = self.size, 0, leaf
        while index & 1:
            value = node_hash(self.hashes.pop(), value)
            index >>= 1
            level += 1
            completed.append((level, index, value))
        self.hashes.append(value)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """Return the root hash."""
        if not self.hashes:
            return EMPTY_ROOT
        return fold(self.hashes)


def fold(hashes: Sequence[bytes]) -> bytes:
    """Return the hash over neighbouring complete subtrees, largest first."""
    value = hashes[-1]
    for left in reversed(hashes[:-1]):
        value = node_hash(left, value)
    return value


def subtrees(size: int) -> list[tuple[int, int]]:
    """Return (level, first leaf) of the complete subtrees of a tree, largest first."""
    parts, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            parts.append((level, start))
            start += 1 << level
    return parts


class Tree:
    """A tree of fixed size over stored complete subtrees; gives roots and proofs.

    Parameters
    ----------
    size
        Number of leaves.
    node
        Gives the hash of a complete subtree; asked for O(log size) of them a proof.
    """

    def __init__(self, size: int, node: Node) -> None:
        self.size = size
        self._node = node
        self._subtrees = subtrees(size)
        self._tails: dict[int, bytes] = {}

    def root(self) -> bytes:
        """Return the root hash."""
        return self._tail(0) if self.size else EMPTY_ROOT

    def _tail(self, start: int) -> bytes:
        """Return the hash over the leaves from `start`, a boundary of a subtree, to the end."""
        if start not in self._tails:
            value = b""
            for level, first in reversed(self._subtrees):
                if first < start:
                    break
                left = self._node(level, first >> level)
                value = node_hash(left, value) if value else left
                self._tails[first] = value
        return self._tails[start]

    def _range(self, start: int, end: int) -> bytes:
        """Return the hash over the leaves [start, end) of a node that RFC 6962 splits off."""
        if (end - start).bit_count() > 1:  # the ragged right edge
            return self._tail(start)
        level = (end - start).bit_length() - 1
        return self._node(level, start >> level)

    def inclusion_path(self, index: int) -> tuple[bytes, ...]:
        """Return the audit path of a leaf (RFC 6962, 2.1.1), from the leaf upward.

        Raises
        ------
        InputError
            The tree has no leaf with this index.
        """
        if not 0 <= index < self.size:
            raise InputError(f"the log has {self.size} entries and no number {index}")
        lefts: list[bytes] = []
        level = end = 0
        for level, start in self._subtrees:
            end = start + (1 << level)
            if index < end:
                break
            lefts.append(self._node(level, start >> level))
        path = [self._node(below, index >> below ^ 1) for below in range(level)]
        if end < self.size:
            path.append(self._tail(end))
        return (*path, *reversed(lefts))

    def consistency_path(self, old_size: int) -> tuple[bytes, ...]:
        """Return the proof that the first `old_size` leaves are unchanged (RFC 6962, 2.1.2).

        Raises
        ------
        InputError
            `old_size` exceeds the size of the tree.
        """
        if not 0 <= old_size <= self.size:
            raise InputError(f"the log has {self.size} entries, fewer than {old_size}")
        if old_size in (0, self.size):
            return ()
        path: list[bytes] = []
        start, end, old_root_is_known = 0, self.size, True
        while end != old_size:
            half = 1 << (end - start - 1).bit_length() - 1
            middle = start + half
            if old_size <= middle:
                path.append(self._range(middle, end))
                end = middle
            else:
                path.append(self._range(start, middle))
                start, old_root_is_known = middle, False
        if not old_root_is_known:
            path.append(self._range(start, end))
        return tuple(reversed(path))


def _check_hashes(path: Sequence[bytes]) -> bool:
    return len(path) <= MAX_PATH_HASHES and all(len(value) == HASH_BYTES for value in path)


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes
) -> None:
    """Return if a leaf stands at `index` of the tree with this root (RFC 9162, 2.1.3.2).

    Parameters
    ----------
    leaf
        Leaf hash, 32 bytes.
    index, size
        Place of the leaf, number of leaves.
    path
        Audit path, hashes of 32 bytes.
    root
        Root hash of a verified checkpoint.

    Raises
    ------
    InclusionError
        The path does not lead to the root.
    """
    if not 0 <= index < size or not _check_hashes(path):
        raise InclusionError("the inclusion proof is malformed")
    first, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise InclusionError("the inclusion proof is too long for the tree")
        if first & 1 or first == last:
            value = node_hash(sibling, value)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            value = node_hash(value, sibling)
        first >>= 1
        last >>= 1
    if last:
        raise InclusionError("the inclusion proof is too short for the tree")
    if not hmac.compare_digest(value, root):
        raise InclusionError("the inclusion proof does not lead to the root of the checkpoint")


def _fold_consistency(
    first: int, last: int, path: Sequence[bytes], start: bytes
) -> tuple[bytes, bytes]:
    """Return the old and the new root that a consistency proof leads to."""
    old = new = start
    for sibling in path:
        if last == 0:
            raise ConsistencyError("the consistency proof is too long for the trees")
        if first & 1 or first == last:
            old = node_hash(sibling, old)
            new = node_hash(sibling, new)
            while not first & 1 and first:
                first >>= 1
                last >>= 1
        else:
            new = node_hash(new, sibling)
        first >>= 1
        last >>= 1
    if last:
        raise ConsistencyError("the consistency proof is too short for the trees")
    return old, new


def verify_consistency(
    old_size: int, new_size: int, path: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Return if the newer tree continues the older one (RFC 9162, 2.1.4.2).

    Parameters
    ----------
    old_size, new_size
        Numbers of leaves; equal sizes and an empty older tree need an empty path.
    path
        Consistency proof, hashes of 32 bytes.
    old_root, new_root
        Root hashes of two verified checkpoints.

    Raises
    ------
    ConsistencyError
        The newer tree does not contain the older one as its beginning.
    """
    if not 0 <= old_size <= new_size or not _check_hashes(path):
        raise ConsistencyError("the newer tree is smaller, or the proof is malformed")
    if old_size in (0, new_size):
        expected = new_root if old_size else EMPTY_ROOT
        if path or not hmac.compare_digest(expected, old_root):
            raise ConsistencyError("two trees of one size, or an empty tree, differ")
        return
    if not path:
        raise ConsistencyError("the consistency proof is empty")
    # 1. An older tree that is one complete subtree is itself the start of the proof.
    start, rest = (old_root, path) if old_size.bit_count() == 1 else (path[0], path[1:])
    # 2. Skip the levels on which the older tree ends with a complete subtree.
    first, last = old_size - 1, new_size - 1
    while first & 1:
        first >>= 1
        last >>= 1
    # 3. Both roots must come out.
    old, new = _fold_consistency(first, last, rest, start)
    if not (hmac.compare_digest(old, old_root) and hmac.compare_digest(new, new_root)):
        raise ConsistencyError("the newer tree does not continue the older one")
