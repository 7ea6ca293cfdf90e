"""Online verification of an anchor: what is true is confirmed, and every lie is named."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medseal.errors import AnchorError, ChainMismatchError, InputError, NodeError, UnreachableError
from medseal.ledger import (
    Anchor,
    EmbeddedLedger,
    Event,
    EventKind,
    Receipt,
    SigningKey,
    check_anchor,
    genesis_event,
    verify,
)
from medseal.ledger.ethereum.codec import anchor_call
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.proof import AnchorCheck
from medseal.ledger.ethereum.rpc import Node
from tests.ledger.ethereum.chain import carry_out, deployed, signer
from tests.ledger.ethereum.liar import Lie, changed, error, liar_url, result, start_liar
from tests.ledger.ethereum.nodes import NodeProcess, free_port, start_anvil

CHAIN = 31337
OWNER = signer(0).account
KEY = SigningKey(name="medseal.example/proof", seed=bytes(range(32)))
OTHER_HASH = "0x" + "ee" * 32


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedLedger]:
    path = tmp_path_factory.mktemp("log") / "ledger.sqlite"
    with EmbeddedLedger(path, signing_key=KEY, create=True) as opened:
        opened.append(genesis_event(OWNER))
        yield opened


def anchored(contract: Contract, log: EmbeddedLedger) -> Receipt:
    """Append an entry, anchor the head of the log, and return the receipt of the entry."""
    receipt = log.append(Event.new(EventKind.SEAL, actor=OWNER, subject="sha256:" + "5a" * 32))
    head = receipt.checkpoint
    sent = carry_out(contract, [anchor_call(head.root, head.size)])
    anchor = Anchor(
        chain_id=CHAIN,
        contract=contract.address,
        transaction=sent.hash,
        block_number=sent.block_number,
        block_hash=sent.block_hash,
    )
    return Receipt.parse(replace(receipt, anchor=anchor).to_bytes())


@pytest.fixture(scope="module")
def contract(anvil: NodeProcess) -> Contract:
    return deployed(anvil)


@pytest.fixture(scope="module")
def receipt(contract: Contract, log: EmbeddedLedger) -> Receipt:
    return anchored(contract, log)


@pytest.fixture
def check(contract: Contract) -> Callable[[Receipt], AnchorCheck]:
    def do(receipt: Receipt) -> AnchorCheck:
        return check_anchor(receipt, contract.node, chain_id=CHAIN, contract=contract.address)

    return do


# --- The truth --------------------------------------------------------------------------------


@pytest.mark.parametrize("process", ["anvil", "anvil_shanghai", "ganache"])
def test_an_anchor_is_confirmed(
    process: str, request: pytest.FixtureRequest, log: EmbeddedLedger
) -> None:
    contract = deployed(request.getfixturevalue(process))
    receipt = anchored(contract, log)
    verify(receipt, KEY.vkey)
    node = contract.node
    upper = contract.address.upper().replace("0X", "0x")
    seen = check_anchor(receipt, node, chain_id=CHAIN, contract=upper)
    assert receipt.anchor is not None
    block = node.block(receipt.anchor.block_number)
    assert block is not None
    assert seen == AnchorCheck(
        confirmations=1,
        sequence=1,
        timestamp=block.timestamp,
        account=OWNER,
        size=receipt.size,
    )
    later = anchored(contract, log)
    assert check_anchor(later, node, chain_id=CHAIN, contract=upper).sequence == 2
    again = check_anchor(receipt, node, chain_id=CHAIN, contract=upper)
    assert (again.sequence, again.confirmations) == (1, 2)


def test_another_anchor_in_the_same_transaction_does_no_harm(
    receipt: Receipt, anvil: NodeProcess
) -> None:
    assert receipt.anchor is not None
    honest = anvil.rpc("eth_getTransactionReceipt", receipt.anchor.transaction)
    other = {**honest["logs"][0]}
    other["topics"] = [other["topics"][0], OTHER_HASH, other["topics"][2]]
    foreign = {**honest["logs"][0], "address": "0x" + "99" * 20}
    lies = {"eth_getTransactionReceipt": changed(logs=[foreign, other, *honest["logs"]])}
    with start_liar(anvil.url, lies) as server:
        node = Node(liar_url(server))
        seen = check_anchor(receipt, node, chain_id=CHAIN, contract=receipt.anchor.contract)
    assert seen.size == receipt.size


# --- Receipts that lie ------------------------------------------------------------------------


def test_a_receipt_without_an_anchor_is_told(
    check: Callable[[Receipt], AnchorCheck], receipt: Receipt
) -> None:
    with pytest.raises(AnchorError, match="holds no anchor: sync the ledger") as caught:
        check(replace(receipt, anchor=None))
    assert caught.value.step == "anchor"


@pytest.mark.parametrize(
    ("change", "step", "message"),
    [
        ({"chain_id": 1}, "chain", "anchored on chain 1, not on 31337"),
        ({"contract": "0x" + "99" * 20}, "contract", "anchored in 0x9999"),
        ({"transaction": OTHER_HASH}, "transaction", "knows no transaction 0xee"),
        ({"block_number": 0}, "block", "the receipt names 0 0x"),
        ({"block_hash": OTHER_HASH}, "block", "the receipt names [0-9]+ 0xee"),
    ],
)
def test_an_anchor_that_points_elsewhere_is_refused(
    check: Callable[[Receipt], AnchorCheck],
    receipt: Receipt,
    change: dict[str, Any],
    step: str,
    message: str,
) -> None:
    assert receipt.anchor is not None
    with pytest.raises(AnchorError, match=message) as caught:
        check(replace(receipt, anchor=replace(receipt.anchor, **change)))
    assert caught.value.step == step


def test_an_anchor_of_another_entry_is_refused(
    check: Callable[[Receipt], AnchorCheck],
    contract: Contract,
    receipt: Receipt,
    log: EmbeddedLedger,
) -> None:
    other = anchored(contract, log)
    with pytest.raises(AnchorError, match="does not anchor the root of the receipt") as caught:
        check(replace(receipt, anchor=other.anchor))
    assert caught.value.step == "event"


def test_the_same_root_over_another_size_is_refused(
    check: Callable[[Receipt], AnchorCheck], receipt: Receipt
) -> None:
    larger = replace(receipt, checkpoint=replace(receipt.checkpoint, size=receipt.size + 1))
    with pytest.raises(AnchorError, match="the root was anchored over") as caught:
        check(larger)
    assert caught.value.step == "event"


def test_a_transaction_that_only_deployed_is_refused(
    contract: Contract, receipt: Receipt, anvil: NodeProcess
) -> None:
    assert receipt.anchor is not None
    # The transaction of another contract's anchor, which says nothing about the pinned one.
    other = deployed(anvil)
    head = receipt.checkpoint
    sent = carry_out(other, [anchor_call(head.root, head.size)])
    anchor = replace(
        receipt.anchor,
        transaction=sent.hash,
        block_number=sent.block_number,
        block_hash=sent.block_hash,
    )
    with pytest.raises(AnchorError, match="does not anchor the root of the receipt"):
        check_anchor(
            replace(receipt, anchor=anchor),
            contract.node,
            chain_id=CHAIN,
            contract=contract.address,
        )


# --- Nodes that lie or have another chain -----------------------------------------------------


def honest_log(anvil: NodeProcess, receipt: Receipt) -> dict[str, Any]:
    assert receipt.anchor is not None
    (log,) = anvil.rpc("eth_getTransactionReceipt", receipt.anchor.transaction)["logs"]
    return dict(log)


def words(*numbers: int) -> str:
    return "0x" + "".join(f"{number:064x}" for number in numbers)


NODE_LIES: list[tuple[dict[str, Lie], str, str]] = [
    ({"eth_getTransactionReceipt": result(None)}, "transaction", "knows no transaction"),
    (
        {"eth_getTransactionReceipt": changed(transactionHash=OTHER_HASH)},
        "transaction",
        "answered with another transaction",
    ),
    ({"eth_getTransactionReceipt": changed(status="0x0")}, "status", "the contract refused"),
    ({"eth_getTransactionReceipt": changed(blockHash=OTHER_HASH)}, "block", "is in block"),
    ({"eth_getTransactionReceipt": changed(blockNumber="0x1")}, "block", "is in block 1"),
    ({"eth_getTransactionReceipt": changed(logs=[])}, "event", "does not anchor the root"),
    ({"eth_getBlockByNumber": result(None)}, "block", "is another one now"),
    ({"eth_getBlockByNumber": changed(hash=OTHER_HASH)}, "block", "is another one now"),
    ({"eth_getBlockByNumber": changed(timestamp="0x1")}, "registry", "as another anchor"),
    ({"eth_call": result(words(0, 0, 0))}, "registry", "does not hold the root"),
    ({"eth_call": result(words(2**40, 1, 1))}, "registry", "as another anchor"),
]


@pytest.mark.parametrize(("lies", "step", "message"), NODE_LIES)
def test_a_chain_that_holds_something_else_is_refused(
    receipt: Receipt,
    contract: Contract,
    anvil: NodeProcess,
    lies: dict[str, Lie],
    step: str,
    message: str,
) -> None:
    with start_liar(anvil.url, lies) as server:
        node = Node(liar_url(server))
        with pytest.raises(AnchorError, match=message) as caught:
            check_anchor(receipt, node, chain_id=CHAIN, contract=contract.address)
    assert caught.value.step == step
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("sequence", [0, 2, 99])
def test_another_number_of_the_anchor_is_refused(
    receipt: Receipt, contract: Contract, anvil: NodeProcess, sequence: int
) -> None:
    log = honest_log(anvil, receipt)
    data = log["data"][:66] + f"{sequence:064x}" + log["data"][130:]
    lies = {"eth_getTransactionReceipt": changed(logs=[{**log, "data": data}])}
    with start_liar(anvil.url, lies) as server:
        node = Node(liar_url(server))
        with pytest.raises(AnchorError, match="as another anchor"):
            check_anchor(receipt, node, chain_id=CHAIN, contract=contract.address)


def test_an_event_of_another_contract_is_no_anchor(
    receipt: Receipt, contract: Contract, anvil: NodeProcess
) -> None:
    log = {**honest_log(anvil, receipt), "address": "0x" + "99" * 20}
    with start_liar(anvil.url, {"eth_getTransactionReceipt": changed(logs=[log])}) as server:
        node = Node(liar_url(server))
        with pytest.raises(AnchorError, match="does not anchor the root"):
            check_anchor(receipt, node, chain_id=CHAIN, contract=contract.address)


MISMATCHES: list[tuple[dict[str, Lie], str]] = [
    ({"eth_chainId": result("0x1")}, "serves chain 1"),
    ({"eth_getCode": result("0x")}, "no contract stands at"),
    ({"eth_getCode": result("0x6001")}, "has other code"),
    ({"eth_call": result("0x")}, "does not answer as the contract does"),
    ({"eth_call": error(3, "execution reverted")}, "does not answer as the contract does"),
]


@pytest.mark.parametrize(("lies", "message"), MISMATCHES)
def test_another_chain_or_contract_is_refused(
    receipt: Receipt,
    contract: Contract,
    anvil: NodeProcess,
    lies: dict[str, Lie],
    message: str,
) -> None:
    with start_liar(anvil.url, lies) as server:
        node = Node(liar_url(server))
        with pytest.raises(ChainMismatchError, match=message):
            check_anchor(receipt, node, chain_id=CHAIN, contract=contract.address)


@pytest.mark.parametrize(
    "method",
    ["eth_chainId", "eth_getCode", "eth_getTransactionReceipt", "eth_getBlockByNumber", "eth_call"],
)
def test_a_node_that_cannot_tell_confirms_nothing(
    receipt: Receipt, contract: Contract, anvil: NodeProcess, method: str
) -> None:
    for lie in (error(-32000, "not now"), result(7), result("0x")):
        with start_liar(anvil.url, {method: lie}) as server:
            node = Node(liar_url(server))
            with pytest.raises((NodeError, ChainMismatchError), match=r"\w"):
                check_anchor(receipt, node, chain_id=CHAIN, contract=contract.address)


def test_a_node_that_is_away_confirms_nothing(receipt: Receipt, contract: Contract) -> None:
    away = Node(f"http://127.0.0.1:{free_port()}", attempts=1)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        check_anchor(receipt, away, chain_id=CHAIN, contract=contract.address)


def test_a_head_behind_the_anchor_confirms_nothing(
    receipt: Receipt, contract: Contract, anvil: NodeProcess
) -> None:
    with start_liar(anvil.url, {"eth_blockNumber": result("0x0")}) as server:
        node = Node(liar_url(server))
        with pytest.raises(UnreachableError, match="went back behind the block"):
            check_anchor(receipt, node, chain_id=CHAIN, contract=contract.address)


def test_a_malformed_pin_is_refused(receipt: Receipt, contract: Contract) -> None:
    assert receipt.anchor is not None
    with pytest.raises(AnchorError, match="not in 0x12"):
        check_anchor(receipt, contract.node, chain_id=CHAIN, contract="0x12")
    with pytest.raises(InputError, match="an address is 0x and 40"):
        Contract(contract.node, "0x12")


# --- Chains that change -----------------------------------------------------------------------


def test_an_anchor_in_a_branch_that_was_given_up_is_refused(tmp_path: Path) -> None:
    with (
        start_anvil() as process,
        EmbeddedLedger(tmp_path / "log.sqlite", signing_key=KEY, create=True) as log,
    ):
        log.append(genesis_event(OWNER))
        contract = deployed(process)
        receipt = anchored(contract, log)
        node, pins = contract.node, {"chain_id": CHAIN, "contract": contract.address}
        assert check_anchor(receipt, node, **pins).confirmations == 1
        # The last block is replaced by an empty one.
        process.rpc("anvil_reorg", 1, [])
        with pytest.raises(AnchorError, match="knows no transaction") as caught:
            check_anchor(receipt, node, **pins)
        assert caught.value.step == "transaction"
        # Anchored anew, the old receipt still names the old block.
        again = anchored(contract, log)
        assert check_anchor(again, node, **pins).sequence == 1
        with pytest.raises(AnchorError, match=r"knows no transaction|the receipt names"):
            check_anchor(receipt, node, **pins)


def test_the_file_of_a_receipt_is_checked_like_the_receipt(
    check: Callable[[Receipt], AnchorCheck], receipt: Receipt, tmp_path: Path
) -> None:
    path = tmp_path / "receipt.txt"
    path.write_bytes(receipt.to_bytes())
    assert check(Receipt.parse(path.read_bytes())) == check(receipt)
