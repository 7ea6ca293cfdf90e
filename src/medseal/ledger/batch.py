"""One transaction of the embedded ledger: many requests, one signature, one fsync."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.events import Event
from medseal.ledger.growth import Growth
from medseal.ledger.merkle import Frontier, leaf_hash
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
    paths
        Inclusion path of each of its entries in the tree after it.
    """

    start: int
    checkpoint: Checkpoint
    paths: Sequence[tuple[bytes, ...]]

    def receipt(self, position: int, leaf: bytes) -> Receipt:
        """Return the receipt of an entry of this transaction."""
        path = self.paths[position - self.start]
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
        self.before = frontier
        self.leaves: list[bytes] = []
        self.hashes: list[bytes] = []
        self.places: dict[bytes, int] = {}
        self.access: Changes = {}

    def add(self, request: Request) -> None:
        """Take in a request, or note on it why its events are refused."""
        stored = self.log.find_many(request.hashes)
        staged: dict[bytes, int] = {}
        fresh: list[bytes] = []
        overlay = _Overlay(self.log, self.access)
        positions = []
        end = self.before.size + len(self.leaves)
        for event, leaf, value in zip(request.events, request.leaves, request.hashes, strict=True):
            # Where an equal leaf stands or will stand.
            place = staged.get(value, self.places.get(value, stored.get(value)))
            if place is None:
                try:
                    overlay.changes.update(changes(overlay.read, event))
                except (AccessRefusedError, InputError) as error:
                    request.error = error
                    return
                place = staged[value] = end + len(fresh)
                fresh.append(leaf)
            positions.append(place)
        request.positions = positions
        self.access |= overlay.changes
        self.places |= staged
        self.leaves += fresh
        self.hashes += staged

    def store(self) -> Growth:
        """Write entries, hashes and rights; return how the tree grows."""
        growth = Growth(self.before, self.hashes)
        self.log.insert(self.before.size, self.leaves, self.hashes, growth.completed())
        self.log.store_access(self.access)
        return growth


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
