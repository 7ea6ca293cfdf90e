"""What a contract says about anchored heads of logs."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Anchored", "ChainAnchor"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainAnchor:
    """What the contract holds about a root.

    Attributes
    ----------
    size
        Number of entries of the log under it.
    sequence
        Number of the anchor, from 1.
    timestamp
        Seconds since 1970 UTC of its block.
    """

    size: int
    sequence: int
    timestamp: int


class Anchored(NamedTuple):
    """One anchor, as a transaction has written it.

    Attributes
    ----------
    root, size
        Head of the log.
    sequence
        Number of the anchor, from 1.
    head
        Digest that chains all anchors up to this one.
    account
        Gateway that anchored it.
    """

    root: bytes
    size: int
    sequence: int
    head: bytes
    account: str
