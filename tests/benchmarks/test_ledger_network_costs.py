import secrets
from collections.abc import Iterator

import pytest

from benchmarks.ledger_network_costs import (
    CEILINGS,
    Sender,
    exceeded,
    measure_gas,
    measure_transactions,
    per_image,
)
from benchmarks.nodes import NodeProcess, node_accounts, start_anvil
from medseal.ledger.ethereum.codec import anchor_call
from medseal.ledger.ethereum.rpc import Node


@pytest.fixture(scope="module")
def anvil() -> Iterator[NodeProcess]:
    with start_anvil() as process:
        yield process


def test_gas_of_every_operation_stays_below_what_was_asked(anvil: NodeProcess) -> None:
    gas = measure_gas(anvil)
    assert gas.keys() >= {"deploy", "role", "break-glass", "consent", "erase", *CEILINGS}
    assert exceeded(gas) == {}
    assert per_image(gas["anchor"])["1024"] <= 61


def test_what_is_above_a_ceiling_is_named() -> None:
    gas = {"anchor": 62_001, "grant": 50_000, "revoke": 27_101}
    assert exceeded(gas) == {"anchor": 62_001, "revoke": 27_101}
    # An anchor below its ceiling is cheap enough for 1,024 images.
    assert per_image(CEILINGS["anchor"])["1024"] <= 61


def test_one_transaction_an_image_is_measured_on_a_node(anvil: NodeProcess) -> None:
    found = measure_transactions(anvil, 40, 2)
    assert found["transactions_per_second"] > 1
    assert len(found["seconds"]) == 2
    assert CEILINGS["anchor"] / 2 < found["gas"] <= CEILINGS["anchor"]


def test_a_transaction_that_the_contract_refuses_is_no_measurement(anvil: NodeProcess) -> None:
    node = Node(anvil.url)
    sender = Sender(node, node_accounts()[2].key)
    contract, _ = sender.deploy()
    root = secrets.token_bytes(32)
    sender.gas(contract, anchor_call(root, 1))
    with pytest.raises(RuntimeError, match="refused a transaction"):
        sender.gas(contract, anchor_call(root, 1))
