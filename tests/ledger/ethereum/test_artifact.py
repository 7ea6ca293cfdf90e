"""The compiled contract of the package is what a chain holds after its deployment."""

from medseal.ledger.ethereum.artifact import artifact
from tests.ledger.ethereum.chain import deployed
from tests.ledger.ethereum.nodes import NodeProcess


def test_the_code_on_the_chain_is_that_of_the_package(
    anvil: NodeProcess, anvil_shanghai: NodeProcess
) -> None:
    for process in (anvil, anvil_shanghai):
        contract = deployed(process)
        assert contract.node.code(contract.address) == artifact().code


def test_the_creation_code_holds_the_code() -> None:
    assert artifact().creation_code.find(artifact().code) > 0
    assert artifact() is artifact()


def test_the_interface_is_complete() -> None:
    assert {one["type"] for one in artifact().abi} == {"constructor", "error", "event", "function"}
    (constructor,) = [one for one in artifact().abi if one["type"] == "constructor"]
    assert constructor["inputs"] == []
