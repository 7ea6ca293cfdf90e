"""Settings of a network ledger and of its relay."""

from dataclasses import dataclass, field

from medseal.errors import InputError
from medseal.ledger.ethereum.fees import FeePolicy

__all__ = ["NetworkSettings", "RelaySettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RelaySettings:
    """How a relay works.

    Attributes
    ----------
    batch_leaves, batch_seconds
        A batch is closed when it has so many entries, or its first one is so old.
    confirmations
        Blocks above one until it counts as final; 0 where blocks are final at once (QBFT).
    max_in_flight
        Transactions that wait for a block at a time; nodes keep 64 of a sender.
    fees
        What may be paid.
    """

    batch_leaves: int = 1024
    batch_seconds: float = 2.0
    confirmations: int = 0
    max_in_flight: int = 64
    fees: FeePolicy = field(default_factory=FeePolicy)

    def __post_init__(self) -> None:
        if min(self.batch_leaves, self.max_in_flight) < 1 or self.confirmations < 0:
            raise InputError("a batch and the items in flight count from 1, confirmations from 0")
        if not self.batch_seconds >= 0:
            raise InputError("the age of a batch counts seconds from 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSettings:
    """How a network ledger works.

    Attributes
    ----------
    chain_id
        Chain that is expected; asked of the node, or read in the log, unless given.
    relay
        Batches, confirmations, fees.
    timeout_seconds
        Limit of one exchange with the node.
    simulation_seconds
        Limit of the question whether the contract would refuse a change of rights.
    away_seconds
        For how long that question is left out after the node did not answer it.
    poll_seconds
        Pause between two looks at the node while something is under way.
    idle_seconds
        The same while nothing is.
    max_age_seconds
        How long an allowed decision may be used again; the bound by which a use can outlive a
        revocation.
    max_head_age_seconds
        Age of the newest block from which on nothing is allowed; None for a network that makes
        blocks only of transactions.
    """

    chain_id: int | None = None
    relay: RelaySettings = field(default_factory=RelaySettings)
    timeout_seconds: float = 5.0
    simulation_seconds: float = 1.0
    away_seconds: float = 5.0
    poll_seconds: float = 0.1
    idle_seconds: float = 2.0
    max_age_seconds: float = 1.0
    max_head_age_seconds: float | None = 60.0
