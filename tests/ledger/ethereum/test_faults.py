"""Everything that can go wrong between a gateway and its network: nothing is lost or doubled."""

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from medseal.errors import ChainMismatchError, ConsistencyError, StorageFullError, UnreachableError
from medseal.ledger import (
    Action,
    EthereumLedger,
    KeySigner,
    Role,
    RoleChange,
    State,
    SyncState,
    role_event,
)
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.item import Stage
from tests.ledger.ethereum.gateways import (
    PERSON,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    check_receipts,
    check_truth,
    deploy,
    grant,
    granted,
    quick,
    reopen,
    seals,
)
from tests.ledger.ethereum.nodes import NodeProcess, start_anvil

# --- A node that is away --------------------------------------------------------------------------


def test_a_node_that_ends_and_comes_back(ledger: EthereumLedger, node: NodeProcess) -> None:
    before = ledger.append_many(seals(3))
    ledger.wait("final", WAIT_SECONDS)
    node.stop()
    receipts = [*before, *ledger.append_many(seals(5))]
    index = grant(ledger)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        ledger.sync(flush=True)
    assert ledger.state() == SyncState(queued=6, submitted=0, mined=0, final=5)
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "unreachable"
    node.restart()
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(index).state is State.FINAL
    assert ledger.may(PERSON, SUBJECT, Action.VIEW)
    check_receipts(ledger, receipts)
    check_truth(ledger)


def test_a_node_that_freezes(node: NodeProcess, accounts: Accounts, tmp_path: Path) -> None:
    hasty = replace(quick(), timeout_seconds=0.3)
    with deploy(node, accounts[0], tmp_path / "gateway", hasty) as ledger:
        freeze_and_go_on(ledger, node)


def freeze_and_go_on(ledger: EthereumLedger, node: NodeProcess) -> None:
    node.pause()
    start = time.monotonic()
    receipts = ledger.append_many(seals(2))
    index = grant(ledger)
    # The question to the contract is given up after its limit; nothing else waits for a node.
    assert time.monotonic() - start < 1.5
    with pytest.raises(UnreachableError, match="did not answer"):
        ledger.sync(flush=True)
    assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "unreachable"
    with pytest.raises(UnreachableError, match="entries are queued"):
        ledger.wait("final", 0.1)
    node.resume()
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(index).state is State.FINAL
    assert granted(ledger) == 1
    check_receipts(ledger, receipts)
    check_truth(ledger)


def test_a_ledger_opens_while_its_node_is_away(ledger: EthereumLedger, node: NodeProcess) -> None:
    node.kill()
    with reopen(ledger, node) as again:
        receipt = again.append(seals(1)[0])
        assert again.state_of(receipt.index).state is State.QUEUED


def test_the_thread_carries_on_after_an_outage(ledger: EthereumLedger, node: NodeProcess) -> None:
    ledger.start()
    node.stop()
    ledger.append_many(seals(3))
    index = grant(ledger)
    deadline = time.monotonic() + WAIT_SECONDS
    while ledger.relay_error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert isinstance(ledger.relay_error, UnreachableError)
    node.restart()
    while ledger.state_of(index).state is not State.FINAL and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ledger.state_of(index).state is State.FINAL
    ledger.stop()
    assert ledger.relay_error is None


# --- Another chain --------------------------------------------------------------------------------


def test_an_empty_chain_then_the_contract_again(ledger: EthereumLedger, node: NodeProcess) -> None:
    receipts = ledger.append_many(seals(4))
    index = grant(ledger)
    ledger.wait("final", WAIT_SECONDS)
    size = ledger.size
    node.restart(empty=True)
    with pytest.raises(ChainMismatchError, match="no contract stands"):
        ledger.sync()
    assert ledger.state() == SyncState(queued=size, submitted=0, mined=0, final=0)
    assert ledger.state_of(index).detail == "vanished"
    assert ledger.prove(index).anchor is None
    receipts += ledger.append_many(seals(2))
    with pytest.raises(ChainMismatchError, match="no contract stands"):
        ledger.sync(flush=True)
    # The same key makes the same address, and its numbers begin anew.
    Contract.deploy(ledger.node, ledger.signer)
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state() == SyncState(queued=0, submitted=0, mined=0, final=size + 2)
    assert ledger.may(PERSON, SUBJECT, Action.VIEW)
    assert granted(ledger) == 1
    check_receipts(ledger, receipts)
    check_truth(ledger)


def test_an_empty_chain_where_the_numbers_differ(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    def begin() -> str:
        owner = KeySigner.from_key(accounts[1].key)
        with EthereumLedger.deploy(
            node.url, owner, folder=tmp_path / f"owner-{time.monotonic_ns()}", settings=quick()
        ) as of_owner:
            event = role_event(
                accounts[0].account, Role.REGISTRAR, RoleChange.ADD, actor=owner.account
            )
            of_owner.append(event)
            of_owner.wait("final", WAIT_SECONDS)
            return of_owner.contract.address

    for _ in range(3):
        node.rpc("eth_sendTransaction", {"from": accounts[0].address, "to": accounts[2].address})
    address = begin()
    signer = KeySigner.from_key(accounts[0].key)
    with EthereumLedger(
        node.url, address, signer, folder=tmp_path / "gateway", settings=quick()
    ) as ledger:
        receipts = []
        for action in Action:
            grant(ledger, action)
            receipts += ledger.append_many(seals(2))
            ledger.wait("final", WAIT_SECONDS)
        ledger.revoke(PERSON, SUBJECT, Action.SHARE, actor=signer.account)
        ledger.wait("final", WAIT_SECONDS)
        node.restart(empty=True)
        assert begin() == address
        ledger.wait("final", WAIT_SECONDS)
        assert [one.action for one in ledger.grants()] == [Action.CLASSIFY, Action.VIEW]
        assert granted(ledger) == 3
        # What was lost with the chain was sent from the first number on, without a gap.
        assert ledger.node.nonce(signer.address, "latest") == len(ledger._outbox.items(Stage.FINAL))
        check_receipts(ledger, receipts)
        check_truth(ledger)


def test_a_node_of_another_chain(ledger: EthereumLedger, node: NodeProcess) -> None:
    ledger.append_many(seals(2))
    ledger.wait("final", WAIT_SECONDS)
    grant(ledger)
    before = ledger.state()
    node.stop()
    with start_anvil(port=node.port, chain_id=4242):
        with pytest.raises(ChainMismatchError, match="serves chain 4242"):
            ledger.sync(flush=True)
        assert ledger.state() == before
        assert ledger.may(PERSON, SUBJECT, Action.VIEW).reason == "wrong-chain"
        with pytest.raises(ChainMismatchError, match="serves chain 4242"):
            reopen(ledger, node)


def test_another_contract_at_the_address(ledger: EthereumLedger, node: NodeProcess) -> None:
    ledger.append_many(seals(2))
    ledger.wait("final", WAIT_SECONDS)
    grant(ledger)
    before, address = ledger.state(), ledger.contract.address
    code = node.rpc("eth_getCode", address, "latest")
    node.rpc("anvil_setCode", address, "0x6000")
    with pytest.raises(ChainMismatchError, match="has other code"):
        ledger.sync(flush=True)
    assert ledger.state() == before
    node.rpc("anvil_setCode", address, code)
    ledger.wait("final", WAIT_SECONDS)
    check_truth(ledger)


def test_a_call_of_an_address_without_code_does_not_count(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    node.rpc("evm_setAutomine", False)
    index = grant(ledger)
    ledger.sync(flush=True)
    address = ledger.contract.address
    code = node.rpc("eth_getCode", address, "latest")
    node.rpc("anvil_setCode", address, "0x")
    node.rpc("anvil_mine", hex(1))
    node.rpc("anvil_setCode", address, code)
    # Both transactions have succeeded, and nothing was written down.
    ledger.sync()
    told = ledger.state_of(index)
    assert (told.state, told.detail) == (State.SUBMITTED, "")
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_mine", hex(1))
    ledger.wait("final", WAIT_SECONDS)
    assert granted(ledger) == 1
    check_truth(ledger)


def test_an_anchor_that_the_contract_has_refused_is_sent_again(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    node.rpc("evm_setAutomine", False)
    ledger.append_many(seals(2))
    ledger.sync(flush=True)
    (waiting,) = ledger._outbox.items(Stage.SUBMITTED)
    # The owner pauses the contract with a higher fee: that comes first in the block.
    node.rpc("anvil_dropTransaction", ledger._outbox.signed(waiting)[0].hash)
    pause = {"from": ledger.signer.address, "to": ledger.contract.address, "data": "0x8456cb59"}
    node.rpc("anvil_mine", hex(1))
    node.rpc("evm_setAutomine", True)
    node.rpc("eth_sendTransaction", pause)
    for _ in range(3):
        ledger.sync()
    told = ledger.state_of(ledger.size - 1)
    assert (told.state, told.detail) == (State.QUEUED, "paused")
    node.rpc("eth_sendTransaction", pause | {"data": "0x3f4ba83a"})
    ledger.wait("final", WAIT_SECONDS)
    check_truth(ledger)


# --- Blocks that are replaced ---------------------------------------------------------------------


def test_a_replaced_block_is_mined_again_with_the_same_bytes(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(node, accounts[0], tmp_path / "gateway", quick(confirmations=3)) as ledger:
        ledger.append_many(seals(3))
        index = grant(ledger)
        ledger.sync(flush=True)
        seen = ledger.state_of(index)
        assert seen.state is State.MINED
        node.rpc("anvil_reorg", 2, [])
        ledger.sync()
        ledger.sync()
        again = ledger.state_of(index)
        assert again.state is State.MINED
        assert again.block_hash != seen.block_hash
        assert again.transaction == seen.transaction
        node.rpc("anvil_mine", hex(3))
        ledger.sync()
        assert ledger.state() == SyncState(queued=0, submitted=0, mined=0, final=ledger.size)
        assert granted(ledger) == 1
        check_truth(ledger)


def test_a_replaced_block_is_noticed_before_it_is_mined_again(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(node, accounts[0], tmp_path / "gateway", quick(confirmations=3)) as ledger:
        index = grant(ledger)
        ledger.sync(flush=True)
        node.rpc("evm_setAutomine", False)
        node.rpc("anvil_reorg", 2, [])
        ledger.sync()
        vanished = ledger.state_of(index)
        assert (vanished.state, vanished.transaction) == (State.SUBMITTED, None)
        assert ledger.prove(index).anchor is None
        node.rpc("anvil_mine", hex(4))
        ledger.sync()
        assert ledger.state_of(index).state is State.FINAL
        check_truth(ledger)


def test_what_was_final_and_is_replaced_is_told_and_sent_again(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    index = grant(ledger)
    ledger.wait("final", WAIT_SECONDS)
    node.rpc("evm_setAutomine", False)
    node.rpc("anvil_reorg", 2, [])
    ledger.sync()
    assert ledger.state().final == 0
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_mine", hex(1))
    ledger.wait("final", WAIT_SECONDS)
    assert granted(ledger) == 1
    assert ledger.state_of(index).state is State.FINAL
    check_truth(ledger)


# --- Files ----------------------------------------------------------------------------------------


def test_a_lost_outbox_is_filled_again(ledger: EthereumLedger, node: NodeProcess) -> None:
    actor = ledger.signer.account
    receipts = ledger.append_many(seals(3))
    first = grant(ledger)
    ledger.revoke(PERSON, SUBJECT, Action.VIEW, actor=actor)
    grant(ledger, Action.SHARE)
    ledger.wait("final", WAIT_SECONDS)
    waiting = grant(ledger, Action.CLASSIFY)
    seen = ledger.state_of(first)
    ledger.close()
    for file in ledger.folder.glob("outbox*"):
        file.unlink()
    with reopen(ledger, node) as again:
        again.wait("final", WAIT_SECONDS)
        assert again.state_of(first) == seen
        assert again.state_of(waiting).state is State.FINAL
        assert again.state().refused == 0
        assert granted(again) == 3
        assert not again.may(PERSON, SUBJECT, Action.VIEW)
        assert again.may(PERSON, SUBJECT, Action.CLASSIFY)
        check_receipts(again, receipts)
        check_truth(again)


def test_a_log_that_was_rolled_back_is_refused(ledger: EthereumLedger, node: NodeProcess) -> None:
    ledger.append_many(seals(2))
    ledger.log.close()
    copy = (ledger.folder / "ledger.sqlite").read_bytes()
    again = reopen(ledger, node)
    again.append_many(seals(2))
    again.sync(flush=True)
    again.close()
    (ledger.folder / "ledger.sqlite").write_bytes(copy)
    for suffix in ("-wal", "-shm"):
        (ledger.folder / f"ledger.sqlite{suffix}").unlink(missing_ok=True)
    with (
        reopen(again, node) as old,
        pytest.raises(ConsistencyError, match="rolled back"),
    ):
        old.sync()


def test_a_full_disk_stops_the_outbox_and_loses_nothing(ledger: EthereumLedger) -> None:
    connection = ledger._outbox._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    receipts = []

    def fill() -> None:
        while len(receipts) < 500:
            receipts.append(ledger.append(seals(1)[0]))
            index = grant(ledger)
            receipts.append(ledger.prove(index))
            ledger.sync(flush=True)

    with pytest.raises(StorageFullError, match="no space is left"):
        fill()
    connection.execute("PRAGMA max_page_count = 1000000")
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state().final == ledger.size
    check_receipts(ledger, receipts)
    check_truth(ledger)


def test_threads_that_record_while_the_relay_runs(ledger: EthereumLedger) -> None:
    ledger.start()
    receipts: list[int] = []

    def work(number: int) -> None:
        for _ in range(10):
            receipts.append(grant(ledger, account=f"{number:032x}"))
            receipts.extend(receipt.index for receipt in ledger.append_many(seals(2)))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.wait("final", WAIT_SECONDS)
    ledger.stop()
    assert sorted(receipts) == list(range(2, 122))
    assert granted(ledger) == 40
    check_truth(ledger)
