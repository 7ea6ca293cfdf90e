"""One transaction of the embedded ledger: many requests, one signature, one fsync."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.events import Event
from medseal.ledger.merkle import Frontier, Tree, leaf_hash
from medseal.ledger.receipt import Receipt
from medseal.ledger.rules import Changes, changes
from medseal.ledger.storage import LogFile

__all__ = ["Batch", "Commit", "Request"]


@dataclass(slots=True, eq=False)
class Request:
    """What one caller wants to append, and what became of it.

    Attributes
    ----------
    events
        In order; all of them or none.
    leaves, hashes
        Bytes and leaf hash of each event.
    commit
        Result of the transaction that took them.
    positions
        Index of each event in the log.
    error
        Why they were refused.
    """

    events: Sequence[Event]
    leaves: list[bytes] = field(init=False)
    hashes: list[bytes] = field(init=False)
    commit: "Commit | None" = field(init=False, default=None)
    positions: list[int] = field(init=False, default_factory=list)
    error: Exception | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.leaves = [event.leaf() for event in self.events]
        self.hashes = [leaf_hash(leaf) for leaf in self.leaves]

    @property
    def is_settled(self) -> bool:
        """Whether a transaction took or refused the request."""
        return self.commit is not None or self.error is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """A durable transaction: enough to make the receipts of its entries without the file.

    Attributes
    ----------
    start
        Size of the log before it.
    checkpoint
        Head after it.
    tree
        Tree after it, over the nodes that proofs of its entries need.
    """

    start: int
    checkpoint: Checkpoint
    tree: Tree

    def receipt(self, position: int, leaf: bytes) -> Receipt:
        """Return the receipt of an entry of this transaction."""
        path = self.tree.inclusion_path(position)
        return Receipt(leaf=leaf, index=position, path=path, checkpoint=self.checkpoint)


class Batch:
    """The entries that a transaction is about to append.

    Parameters
    ----------
    log
        Connection within its write transaction.
    frontier
        Frontier of the stored log; it is not changed.
    """

    def __init__(self, log: LogFile, frontier: Frontier) -> None:
        self.log = log
        self.start = frontier.size
        self.frontier = frontier.copy()
        # Every left sibling on a path of a new entry is in the old frontier or is new itself.
        self.nodes = frontier.nodes()
        self.leaves: list[bytes] = []
        self.hashes: list[bytes] = []
        self.completed: list[bytes] = []
        self.places: dict[bytes, int] = {}
        self.access: Changes = {}

    def add(self, request: Request) -> None:
        """Take in a request, or note on it why its events are refused."""
        staged: dict[bytes, int] = {}
        fresh: list[tuple[bytes, bytes]] = []
        overlay = _Overlay(self.log, self.access)
        positions = []
        for event, leaf, value in zip(request.events, request.leaves, request.hashes, strict=True):
            place = self._known(value, staged)
            if place is None:
                try:
                    overlay.changes.update(changes(overlay.read, event))
                except (AccessRefusedError, InputError) as error:
                    request.error = error
                    return
                place = staged[value] = self.frontier.size + len(fresh)
                fresh.append((leaf, value))
            positions.append(place)
        request.positions = positions
        self.access |= overlay.changes
        self.places |= staged
        self._extend(fresh)

    def _known(self, value: bytes, staged: Mapping[bytes, int]) -> int | None:
        """Return where an equal leaf stands or will stand."""
        place = staged.get(value, self.places.get(value))
        return self.log.find(value) if place is None else place

    def _extend(self, fresh: Sequence[tuple[bytes, bytes]]) -> None:
        for leaf, value in fresh:
            self.nodes[0, self.frontier.size] = value
            for level, index, node in self.frontier.append(value):
                self.nodes[level, index] = node
                self.completed.append(node)
            self.leaves.append(leaf)
            self.hashes.append(value)

    def store(self) -> None:
        """Write entries, hashes and rights."""
        self.log.insert(self.start, self.leaves, self.hashes, self.completed)
        self.log.store_access(self.access)

    def committed(self, checkpoint: Checkpoint) -> Commit:
        """Return the result under a signed head."""
        nodes = self.nodes
        tree = Tree(self.frontier.size, lambda level, index: nodes[level, index])
        return Commit(start=self.start, checkpoint=checkpoint, tree=tree)


class _Overlay:
    """The access state as it would be after the events of one request."""

    def __init__(self, log: LogFile, before: Changes) -> None:
        self.log = log
        self.before = before
        self.changes: Changes = {}

    def read(self, name: str) -> str | None:
        """Return the value of a key."""
        for layer in (self.changes, self.before):
            if name in layer:
                return layer[name]
        return self.log.access(name)
