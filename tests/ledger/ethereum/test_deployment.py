"""Putting the contract on a chain, and what can go wrong on the way."""

from typing import Any

import pytest

from medseal.errors import (
    ChainMismatchError,
    InputError,
    InsufficientFundsError,
    NodeError,
    UnreachableError,
)
from medseal.ledger.ethereum.deployment import (
    contract_address,
    deploy_contract,
    redeploy_contract,
)
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.ethereum.signer import KeySigner
from tests.ledger.ethereum.chain import signer
from tests.ledger.ethereum.liar import changed, liar_url, result, start_liar
from tests.ledger.ethereum.nodes import NodeProcess, start_anvil


@pytest.mark.parametrize("process", ["anvil", "anvil_shanghai", "ganache"])
def test_the_contract_stands_where_it_must(process: str, request: pytest.FixtureRequest) -> None:
    node = Node(request.getfixturevalue(process).url)
    nonce = node.nonce(signer(4).address)
    address, chain_id = deploy_contract(node, signer(4), timeout_seconds=20)
    assert chain_id == 31337
    assert address == contract_address(signer(4).address, nonce)
    assert node.code(address)


def test_the_address_is_that_of_the_yellow_paper() -> None:
    # Found in many test suites: the first contracts of a well-known address.
    sender = "0x6ac7ea33f8831ea9dcc53393aaa88b25a785dbf0"
    assert contract_address(sender, 0) == "0xcd234a471b72ba2f1ccf0a70fcaba648a5eecd8d"
    assert contract_address(sender, 1) == "0x343c43a37d37dff08ae8c4a11544c718abb4fcf8"
    assert contract_address(sender, 2) == "0xf778b86fa74e846c4f0a1fbd1335fe81c00a0c91"


def test_a_sender_without_means_is_refused(anvil: NodeProcess) -> None:
    with pytest.raises(InsufficientFundsError, match="nsufficient funds"):
        deploy_contract(Node(anvil.url), KeySigner.generate(), timeout_seconds=5)


def test_a_network_without_fees_asks_for_no_means() -> None:
    free = ["--block-base-fee-per-gas", "0", "--gas-price", "0"]
    with start_anvil(extra=free) as process:
        node = Node(process.url)
        # What a Besu network says that takes no fees.
        lies = {"eth_gasPrice": result("0x0"), "eth_maxPriorityFeePerGas": result("0x0")}
        with start_liar(process.url, lies) as server:
            poor = KeySigner.generate()
            address, _ = deploy_contract(Node(liar_url(server)), poor, timeout_seconds=20)
        assert node.balance(poor.address) == 0
        assert node.code(address)


def test_a_network_that_makes_no_blocks_is_told() -> None:
    with (
        start_anvil(extra=["--no-mining"]) as process,
        pytest.raises(UnreachableError, match=r"into no block within 0\.3 s"),
    ):
        deploy_contract(Node(process.url), signer(), timeout_seconds=0.3)


def test_a_deployment_that_failed_is_told(anvil: NodeProcess) -> None:
    with (
        start_liar(anvil.url, {"eth_getTransactionReceipt": failed}) as server,
        pytest.raises(NodeError, match="could not carry out the deployment"),
    ):
        deploy_contract(Node(liar_url(server)), signer(4), timeout_seconds=20)


def failed(params: list[Any], honest: dict[str, Any]) -> dict[str, Any]:
    """Answer that a transaction was without effect, once it is in a block."""
    return honest if honest["result"] is None else changed(status="0x0")(params, honest)


def test_a_contract_comes_back_to_its_address_whatever_came_before_it() -> None:
    sender = signer(4)
    with start_anvil() as process:
        node = Node(process.url)
        process.rpc("eth_sendTransaction", {"from": sender.address, "to": sender.address})
        process.rpc("eth_sendTransaction", {"from": sender.address, "to": sender.address})
        address, _ = deploy_contract(node, sender, timeout_seconds=20)
        with pytest.raises(InputError, match="nothing is to be done"):
            redeploy_contract(node, sender, address, timeout_seconds=20)
        process.restart(empty=True)
        with pytest.raises(InputError, match="only the gateway that did"):
            redeploy_contract(node, signer(5), address, timeout_seconds=20)
        assert node.nonce(signer(5).address) == 0
        redeploy_contract(node, sender, address, timeout_seconds=20)
        assert node.code(address)
        assert node.nonce(sender.address) == 3


def test_a_number_that_is_used_up_brings_no_contract_elsewhere() -> None:
    sender = signer(4)
    with start_anvil() as process:
        process.rpc("eth_sendTransaction", {"from": sender.address, "to": sender.address})
        with pytest.raises(ChainMismatchError, match="has sent 1 transactions"):
            redeploy_contract(
                Node(process.url), sender, contract_address(sender.address, 0), timeout_seconds=20
            )
        assert Node(process.url).nonce(sender.address) == 1
