"""What a node answers, parsed strictly: blocks, receipts, logs, fees, and its errors by kind."""

import re
from dataclasses import dataclass
from typing import Any

from medseal.errors import (
    GasLimitError,
    InsufficientFundsError,
    NodeError,
    NonceTooLowError,
    RevertedError,
    UnderpricedError,
    UnreachableError,
)

__all__ = [
    "MAX_MESSAGE_CHARS",
    "Block",
    "Fees",
    "Log",
    "Transaction",
    "TxReceipt",
    "error_of",
    "is_known_already",
    "is_range_refusal",
    "parse_block",
    "parse_data",
    "parse_log",
    "parse_quantity",
    "parse_receipt",
    "parse_transaction",
]

MAX_MESSAGE_CHARS = 160
_MAX_REVERT_BYTES = 4096
_MAX_TOPICS = 4
_MAX_RECEIPT_LOGS = 10_000

_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DATA = re.compile(r"0x(?:[0-9a-fA-F]{2})*")
_HASH = re.compile(r"0x[0-9a-fA-F]{64}")
_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Head of a block.

    Attributes
    ----------
    number
        Its place in the chain.
    hash
        ``0x`` and 64 hexadecimal digits.
    timestamp
        Seconds since 1970 UTC.
    gas_limit
        Gas that fits into it.
    base_fee_wei
        Least fee of a unit of gas; None before the London rules.
    """

    number: int
    hash: str
    timestamp: int
    gas_limit: int
    base_fee_wei: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What a contract wrote into a block.

    Attributes
    ----------
    address
        The contract.
    topics
        At most four words of 32 bytes, the first names the event.
    data
        The other words.
    block_number, block_hash, transaction
        Where it stands.
    is_removed
        Whether its block was replaced.
    """

    address: str
    topics: tuple[bytes, ...]
    data: bytes
    block_number: int
    block_hash: str
    transaction: str
    is_removed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TxReceipt:
    """What became of a transaction.

    Attributes
    ----------
    hash
        Of the transaction.
    block_number, block_hash
        Its block.
    status
        1: carried out; 0: refused by the contract, without effect.
    gas_used
        Gas.
    contract
        Address of the contract that it made; None for a call.
    logs
        What was written, in order.
    """

    hash: str
    block_number: int
    block_hash: str
    status: int
    gas_used: int
    contract: str | None
    logs: tuple[Log, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """A transaction that a node knows.

    Attributes
    ----------
    hash
        Its name.
    sender
        Who signed it.
    nonce
        Its number among those of the sender.
    block_number
        Its block; None while it waits for one.
    """

    hash: str
    sender: str
    nonce: int
    block_number: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """What a unit of gas costs at present, in wei.

    Attributes
    ----------
    base_fee_wei
        Burnt with the newest block; None before the London rules, and then only `gas_price_wei`
        counts.
    gas_price_wei
        What the node proposes for a transaction of the old kind.
    priority_fee_wei
        What it proposes on top of the base fee.
    """

    base_fee_wei: int | None
    gas_price_wei: int
    priority_fee_wei: int

    def fields(self) -> dict[str, int]:
        """Return what a transaction says about fees; it outlasts a doubling of the base fee."""
        if self.base_fee_wei is None:
            return {"gasPrice": self.gas_price_wei}
        # A network that takes no fees: whoever sends there need not hold anything.
        priority = min(self.priority_fee_wei, self.gas_price_wei)
        return {
            "type": 2,
            "maxFeePerGas": 2 * self.base_fee_wei + priority,
            "maxPriorityFeePerGas": priority,
        }


# --- Values -----------------------------------------------------------------------------------


def _text(pattern: re.Pattern[str], value: Any, what: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise NodeError(f"the node answered with something that is no {what}")
    return value.lower()


def parse_quantity(value: Any) -> int:
    """Return a number of at most 256 bits; raise `NodeError` for anything else."""
    return int(_text(_QUANTITY, value, "number"), 16)


def parse_data(value: Any) -> bytes:
    """Return bytes written in hexadecimal; raise `NodeError` for anything else."""
    return bytes.fromhex(_text(_DATA, value, "data")[2:])


def _optional_quantity(value: Any) -> int | None:
    return None if value is None else parse_quantity(value)


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NodeError(f"the node answered with something that is no {what}")
    return value


def parse_block(value: Any) -> Block | None:
    """Return a block; None for none, `NodeError` for something malformed.

    Extra data are not looked at: those of proof of authority are longer than the standard has it.
    """
    if value is None:
        return None
    fields = _mapping(value, "block")
    return Block(
        number=parse_quantity(fields.get("number")),
        hash=_text(_HASH, fields.get("hash"), "hash"),
        timestamp=parse_quantity(fields.get("timestamp")),
        gas_limit=parse_quantity(fields.get("gasLimit")),
        base_fee_wei=_optional_quantity(fields.get("baseFeePerGas")),
    )


def parse_log(value: Any) -> Log:
    """Return a log; raise `NodeError` for something malformed."""
    fields = _mapping(value, "log")
    topics = fields.get("topics")
    if not isinstance(topics, list) or len(topics) > _MAX_TOPICS:
        raise NodeError("the node answered with a log without topics")
    return Log(
        address=_text(_ADDRESS, fields.get("address"), "address"),
        topics=tuple(bytes.fromhex(_text(_HASH, topic, "topic")[2:]) for topic in topics),
        data=parse_data(fields.get("data")),
        block_number=parse_quantity(fields.get("blockNumber")),
        block_hash=_text(_HASH, fields.get("blockHash"), "hash"),
        transaction=_text(_HASH, fields.get("transactionHash"), "hash"),
        is_removed=fields.get("removed") is True,
    )


def parse_receipt(value: Any) -> TxReceipt | None:
    """Return a receipt; None for none, `NodeError` for something malformed."""
    if value is None:
        return None
    fields = _mapping(value, "receipt")
    logs = fields.get("logs")
    if not isinstance(logs, list) or len(logs) > _MAX_RECEIPT_LOGS:
        raise NodeError("the node answered with a receipt without logs")
    contract = fields.get("contractAddress")
    return TxReceipt(
        hash=_text(_HASH, fields.get("transactionHash"), "hash"),
        block_number=parse_quantity(fields.get("blockNumber")),
        block_hash=_text(_HASH, fields.get("blockHash"), "hash"),
        status=parse_quantity(fields.get("status")),
        gas_used=parse_quantity(fields.get("gasUsed")),
        contract=None if contract is None else _text(_ADDRESS, contract, "address"),
        logs=tuple(parse_log(log) for log in logs),
    )


def parse_transaction(value: Any) -> Transaction | None:
    """Return a transaction; None for none, `NodeError` for something malformed."""
    if value is None:
        return None
    fields = _mapping(value, "transaction")
    return Transaction(
        hash=_text(_HASH, fields.get("hash"), "hash"),
        sender=_text(_ADDRESS, fields.get("from"), "address"),
        nonce=parse_quantity(fields.get("nonce")),
        block_number=_optional_quantity(fields.get("blockNumber")),
    )


# --- Errors -----------------------------------------------------------------------------------

# Wording of geth, Besu (RpcErrorType.java), anvil and Ganache; their codes overlap.
_KINDS: tuple[tuple[type[NodeError], re.Pattern[str]], ...] = (
    (NonceTooLowError, re.compile(r"nonce (?:is )?too low|already used nonce")),
    (
        UnderpricedError,
        re.compile(
            r"underpriced|gas price below|max fee per gas less than|fee too low"
            r"|less than the block's basefee|not enough to replace"
        ),
    ),
    (InsufficientFundsError, re.compile(r"insufficient funds|upfront cost exceeds")),
    (
        GasLimitError,
        re.compile(
            r"exceeds (?:the )?block gas limit|exceeds block's gas limit|intrinsic gas too high"
        ),
    ),
)
_KNOWN = re.compile(r"\balready (?:known|imported)|\bknown transaction|same hash was already")
_GANACHE_NONCE = re.compile(r"account has nonce of: ([0-9]{1,18}) tx has nonce of: ([0-9]{1,18})")
_REVERTED = re.compile(r"\brevert")
_RANGE = re.compile(r"\brange|too many (?:results|logs)|more than [0-9]+ (?:results|logs|bytes)")
_REVERT_CODE = 3
# A raw transaction, or whatever else is longer than a hash.
_LONG_HEX = re.compile(r"(?:0x)?[0-9a-fA-F]{65,}")
_HEX_IN_TEXT = re.compile(r"0x(?:[0-9a-fA-F]{2})*")


def error_of(url: str, method: str, error: Any) -> NodeError:
    """Return the typed error of a JSON-RPC error object; its message is bounded and shows no data.

    Parameters
    ----------
    url
        Address to show.
    method
        What was asked.
    error
        The member ``error`` of the answer.
    """
    fields = error if isinstance(error, dict) else {}
    code = fields.get("code")
    code = code if isinstance(code, int) and abs(code) < 1 << 31 else None
    said = str(fields.get("message", ""))[: 16 * MAX_MESSAGE_CHARS]
    message = f"{url} refused {method}: {_presentable(said)}"
    return _kind(said.lower(), code)(message, code=code, data=_revert_data(fields.get("data")))


def _kind(said: str, code: int | None) -> type[NodeError]:
    numbers = _GANACHE_NONCE.search(said)
    if numbers is not None:
        return NonceTooLowError if int(numbers[2]) < int(numbers[1]) else NodeError
    for kind, pattern in _KINDS:
        if pattern.search(said):
            return kind
    return RevertedError if code == _REVERT_CODE or _REVERTED.search(said) else NodeError


def _presentable(said: str) -> str:
    """Return one bounded line without control characters and long hexadecimal data."""
    line = " ".join(_LONG_HEX.sub("...", said).split())
    return "".join(c for c in line if c.isprintable())[:MAX_MESSAGE_CHARS] or "no reason given"


def _revert_data(data: Any) -> bytes:
    """Return what a contract gave as its reason: plain, in an object, or behind a word."""
    if isinstance(data, dict):
        data = data.get("data", data.get("result"))
    if not isinstance(data, str) or len(data) > 4 * _MAX_REVERT_BYTES:
        return b""
    found = _HEX_IN_TEXT.search(data)
    return b"" if found is None else bytes.fromhex(found[0][2:])


def is_known_already(error: NodeError) -> bool:
    """Say whether a node refused a transaction because it has the same one."""
    return _KNOWN.search(str(error).lower()) is not None


def is_range_refusal(error: UnreachableError) -> bool:
    """Say whether fewer blocks might be answered."""
    return _RANGE.search(str(error).lower()) is not None
