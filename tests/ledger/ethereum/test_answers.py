"""What nodes answer, parsed: honest forms, malformed ones, and errors in each node's words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import (
    GasLimitError,
    InsufficientFundsError,
    NodeError,
    NonceTooLowError,
    RevertedError,
    UnderpricedError,
)
from medseal.ledger.ethereum.answers import (
    MAX_MESSAGE_CHARS,
    Fees,
    error_of,
    is_known_already,
    is_range_refusal,
    parse_block,
    parse_data,
    parse_log,
    parse_quantity,
    parse_receipt,
    parse_transaction,
)

URL = "http://node.example:8545"
HASH = "0x" + "aB" * 32
ADDRESS = "0x" + "Cd" * 20

BLOCK = {
    "number": "0x10",
    "hash": HASH,
    "timestamp": "0x65000000",
    "gasLimit": "0x1c9c380",
    "baseFeePerGas": "0x7",
    # Clique: 32 bytes of vanity and 65 of seal, where the standard has at most 32.
    "extraData": "0x" + "00" * 97,
}
LOG = {
    "address": ADDRESS,
    "topics": [HASH, "0x" + "00" * 32],
    "data": "0x0102",
    "blockNumber": "0x10",
    "blockHash": HASH,
    "transactionHash": HASH,
    "removed": False,
}
RECEIPT = {
    "transactionHash": HASH,
    "blockNumber": "0x10",
    "blockHash": HASH,
    "status": "0x1",
    "gasUsed": "0x5208",
    "contractAddress": None,
    "logs": [LOG],
}
TRANSACTION = {"hash": HASH, "from": ADDRESS, "nonce": "0x2", "blockNumber": None}


@given(st.integers(0, 2**256 - 1))
def test_a_number_comes_back(value: int) -> None:
    assert parse_quantity(hex(value)) == value


@pytest.mark.parametrize(
    "value", [None, 5, "", "0x", "5", "0xg", "0x" + "1" * 65, "0x1\n", "-0x1", True]
)
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(NodeError, match="no number"):
        parse_quantity(value)


@given(st.binary(max_size=100))
def test_data_come_back(value: bytes) -> None:
    assert parse_data("0x" + value.hex()) == value


@pytest.mark.parametrize("value", [None, b"", "", "0x1", "0xzz", ["0x"]])
def test_what_is_no_data_is_refused(value: object) -> None:
    with pytest.raises(NodeError, match="no data"):
        parse_data(value)


def test_a_block_with_long_extra_data_is_read() -> None:
    block = parse_block(BLOCK)
    assert block is not None
    assert (block.number, block.hash, block.timestamp) == (16, HASH.lower(), 0x65000000)
    assert (block.gas_limit, block.base_fee_wei) == (30_000_000, 7)
    old = parse_block({k: v for k, v in BLOCK.items() if k != "baseFeePerGas"})
    assert old is not None
    assert old.base_fee_wei is None


def test_a_receipt_is_read() -> None:
    receipt = parse_receipt(RECEIPT)
    assert receipt is not None
    assert (receipt.status, receipt.gas_used, receipt.contract) == (1, 21_000, None)
    (log,) = receipt.logs
    assert log.address == ADDRESS.lower()
    assert log.topics == (bytes.fromhex("ab" * 32), bytes(32))
    assert log.data == b"\1\2"
    assert not log.is_removed
    made = parse_receipt({**RECEIPT, "contractAddress": ADDRESS})
    assert made is not None
    assert made.contract == ADDRESS.lower()


def test_a_transaction_is_read() -> None:
    waiting = parse_transaction(TRANSACTION)
    assert waiting is not None
    assert (waiting.sender, waiting.nonce, waiting.block_number) == (ADDRESS.lower(), 2, None)


def test_nothing_is_none() -> None:
    assert parse_block(None) is parse_receipt(None) is parse_transaction(None) is None


MEMBERS = [
    *((parse_block, BLOCK, name) for name in ("number", "hash", "timestamp", "gasLimit")),
    *((parse_receipt, RECEIPT, name) for name in RECEIPT if name != "contractAddress"),
    *((parse_log, LOG, name) for name in LOG if name != "removed"),
    *((parse_transaction, TRANSACTION, name) for name in ("hash", "from", "nonce")),
]


@pytest.mark.parametrize(("parse", "honest", "field"), MEMBERS)
@pytest.mark.parametrize("lie", [None, 1, "0xnothex", {}, "0x" + "11" * 33 + "1", [7]])
def test_a_malformed_member_is_refused(
    parse: Any, honest: dict[str, Any], field: str, lie: object
) -> None:
    with pytest.raises(NodeError, match="answered with"):
        parse({**honest, field: lie})


@pytest.mark.parametrize("parse", [parse_block, parse_receipt, parse_transaction, parse_log])
@pytest.mark.parametrize("value", ["0x1", 7, []])
def test_what_is_no_object_is_refused(parse: Any, value: object) -> None:
    with pytest.raises(NodeError, match="answered with something that is no"):
        parse(value)


def test_too_many_topics_and_logs_are_refused() -> None:
    with pytest.raises(NodeError, match="log without topics"):
        parse_log({**LOG, "topics": [HASH] * 5})
    with pytest.raises(NodeError, match="receipt without logs"):
        parse_receipt({**RECEIPT, "logs": [LOG] * 10_001})


@pytest.mark.parametrize(
    ("fees", "fields"),
    [
        (Fees(base_fee_wei=None, gas_price_wei=5, priority_fee_wei=0), {"gasPrice": 5}),
        (
            Fees(base_fee_wei=7, gas_price_wei=10, priority_fee_wei=3),
            {"type": 2, "maxFeePerGas": 17, "maxPriorityFeePerGas": 3},
        ),
        # A network without fees whose nodes still propose a priority fee.
        (
            Fees(base_fee_wei=0, gas_price_wei=0, priority_fee_wei=10**9),
            {"type": 2, "maxFeePerGas": 0, "maxPriorityFeePerGas": 0},
        ),
    ],
)
def test_fees_of_a_transaction(fees: Fees, fields: dict[str, int]) -> None:
    assert fees.fields() == fields


# --- Errors -----------------------------------------------------------------------------------

KINDS = [
    # anvil, geth
    (-32003, "nonce too low", NonceTooLowError),
    (-32003, "replacement transaction underpriced", UnderpricedError),
    (-32003, "transaction underpriced", UnderpricedError),
    (-32003, "max fee per gas less than block base fee", UnderpricedError),
    (-32003, "Insufficient funds for gas * price + value", InsufficientFundsError),
    (-32000, "intrinsic gas too high -- tx.gas_limit > env.block.gas_limit", GasLimitError),
    (-32000, "exceeds block gas limit", GasLimitError),
    (3, "execution reverted: custom error 0x53ac4f07", RevertedError),
    (-32000, "intrinsic gas too low", NodeError),
    # Besu
    (-32001, "Nonce too low", NonceTooLowError),
    (-32000, "Replacement transaction underpriced", UnderpricedError),
    (-32009, "Gas price below configured minimum gas price", UnderpricedError),
    (-32009, "Gas price below current base fee", UnderpricedError),
    (-32004, "Upfront cost exceeds account balance", InsufficientFundsError),
    (-32005, "Transaction gas limit exceeds block gas limit", GasLimitError),
    (-32000, "Execution reverted", RevertedError),
    (-32006, "Nonce too high", NodeError),
    (-32007, "Sender account not authorized to send transactions", NodeError),
    # Ganache
    (-32000, "VM Exception while processing transaction: revert", RevertedError),
    (
        -32000,
        "the tx doesn't have the correct nonce. account has nonce of: 5 tx has nonce of: 4",
        NonceTooLowError,
    ),
    (
        -32000,
        "the tx doesn't have the correct nonce. account has nonce of: 5 tx has nonce of: 9",
        NodeError,
    ),
    (
        -32000,
        "Transaction's maxFeePerGas (1) is less than the block's baseFeePerGas (586533421)",
        UnderpricedError,
    ),
    # Anything
    (None, "", NodeError),
]


@pytest.mark.parametrize(("code", "message", "kind"), KINDS)
def test_an_error_has_its_kind(code: int | None, message: str, kind: type[NodeError]) -> None:
    error = error_of(URL, "eth_sendRawTransaction", {"code": code, "message": message})
    assert type(error) is kind
    assert error.code == code
    assert str(error).startswith(f"{URL} refused eth_sendRawTransaction: ")


@pytest.mark.parametrize(
    ("message", "is_known"),
    [
        ("already known", True),
        ("transaction already imported", True),
        ("Known transaction", True),
        ("Transaction with the same hash was already imported.", True),
        ("unknown transaction", False),
        ("nonce too low", False),
    ],
)
def test_a_transaction_that_the_node_has(message: str, is_known: bool) -> None:
    error = error_of(URL, "eth_sendRawTransaction", {"code": -32000, "message": message})
    assert is_known_already(error) is is_known


@pytest.mark.parametrize(
    ("message", "is_refused"),
    [
        ("Requested range exceeds maximum RPC range limit", True),
        ("query returned more than 10000 results", True),
        ("too many results", True),
        ("Method not found", False),
    ],
)
def test_a_range_that_is_too_long(message: str, is_refused: bool) -> None:
    url = "http://orange.example:80"
    assert is_range_refusal(error_of(url, "eth_getLogs", {"message": message})) is is_refused


@pytest.mark.parametrize(
    "data",
    [
        "0x53ac4f07" + "00" * 32,
        "Reverted 0x53ac4f07" + "00" * 32,
        {"data": "0x53ac4f07" + "00" * 32},
        {"hash": HASH, "result": "0x53ac4f07" + "00" * 32},
    ],
)
def test_the_reason_of_a_revert_is_found_in_every_form(data: object) -> None:
    error = error_of(URL, "eth_call", {"code": 3, "message": "execution reverted", "data": data})
    assert error.data == bytes.fromhex("53ac4f07") + bytes(32)


@pytest.mark.parametrize("data", [None, 7, "", "no hex", {"result": 5}, "0x" + "00" * 20_000])
def test_a_revert_without_a_reason(data: object) -> None:
    error = error_of(URL, "eth_call", {"code": 3, "message": "execution reverted", "data": data})
    assert isinstance(error, RevertedError)
    assert error.data == b""


@pytest.mark.parametrize(
    "error", [None, 7, "no", [], {"code": "x"}, {"code": 2**40, "message": {}}]
)
def test_a_malformed_error_is_an_error(error: object) -> None:
    made = error_of(URL, "eth_call", error)
    assert type(made) is NodeError
    assert made.code is None


def test_a_message_is_one_bounded_line_without_raw_transactions() -> None:
    raw = "02f8" + "6c" * 200
    said = f"bad\n\x1b[31mthing 0x{raw} and {raw.upper()} " + "x " * 5000
    message = str(error_of(URL, "eth_sendRawTransaction", {"code": 1, "message": said}))
    assert "6c" * 3 not in message.lower()
    assert "bad" in message
    assert message.isprintable()
    assert len(message) <= len(URL) + len(" refused eth_sendRawTransaction: ") + MAX_MESSAGE_CHARS


@given(st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5), st.text())
def test_no_error_breaks_the_parser(data: object, message: str) -> None:
    made = error_of(URL, "eth_call", {"code": 1, "message": message, "data": data})
    assert isinstance(made, NodeError)
    assert len(str(made)) < 300
