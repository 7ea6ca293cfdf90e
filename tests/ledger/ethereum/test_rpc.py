"""A node: anvil and Ganache as they are, and answers that no honest node gives."""

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from medseal.errors import (
    GasLimitError,
    InputError,
    InsufficientFundsError,
    NodeError,
    NonceTooLowError,
    RevertedError,
    UnderpricedError,
    UnreachableError,
)
from medseal.ledger.ethereum.codec import anchor_call
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.ethereum.rpc import MAX_BATCH_REQUESTS, Node, call_request
from medseal.ledger.ethereum.signer import KeySigner
from tests.ledger.ethereum.chain import carry_out, deployed, receipt_of, signer, transaction
from tests.ledger.ethereum.liar import (
    changed,
    error,
    liar_url,
    result,
    start_liar,
    start_raw,
)
from tests.ledger.ethereum.nodes import NodeProcess, free_port, start_anvil

SENDER = 1
OTHER = 2
HASH = "0x" + "ab" * 32
RICH = signer(SENDER).address


@pytest.fixture(scope="module", params=["anvil", "anvil_shanghai", "ganache"])
def process(request: pytest.FixtureRequest) -> NodeProcess:
    made: NodeProcess = request.getfixturevalue(request.param)
    return made


@pytest.fixture
def node(process: NodeProcess) -> Iterator[Node]:
    made = Node(process.url)
    yield made
    made.close()


@pytest.fixture(scope="module")
def contract(anvil: NodeProcess) -> Contract:
    return deployed(anvil)


def signed(node: Node, **fields: Any) -> bytes:
    """Return a transaction that moves one wei."""
    sender = signer(SENDER)
    plain = {"value": 1, "gas": 21_000, **fields}
    return sender.sign(transaction(node, sender, signer(OTHER).address, b"", **plain))


# --- Honest nodes -----------------------------------------------------------------------------


def test_the_chain_is_read(node: Node, process: NodeProcess) -> None:
    assert node.url == process.url
    assert node.chain_id() == 31337
    head = node.block()
    assert head is not None
    assert head.number == node.block_number()
    assert node.block(head.number) == head
    assert node.block(head.number + 1000) is None
    assert node.code(signer(SENDER).address) == b""
    assert node.balance(signer(OTHER).address) > 10**18
    assert node.fees(signer(SENDER).address).fields()["maxFeePerGas"] > 0


def test_a_transaction_travels(node: Node) -> None:
    before = node.nonce(signer(SENDER).address)
    name = node.send(signed(node))
    receipt = receipt_of(node, name)
    assert (receipt.hash, receipt.status, receipt.gas_used) == (name, 1, 21_000)
    block = node.block(receipt.block_number)
    assert block is not None
    assert block.hash == receipt.block_hash
    known = node.transaction(name)
    assert known is not None
    assert (known.sender, known.nonce) == (signer(SENDER).address, before)
    assert known.block_number == receipt.block_number
    assert node.nonce(signer(SENDER).address, "latest") == before + 1


def test_what_is_unknown_is_none(node: Node) -> None:
    assert node.receipt(HASH) is None
    assert node.transaction(HASH) is None


def test_the_same_bytes_may_be_sent_again(node: Node) -> None:
    raw = signed(node)
    name = node.send(raw)
    assert node.send(raw) == name
    receipt_of(node, name)
    nonce = node.nonce(signer(SENDER).address)
    assert node.send(raw) == name
    assert node.nonce(signer(SENDER).address) == nonce


def test_a_number_that_was_used_is_refused(node: Node) -> None:
    for _ in range(2):
        receipt_of(node, node.send(signed(node)))
    # Not 0: Ganache takes that for a number that is still to be chosen.
    used = node.nonce(signer(SENDER).address) - 1
    with pytest.raises(NonceTooLowError, match="nonce"):
        node.send(signed(node, nonce=used, value=7))


def test_what_the_sender_cannot_pay_is_refused(node: Node) -> None:
    with pytest.raises(InsufficientFundsError, match="nsufficient funds"):
        node.send(signed(node, value=10**30))


def test_a_fee_below_that_of_the_block_is_refused(node: Node) -> None:
    with pytest.raises(UnderpricedError, match="less than"):
        node.send(signed(node, maxFeePerGas=1, maxPriorityFeePerGas=1))


def test_more_gas_than_a_block_holds_is_refused(node: Node) -> None:
    with pytest.raises(GasLimitError, match="gas"):
        node.send(signed(node, gas=10**9))


def test_what_is_no_transaction_is_refused(node: Node) -> None:
    with pytest.raises(NodeError, match="refused eth_sendRawTransaction") as caught:
        node.send(b"\2" * 50)
    assert "02" * 40 not in str(caught.value)


def test_a_contract_that_refuses_says_why(node: Node, process: NodeProcess) -> None:
    contract = deployed(process)
    stranger = signer(SENDER).address
    call = anchor_call(b"\7" * 32, 3)
    with pytest.raises(RevertedError, match="revert") as caught:
        node.call(contract.address, call, sender=stranger)
    expected = bytes.fromhex("53ac4f07") + bytes(12) + bytes.fromhex(stranger[2:])
    assert caught.value.data == expected
    with pytest.raises(RevertedError, match="revert") as caught:
        node.estimate({"from": stranger, "to": contract.address, "data": "0x" + call.hex()})
    assert caught.value.data == expected
    asked = {"from": signer(0).address, "to": contract.address, "data": "0x" + call.hex()}
    assert 50_000 < node.estimate(asked) < 120_000


def test_a_batch_keeps_its_order_and_its_errors(node: Node) -> None:
    head = node.block_number()
    asked = [("eth_chainId", ()), ("eth_nothing", ()), call_request(signer(1).address, b"")]
    chain, missing, called, number = node.batch([*asked, ("eth_blockNumber", ())])
    assert (chain, called) == ("0x7a69", "0x")
    assert isinstance(missing, NodeError)
    assert int(number, 16) >= head
    assert node.batch([]) == []


def test_a_long_batch_is_divided(node: Node) -> None:
    head = node.block_number()
    count = 2 * MAX_BATCH_REQUESTS + 7
    asked = [("eth_getBlockByNumber", (hex(number % (head + 1)), False)) for number in range(count)]
    answers = node.batch(asked)
    assert [int(one["number"], 16) for one in answers] == [n % (head + 1) for n in range(count)]


def test_logs_are_found(node: Node, process: NodeProcess) -> None:
    contract = deployed(process)
    roots = [bytes([number]) * 32 for number in range(1, 6)]
    carry_out(contract, [anchor_call(root, 1) for root in roots])
    logs = node.logs(contract.address, ())
    assert [log.topics[1] for log in logs if len(log.topics) == 3] == roots
    assert len(node.logs(contract.address, (None, roots[2]))) == 1
    assert node.logs(contract.address, (None, b"\xff" * 32)) == []
    last = logs[-1].block_number
    assert len(node.logs(contract.address, (), last)) == 1
    assert node.logs(contract.address, (), last + 1) == []
    assert len(node.logs(contract.address, (), 0, last)) == len(logs)


# --- Failures on the way ----------------------------------------------------------------------


class Pauses:
    """Takes down between which limits a pause was drawn, and draws none."""

    def __init__(self) -> None:
        self.limits: list[tuple[float, float]] = []

    def __call__(self, low: float, high: float) -> float:
        self.limits.append((low, high))
        return 0.0


def test_a_node_that_is_away_is_asked_again_with_growing_jitter() -> None:
    pauses = Pauses()
    node = Node(f"http://127.0.0.1:{free_port()}", attempts=7, uniform=pauses)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        node.chain_id()
    assert pauses.limits == [(0, 0.2), (0, 0.4), (0, 0.8), (0, 1.6), (0, 2.0), (0, 2.0)]


def test_a_node_that_comes_back_is_reached() -> None:
    failures = iter([b"", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"])
    honest = b'{"jsonrpc":"2.0","id":0,"result":"0x5"}'
    good = f"HTTP/1.1 200 OK\r\nContent-Length: {len(honest)}\r\n\r\n".encode() + honest

    with start_raw(lambda stream: stream.write(next(failures, good))) as url:
        assert Node(url, attempts=3, uniform=Pauses()).chain_id() == 5


def test_an_error_of_the_node_is_not_asked_for_again(anvil: NodeProcess) -> None:
    with start_liar(anvil.url, {"eth_chainId": error(-32000, "no")}) as server:
        node = Node(liar_url(server))
        with pytest.raises(NodeError, match="refused eth_chainId: no"):
            node.chain_id()
        assert len(server.requests) == 1


def test_a_refused_login_is_not_tried_again() -> None:
    tried: list[int] = []

    def refuse(stream: Any) -> None:
        tried.append(1)
        stream.write(b"HTTP/1.1 401 Who\r\nContent-Length: 0\r\n\r\n")

    with start_raw(refuse) as url:
        node = Node(url, uniform=Pauses())
        with pytest.raises(NodeError, match="refused the login"):
            node.chain_id()
    assert tried == [1]


def test_an_answer_that_was_lost_sends_nothing_twice(anvil: NodeProcess) -> None:
    lost: list[int] = []

    def lose(_params: list[Any], honest: dict[str, Any]) -> dict[str, Any]:
        if not lost:
            lost.append(1)
            raise ConnectionError
        return {name: honest[name] for name in ("result", "error") if name in honest}

    direct = Node(anvil.url)
    raw = signed(direct)
    before = direct.nonce(signer(SENDER).address)
    with start_liar(anvil.url, {"eth_sendRawTransaction": lose}) as server:
        name = Node(liar_url(server), uniform=Pauses()).send(raw)
    assert receipt_of(direct, name).status == 1
    assert direct.nonce(signer(SENDER).address) == before + 1


def test_it_is_shared_by_threads(anvil: NodeProcess) -> None:
    node = Node(anvil.url)
    seen: list[list[Any]] = []

    def ask() -> None:
        for number in range(20):
            seen.append(node.batch([("eth_chainId", ()), ("web3_sha3", (hex(number + 16),))]))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 120
    assert {chain for chain, _ in seen} == {"0x7a69"}
    assert len({digest for _, digest in seen}) == 20


# --- Answers that no honest node gives --------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "no JSON"),
        (b"\xff\xfe", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b"[]", "no JSON-RPC"),
        (b'"0x1"', "no JSON-RPC"),
        (b"null", "no JSON-RPC"),
        (b"{}", "without a result"),
        (b'{"result":7}', "no number"),
        (b'{"result":null}', "no number"),
        (b'{"error":"bad","result":"0x1"}', "refused eth_chainId: no reason given"),
    ],
)
def test_an_answer_that_is_none_is_refused(body: bytes, message: str) -> None:
    answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    with (
        start_raw(lambda stream: stream.write(answer)) as url,
        pytest.raises(NodeError, match=message),
    ):
        Node(url).chain_id()


def test_a_hash_that_is_not_that_of_the_bytes_is_refused(anvil: NodeProcess) -> None:
    raw = signed(Node(anvil.url))
    with (
        start_liar(anvil.url, {"eth_sendRawTransaction": result(HASH)}) as server,
        pytest.raises(NodeError, match="by another hash than its own"),
    ):
        Node(liar_url(server)).send(raw)


def test_a_number_taken_by_another_transaction_is_told_from_our_own(anvil: NodeProcess) -> None:
    lies = {
        "eth_sendRawTransaction": error(-32001, "Nonce too low"),
        "eth_getTransactionByHash": result(None),
    }
    with (
        start_liar(anvil.url, lies) as server,
        pytest.raises(NonceTooLowError, match="Nonce too low"),
    ):
        Node(liar_url(server)).send(signed(Node(anvil.url)))


@pytest.mark.parametrize(
    ("turn", "message"),
    [
        (lambda answers: answers[:-1], "left a batch of requests incomplete"),
        (lambda answers: [*answers, answers[0]], "left a batch of requests incomplete"),
        (lambda _answers: {"error": {"code": -32005, "message": "too many"}}, "a batch: too many"),
        (lambda _answers: "0x1", "incomplete"),
        (lambda answers: [{"result": "0x1"}, *answers[1:]], "without its numbers"),
        (lambda answers: [7, *answers[1:]], "without its numbers"),
    ],
)
def test_a_batch_that_is_none_is_refused(anvil: NodeProcess, turn: Any, message: str) -> None:
    with (
        start_liar(anvil.url, {}, turn=turn) as server,
        pytest.raises(NodeError, match=message),
    ):
        Node(liar_url(server)).batch([("eth_chainId", ()), ("eth_blockNumber", ())])


def test_answers_to_a_batch_may_come_in_any_order(anvil: NodeProcess) -> None:
    with start_liar(anvil.url, {}, turn=lambda answers: answers[::-1]) as server:
        asked = [("eth_chainId", ()), ("web3_clientVersion", ()), ("net_version", ())]
        chain, version, network = Node(liar_url(server)).batch(asked)
    assert (chain, network) == ("0x7a69", "31337")
    assert "anvil" in version


def test_a_long_range_of_logs_is_halved(contract: Contract, anvil: NodeProcess) -> None:
    carry_out(contract, [anchor_call(bytes([number]) * 32, 1) for number in range(20, 30)])

    def short_only(params: list[Any], honest: dict[str, Any]) -> dict[str, Any]:
        first, last = (int(params[0][name], 16) for name in ("fromBlock", "toBlock"))
        if last - first < 4:
            return {"result": honest["result"]}
        # Besu
        message = "Requested range exceeds maximum RPC range limit"
        return {"error": {"code": -32005, "message": message}}

    with start_liar(anvil.url, {"eth_getLogs": short_only}) as server:
        found = Node(liar_url(server)).logs(contract.address, ())
    assert found == contract.node.logs(contract.address, ())
    assert len(found) >= 10


def test_a_node_that_refuses_even_one_block_is_refused(
    contract: Contract, anvil: NodeProcess
) -> None:
    with (
        start_liar(anvil.url, {"eth_getLogs": error(-32005, "range too long")}) as server,
        pytest.raises(NodeError, match="range too long"),
    ):
        Node(liar_url(server)).logs(contract.address, (), 0, 2)


def test_logs_of_a_block_that_was_replaced_are_left_out(
    contract: Contract, anvil: NodeProcess
) -> None:
    def removed(_params: list[Any], honest: dict[str, Any]) -> dict[str, Any]:
        return {"result": [{**log, "removed": True} for log in honest["result"]]}

    with start_liar(anvil.url, {"eth_getLogs": removed}) as server:
        assert Node(liar_url(server)).logs(contract.address, ()) == []
    with (
        start_liar(anvil.url, {"eth_getLogs": result({})}) as server,
        pytest.raises(NodeError, match="without a list"),
    ):
        Node(liar_url(server)).logs(contract.address, ())


def test_a_block_with_the_long_extra_data_of_clique_is_read(anvil: NodeProcess) -> None:
    lies = {"eth_getBlockByNumber": changed(extraData="0x" + "d8" * 97)}
    with start_liar(anvil.url, lies) as server:
        assert Node(liar_url(server)).block(0) == Node(anvil.url).block(0)


@pytest.mark.parametrize("code", [-32601, -32604])
def test_a_node_without_priority_fees_has_none(anvil: NodeProcess, code: int) -> None:
    with start_liar(anvil.url, {"eth_maxPriorityFeePerGas": error(code, "what?")}) as server:
        assert Node(liar_url(server)).fees(RICH).priority_fee_wei == 0


@pytest.mark.parametrize("method", ["eth_gasPrice", "eth_maxPriorityFeePerGas"])
def test_fees_that_a_node_does_not_tell_are_not_guessed(anvil: NodeProcess, method: str) -> None:
    with (
        start_liar(anvil.url, {method: error(-32000, "not now")}) as server,
        pytest.raises(NodeError, match="not now"),
    ):
        Node(liar_url(server)).fees(RICH)


def test_nobody_needs_coins_on_a_network_without_fees() -> None:
    with start_anvil(extra=("--base-fee", "0")) as process:
        node, poor = Node(process.url), KeySigner.generate()
        proposed = node.fees(poor.address)
        assert (proposed.base_fee_wei, proposed.gas_price_wei, proposed.priority_fee_wei) == (
            0,
            0,
            0,
        )
        assert node.fees(RICH).gas_price_wei > 0
        assert Contract.deploy(node, poor).owner() == poor.account


# --- Secrets and limits -----------------------------------------------------------------------


def test_neither_logs_nor_errors_show_the_login(
    anvil: NodeProcess, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = anvil.url.replace("http://", "http://clinic:hunter2@") + "/?key=hunter2"
    node = Node(url)
    raw = signed(node)
    name = node.send(raw)
    with pytest.raises(NodeError, match="refused eth_nothing") as caught:
        node.request("eth_nothing", "x")
    node.batch([("eth_chainId", ())])
    shown = caplog.text + repr(node) + str(caught.value) + repr(caught.value) + str(node.provider)
    assert name in caplog.text
    assert "hunter2" not in shown
    assert "clinic" not in shown
    assert raw.hex() not in shown


def test_other_limits_share_the_connections(anvil: NodeProcess) -> None:
    node = Node(anvil.url)
    node.chain_id()
    quick = node.with_limits(timeout_seconds=0.5, attempts=1)
    assert quick.chain_id() == 31337
    assert quick._transport is node._transport
    assert len(node._transport._idle) == 1
    assert (quick.losses, repr(quick)) == (0, f"Node({anvil.url})")


@pytest.mark.parametrize(
    "limits", [{"timeout_seconds": 0}, {"timeout_seconds": -1}, {"attempts": 0}]
)
def test_useless_limits_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="a time limit above 0 and at least one attempt"):
        Node("http://127.0.0.1:1", **limits)
