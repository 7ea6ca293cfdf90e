"""The test nodes do what the tests of the ledger rely on."""

import time
from pathlib import Path

import pytest

from benchmarks import nodes
from tests.ledger.ethereum.nodes import (
    NodeAccount,
    NodeProcess,
    NodeStartError,
    RpcError,
    start_anvil,
    start_ganache,
)

RECEIVER = "0x" + "00" * 19 + "77"


def pay(node: NodeProcess, account: NodeAccount) -> None:
    """Move one wei to a new account; leaves a block behind that a restart may keep or lose."""
    transaction = {"from": account.address, "to": RECEIVER, "value": "0x1", "gas": "0x5208"}
    sent = node.rpc("eth_sendTransaction", transaction)
    deadline = time.monotonic() + 10
    while node.rpc("eth_getTransactionReceipt", sent) is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def balance(node: NodeProcess) -> int:
    return int(node.rpc("eth_getBalance", RECEIVER, "latest"), 16)


@pytest.mark.parametrize("name", ["anvil", "anvil_shanghai", "anvil_blocks", "ganache"])
def test_every_node_has_the_same_rich_accounts(
    name: str, request: pytest.FixtureRequest, accounts: tuple[NodeAccount, ...]
) -> None:
    node: NodeProcess = request.getfixturevalue(name)
    assert [one.lower() for one in node.rpc("eth_accounts")] == [one.address for one in accounts]
    assert node.rpc("eth_chainId") == hex(31337)


def test_blocks_come_each_half_second(anvil_blocks: NodeProcess) -> None:
    first = int(anvil_blocks.rpc("eth_blockNumber"), 16)
    time.sleep(1.2)
    assert 1 <= int(anvil_blocks.rpc("eth_blockNumber"), 16) - first <= 4


@pytest.mark.parametrize(("hardfork", "has_push0"), [("paris", False), ("shanghai", True)])
def test_the_rules_are_those_asked_for(hardfork: str, has_push0: bool) -> None:
    # PUSH0, then an empty return: Shanghai is the first fork that knows it.
    call = {"data": "0x5f5ff3"}
    with start_anvil(hardfork=hardfork) as node:
        if has_push0:
            assert node.rpc("eth_call", call, "latest") == "0x"
        else:
            with pytest.raises(RpcError, match="eth_call"):
                node.rpc("eth_call", call, "latest")


def test_a_kept_chain_survives_a_restart_and_an_empty_one_is_new(
    tmp_path: Path, accounts: tuple[NodeAccount, ...]
) -> None:
    with start_anvil(state=tmp_path / "state.json") as node:
        url = node.url
        pay(node, accounts[0])
        node.restart()
        assert (node.url, balance(node)) == (url, 1)
        node.restart(empty=True)
        assert (node.url, balance(node)) == (url, 0)


def test_a_killed_node_forgets_what_it_has_not_written(
    tmp_path: Path, accounts: tuple[NodeAccount, ...]
) -> None:
    with start_anvil(state=tmp_path / "state.json") as node:
        pay(node, accounts[0])
        node.kill()
        with pytest.raises(OSError, match="refused"):
            node.rpc("eth_chainId")
        node.restart()
        assert balance(node) == 0


def test_a_frozen_node_answers_nothing_and_goes_on_afterwards() -> None:
    with start_anvil() as node:
        node.pause()
        with pytest.raises(OSError, match="timed out"):
            node.rpc("eth_chainId", timeout_seconds=0.3)
        node.resume()
        assert node.rpc("eth_chainId") == hex(31337)


def test_a_frozen_node_can_be_ended() -> None:
    with start_anvil() as node:
        node.pause()
    assert node.process.poll() is not None


def test_ganache_keeps_its_chain_over_a_kill(
    tmp_path: Path, accounts: tuple[NodeAccount, ...]
) -> None:
    folder = tmp_path / "chain"
    folder.mkdir()
    with start_ganache(state=folder) as node:
        pay(node, accounts[0])
        node.kill()
        node.restart()
        assert balance(node) == 1


def test_a_chain_can_have_another_identifier() -> None:
    with start_anvil(chain_id=4711) as node:
        assert node.rpc("eth_chainId") == hex(4711)


def test_a_taken_port_is_refused(anvil: NodeProcess) -> None:
    with pytest.raises(NodeStartError, match="is taken"), start_anvil(port=anvil.port):
        pass


def test_a_missing_installation_says_what_to_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nodes, "ANVIL", tmp_path / "anvil")
    with pytest.raises(NodeStartError, match="make test"), start_anvil():
        pass
