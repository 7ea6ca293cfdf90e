"""Nodes for the tests of the network ledger: each is started once a session."""

from collections.abc import Iterator

import pytest

from tests.ledger.ethereum.nodes import (
    NodeAccount,
    NodeProcess,
    node_accounts,
    start_anvil,
    start_ganache,
)


@pytest.fixture(scope="session")
def accounts() -> tuple[NodeAccount, ...]:
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
