"""The committed ABI and bytecode are what the committed sources compile to."""

import json

from benchmarks.contract_compiler import FOLDER, SOURCES, compiled
from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import ARTIFACT, Chain

# EIP-170 and EIP-3860, in bytes.
MAX_CODE_SIZE = 24_576
MAX_DEPLOYMENT_SIZE = 49_152


def test_compiling_again_gives_the_same_file() -> None:
    again, stored = compiled(), ARTIFACT.read_text()
    for part in ("abi", "bytecode", "deployedBytecode", "metadata"):
        assert json.loads(again)[part] == json.loads(stored)[part], part
    assert again == stored


def test_all_sources_are_compiled() -> None:
    assert {path.name for path in FOLDER.glob("*.sol")} == set(SOURCES)
    metadata = json.loads(json.loads(ARTIFACT.read_text())["metadata"])
    assert set(SOURCES) == {name for name in metadata["sources"] if not name.startswith("@")}
    assert {source["license"] for source in metadata["sources"].values()} == {"Apache-2.0", "MIT"}


def test_the_rules_of_the_chain_are_pinned() -> None:
    metadata = json.loads(json.loads(ARTIFACT.read_text())["metadata"])
    assert metadata["settings"]["evmVersion"] == "shanghai"
    assert metadata["compiler"]["version"].startswith("0.8.37+")


def test_the_code_fits_into_the_limits_of_a_chain() -> None:
    stored = json.loads(ARTIFACT.read_text())
    assert len(stored["deployedBytecode"]) // 2 - 1 <= MAX_CODE_SIZE
    assert len(stored["bytecode"]) // 2 - 1 <= MAX_DEPLOYMENT_SIZE


def test_the_code_on_a_chain_is_the_committed_code(chain: Chain, parties: Parties) -> None:
    address = chain.deploy(parties.owner).address
    code = chain.node.rpc("eth_getCode", address, "latest")
    assert code == json.loads(ARTIFACT.read_text())["deployedBytecode"]
