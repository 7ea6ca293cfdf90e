"""What waits in an outbox: anchors and calls, their signed transactions, how far an entry is."""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple

__all__ = [
    "ANCHOR_SCOPE",
    "PASSING_REASONS",
    "BlockId",
    "EntryState",
    "Item",
    "ItemKind",
    "NewItem",
    "Settled",
    "SignedTransaction",
    "Stage",
    "State",
]

# Why a contract may refuse now what it takes later without a new event: the gateway gets its role,
# the pause ends.
PASSING_REASONS = frozenset({"not-registrar", "not-clinical", "not-consent-service", "paused"})
# All anchors share one scope.
ANCHOR_SCOPE = "anchor"


class State(StrEnum):
    """How far an entry is."""

    REFUSED = "refused"
    QUEUED = "queued"
    SUBMITTED = "submitted"
    MINED = "mined"
    FINAL = "final"


class Stage(IntEnum):
    """How far an item is; the least of several is that of the entry."""

    REFUSED = 0
    QUEUED = 1
    SUBMITTED = 2
    MINED = 3
    FINAL = 4
    # Nothing has to reach the chain: a later anchor covers it, or it holds here only.
    SKIPPED = 5


class BlockId(NamedTuple):
    """A block: its number, and its hash, ``0x`` and 64 hexadecimal digits."""

    number: int
    hash: str


class ItemKind(IntEnum):
    """What an item brings to the contract."""

    ANCHOR = 0
    CALL = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """Something that has to reach the contract.

    Attributes
    ----------
    kind
        Anchor or change of rights.
    place
        Size of the anchored checkpoint, or index of the entry.
    part
        Number of the call among those of one entry, from 0.
    data
        What the contract is called with.
    scope
        Items of one scope must reach the contract in order.
    """

    kind: ItemKind
    place: int
    part: int = 0
    data: bytes
    scope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item(NewItem):
    """An item and how far it is.

    Attributes
    ----------
    position
        Place in the order of sending, from 1.
    stage
        How far it is.
    detail
        Word that says why, where that is not plain.
    account, nonce
        Sender and number of its newest signed transaction; None before.
    hash, block_number, block_hash
        Transaction that reached a block, and that block; None before.
    """

    position: int
    stage: Stage
    detail: str
    account: str | None
    nonce: int | None
    hash: str | None
    block_number: int | None
    block_hash: str | None

    @property
    def root(self) -> bytes:
        """Root that an anchor brings: the first argument of the call."""
        return self.data[4:36]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """That an item stands in a block.

    Attributes
    ----------
    position
        The item.
    stage
        How far it is now.
    detail
        Word that says why; may be empty.
    hash, block_number, block_hash
        Its transaction, and where that stands.
    """

    position: int
    stage: Stage
    detail: str = ""
    hash: str
    block_number: int
    block_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTransaction:
    """A transaction that was signed for an item; several of one nonce differ in their fee.

    Attributes
    ----------
    hash
        ``0x`` and 64 hexadecimal digits.
    account, nonce
        Sender and its number.
    raw
        Bytes that are sent.
    price
        Most that a unit of gas may cost, in wei.
    at_ms
        When it was signed, milliseconds since 1970 UTC.
    """

    hash: str
    account: str
    nonce: int
    raw: bytes
    price: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryState:
    """How far one entry of the log is.

    Attributes
    ----------
    index
        The entry.
    state
        Of the transaction that brings its change of rights to the contract; for every other entry
        that of the anchor that covers it.
    anchored
        State of the best anchor that covers it.
    detail
        Word that says why, for example ``vanished`` or the reason of a refusal; may be empty.
    transaction, block_number, block_hash
        What `state` rests on; None before a block holds it.
    """

    index: int
    state: State
    anchored: State
    detail: str = ""
    transaction: str | None = None
    block_number: int | None = None
    block_hash: str | None = None
