"""Fees of transactions, and signed transactions ready to be stored and sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from medseal.errors import InputError
from medseal.ledger.ethereum.answers import Fees
from medseal.ledger.ethereum.signer import TransactionSigner
from medseal.ledger.events import now_ms
from medseal.ledger.item import SignedTransaction

__all__ = ["GAS_LIMIT", "FeePolicy", "signed_transaction"]

# Three times what the dearest call takes; what is not used costs nothing.
GAS_LIMIT = 200_000
# Nodes replace a waiting transaction for a fee at least a tenth higher.
_BUMP_PERCENT = 25


@dataclass(frozen=True, slots=True, kw_only=True)
class FeePolicy:
    """What may be paid for a unit of gas; on a network without fees nothing is.

    Attributes
    ----------
    max_price_wei
        Most that a unit of gas may cost; what is dearer waits. 100 gwei unless given; 0 for a
        network without fees, where nodes may propose some all the same.
    bump_seconds
        A transaction that waits for longer is signed anew, under the same number, for a higher
        fee. Above 0.
    """

    max_price_wei: int = 100_000_000_000
    bump_seconds: float = 60.0

    def __post_init__(self) -> None:
        if self.max_price_wei < 0 or not self.bump_seconds > 0:
            raise InputError("a fee policy has a price from 0 on and seconds above 0")

    def price(self, fees: Fees, *, above: int | None = None) -> int | None:
        """Return what a unit of gas may cost now; None when that is more than the limit.

        Parameters
        ----------
        fees
            What the node says.
        above
            Price of the transaction that is to be replaced; None for a first one.
        """
        if fees.base_fee_wei is None:
            price = fees.gas_price_wei
        else:
            # Twice the base fee outlasts six full blocks, each an eighth dearer than the last;
            # less than that will do, and so will no tip.
            price = 2 * fees.base_fee_wei + fees.priority_fee_wei
            price = max(fees.base_fee_wei, min(price, self.max_price_wei))
        if above is not None:
            price = max(price, above + above * _BUMP_PERCENT // 100 + 1)
        return price if price <= self.max_price_wei else None


def fee_fields(fees: Fees, price: int, *, is_bump: bool = False) -> Mapping[str, int]:
    """Return the fields of a transaction that say what it pays."""
    if fees.base_fee_wei is None:
        return {"gasPrice": price}
    # A replacement has to raise both parts.
    priority = price if is_bump else min(price, fees.priority_fee_wei)
    return {"type": 2, "maxFeePerGas": price, "maxPriorityFeePerGas": priority}


def signed_transaction(
    signer: TransactionSigner, call: Mapping[str, Any], fees: Fees, price: int, *, is_bump: bool
) -> SignedTransaction:
    """Return a call of the contract, signed.

    Parameters
    ----------
    signer
        Who sends it.
    call
        ``chainId``, ``nonce``, ``to`` and ``data``; ``gas``, `GAS_LIMIT` unless given.
    fees, price
        What the node says, and what a unit of gas may cost.
    is_bump
        Whether it replaces another of the same number.
    """
    fields = {"gas": GAS_LIMIT} | dict(call) | {"value": 0}
    raw = signer.sign(fields | dict(fee_fields(fees, price, is_bump=is_bump)))
    return SignedTransaction(
        hash="0x" + keccak(raw).hex(),
        account=signer.account,
        nonce=call["nonce"],
        raw=raw,
        price=price,
        at_ms=now_ms(),
    )
