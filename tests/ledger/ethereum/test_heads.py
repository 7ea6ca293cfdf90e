"""A log that was rolled back, or continued from an old backup, beside what its gateway anchored."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from medseal.errors import ConsistencyError, UnreachableError
from medseal.ledger import EthereumLedger, KeySigner
from medseal.ledger.ethereum.heads import check_heads
from tests.ledger.ethereum.gateways import QUICK, WAIT_SECONDS, Accounts, seals
from tests.ledger.ethereum.nodes import NodeProcess

Reopen = Callable[[], EthereumLedger]


@pytest.fixture
def backup(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> tuple[int, Reopen]:
    """Return the size of a log that was copied, and how to open the copy; the log went on since."""
    ledger.append_many(seals(3))
    ledger.wait("final", WAIT_SECONDS)
    size = ledger.size
    shutil.copytree(ledger.folder, tmp_path / "backup")
    ledger.append_many(seals(2))
    ledger.wait("final", WAIT_SECONDS)
    ledger.append_many(seals(4))
    ledger.wait("final", WAIT_SECONDS)

    def reopen() -> EthereumLedger:
        return EthereumLedger(
            node.url,
            ledger.contract.address,
            KeySigner.from_key(accounts[0].key),
            folder=tmp_path / "backup",
            settings=QUICK,
        )

    return size, reopen


def test_a_log_continues_what_was_anchored_of_it(ledger: EthereumLedger) -> None:
    assert ledger.check_heads() == 0
    for count in (1, 3):
        ledger.append_many(seals(count))
        ledger.wait("final", WAIT_SECONDS)
    assert ledger.check_heads() == 2
    # What is not anchored yet is no contradiction.
    ledger.append_many(seals(1))
    assert ledger.check_heads() == 2


@pytest.mark.parametrize("blocks", [1, 7, 10_000])
def test_heads_far_apart_are_all_found(
    ledger: EthereumLedger, node: NodeProcess, blocks: int
) -> None:
    account = ledger.signer.account
    for count in (1, 2, 3):
        ledger.append_many(seals(count))
        ledger.wait("final", WAIT_SECONDS)
        node.rpc("anvil_mine", hex(10))
    assert check_heads(ledger.log, ledger.contract, account, blocks_at_once=blocks) == 3


def test_an_old_backup_is_told_from_the_log(
    ledger: EthereumLedger, backup: tuple[int, Reopen]
) -> None:
    size, reopen = backup
    assert ledger.check_heads() == 3
    with reopen() as old:
        # In itself it is whole.
        assert old.audit().size == size
        with pytest.raises(ConsistencyError, match="rolled back") as caught:
            old.check_heads()
    assert caught.value.index == size
    assert str(size + 2) in str(caught.value)


def test_a_log_that_went_on_from_an_old_backup_is_another_log(backup: tuple[int, Reopen]) -> None:
    size, reopen = backup
    with reopen() as old:
        for count in (1, 3, 7):
            old.append_many(seals(count))
            old.wait("final", WAIT_SECONDS)
        # It is longer by now than the one that was lost, and its newest heads agree.
        with pytest.raises(ConsistencyError, match="rewritten") as caught:
            old.check_heads()
    assert caught.value.index == size
    assert f"the first {size} are" in str(caught.value)


def test_the_heads_of_other_gateways_do_not_count(
    ledger: EthereumLedger, accounts: Accounts
) -> None:
    ledger.append_many(seals(1))
    ledger.wait("final", WAIT_SECONDS)
    other = KeySigner.from_key(accounts[1].key).account
    top = ledger.node.block_number()
    assert len(ledger.contract.anchored_by(ledger.signer.account, 0, top)) == 1
    assert ledger.contract.anchored_by(other, 0, top) == []


def test_a_node_that_is_away_is_said(ledger: EthereumLedger, node: NodeProcess) -> None:
    node.stop()
    with pytest.raises(UnreachableError):
        ledger.check_heads()
