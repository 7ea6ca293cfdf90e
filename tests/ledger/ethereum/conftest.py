"""Nodes for the tests of the network ledger: started once a session, or for a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from medseal.ledger import EthereumLedger
from tests.ledger.ethereum.gateways import Accounts, deploy
from tests.ledger.ethereum.nodes import (
    NodeProcess,
    node_accounts,
    start_anvil,
    start_ganache,
)


@pytest.fixture(scope="session")
def accounts() -> Accounts:
    """Rich accounts of every node, with their keys."""
    return node_accounts()


@pytest.fixture(scope="session")
def anvil() -> Iterator[NodeProcess]:
    """A node with Prague rules that makes a block of each transaction; do not end it."""
    with start_anvil() as node:
        yield node


@pytest.fixture(scope="session")
def anvil_shanghai() -> Iterator[NodeProcess]:
    """As `anvil`, with Shanghai rules."""
    with start_anvil(hardfork="shanghai") as node:
        yield node


@pytest.fixture(scope="session")
def anvil_blocks() -> Iterator[NodeProcess]:
    """A node with Prague rules that makes a block each half second; do not end it."""
    with start_anvil(block_time=0.5) as node:
        yield node


@pytest.fixture(scope="session")
def ganache() -> Iterator[NodeProcess]:
    """Ganache, Shanghai rules, a block for each transaction; do not end it."""
    with start_ganache() as node:
        yield node


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeProcess]:
    """A node with Prague rules of this test alone; it keeps its chain when it is restarted."""
    with start_anvil(state=tmp_path / "chain.json") as started:
        yield started


@pytest.fixture
def ledger(node: NodeProcess, accounts: Accounts, tmp_path: Path) -> Iterator[EthereumLedger]:
    """The ledger of a gateway that owns a contract on that node."""
    with deploy(node, accounts[0], tmp_path / "gateway") as opened:
        yield opened
