"""The relay on a node: order, windows, repetition with the same bytes, and one sender at a time."""

from dataclasses import replace
from pathlib import Path

import pytest

from medseal.errors import InputError, InsufficientFundsError, LedgerBusyError, NodeError
from medseal.ledger import (
    Action,
    EthereumLedger,
    FeePolicy,
    Grant,
    KeySigner,
    RelaySettings,
    Role,
    RoleChange,
    State,
    SyncState,
    role_event,
)
from medseal.ledger.item import ItemKind, Stage
from medseal.ledger.outbox import Outbox
from tests.ledger.ethereum.gateways import (
    QUICK,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    check_truth,
    deploy,
    granted,
    quick,
    reopen,
    seals,
)
from tests.ledger.ethereum.nodes import NodeProcess, start_anvil


def grants(ledger: EthereumLedger, count: int) -> list[int]:
    """Give grants to as many accounts and return their indices."""
    return [
        ledger.grant(
            Grant(account=f"{number:032x}", subject=SUBJECT, action=Action.VIEW),
            actor=ledger.signer.account,
        ).index
        for number in range(1, count + 1)
    ]


def test_changes_arrive_in_the_order_of_the_log(ledger: EthereumLedger) -> None:
    indices = grants(ledger, 20)
    ledger.wait("final", WAIT_SECONDS)
    places = [(ledger.state_of(index).block_number, index) for index in indices]
    assert places == sorted(places)
    items = ledger._outbox.items(Stage.FINAL)
    nonces = [item.nonce or 0 for item in items]
    # Behind the deployment, one after the other.
    assert nonces == list(range(1, len(items) + 1))
    check_truth(ledger)


def test_at_most_a_window_is_in_flight(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(node, accounts[0], tmp_path / "gateway", quick(max_in_flight=4)) as ledger:
        node.rpc("evm_setAutomine", False)
        grants(ledger, 10)
        for _ in range(3):
            assert ledger.sync() == SyncState(queued=8, submitted=4, mined=0, final=0)
        node.rpc("anvil_mine", hex(1))
        assert ledger.sync().final == 4
        assert ledger.state().submitted == 4
        node.rpc("evm_setAutomine", True)
        node.rpc("anvil_mine", hex(1))
        ledger.wait("final", WAIT_SECONDS)
        assert granted(ledger) == 10


def test_what_was_final_is_sent_before_what_waits_behind_it(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    settings = quick(max_in_flight=2, confirmations=3)
    with deploy(node, accounts[0], tmp_path / "gateway", settings) as ledger:
        grants(ledger, 12)
        for _ in range(8):
            ledger.sync()
        # Blocks of one transaction each: the newest three may still be replaced.
        assert (ledger.state().mined, ledger._outbox.counts(14).final) == (3, 9)
        node.rpc("evm_setAutomine", False)
        node.rpc("anvil_reorg", 10, [])
        node.rpc("anvil_dropAllTransactions")
        ledger.sync()
        node.rpc("evm_setAutomine", True)
        node.rpc("anvil_mine", hex(1))
        ledger.wait("final", WAIT_SECONDS, progress=lambda _: node.rpc("anvil_mine", hex(1)))
        assert len(ledger.grants()) == 12
        check_truth(ledger)


def test_what_a_node_forgot_is_sent_again_with_the_same_bytes(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    node.rpc("evm_setAutomine", False)
    grants(ledger, 3)
    ledger.sync()
    before = [
        one.raw
        for item in ledger._outbox.items(Stage.SUBMITTED)
        for one in ledger._outbox.signed(item)
    ]
    node.rpc("anvil_dropAllTransactions")
    ledger.sync()
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_mine", hex(1))
    ledger.wait("final", WAIT_SECONDS)
    calls = ledger._outbox.items(Stage.FINAL, kind=ItemKind.CALL)
    assert [one.raw for item in calls for one in ledger._outbox.signed(item)] == before
    assert granted(ledger) == 3


def test_what_was_stored_and_not_sent_is_sent_after_a_restart(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    grants(ledger, 3)
    ledger._mirror.scan()
    # As far as a process comes that is killed between the fsync and the network.
    staged = ledger._relay._stage()
    assert [item.stage for item, _ in staged] == [Stage.QUEUED] * 3
    with reopen(ledger, node) as again:
        again.wait("final", WAIT_SECONDS)
        calls = again._outbox.items(Stage.FINAL, kind=ItemKind.CALL)
        assert [item.hash for item in calls] == [signed.hash for _, signed in staged]
        assert granted(again) == 3


def test_what_was_sent_and_not_noted_is_found(ledger: EthereumLedger, node: NodeProcess) -> None:
    grants(ledger, 2)
    ledger._mirror.scan()
    for _, signed in ledger._relay._stage():
        ledger.node.send(signed.raw)
    with reopen(ledger, node) as again:
        again.wait("final", WAIT_SECONDS)
        assert granted(again) == 2
        assert len(again._outbox.items(Stage.FINAL, kind=ItemKind.CALL)) == 2


def test_an_anchor_that_stands_already_is_adopted(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts
) -> None:
    other = KeySigner.from_key(accounts[1].key)
    ledger.append(
        role_event(other.account, Role.REGISTRAR, RoleChange.ADD, actor=ledger.signer.account)
    )
    ledger.wait("final", WAIT_SECONDS)
    index = ledger.append(seals(1)[0]).index
    ledger._mirror.close_batch(flush=True)
    (item,) = ledger._outbox.items(Stage.QUEUED)
    name = node.rpc(
        "eth_sendTransaction",
        {"from": other.address, "to": ledger.contract.address, "data": "0x" + item.data.hex()},
    )
    before = ledger.node.nonce(ledger.signer.address)
    ledger.wait("final", WAIT_SECONDS)
    told = ledger.state_of(index)
    assert (told.state, told.transaction) == (State.FINAL, name)
    assert ledger.node.nonce(ledger.signer.address) == before
    check_truth(ledger)


def test_another_process_that_sends_is_waited_for(ledger: EthereumLedger) -> None:
    identity = {name: ledger._outbox.meta(name) or "" for name in ("chain", "contract", "log")}
    ledger._outbox._busy_timeout_seconds = 0.1
    with (
        Outbox(ledger._outbox.path, identity) as other,
        other.exclusive(),
        pytest.raises(LedgerBusyError, match="another process sends"),
    ):
        ledger.sync()
    ledger.wait("final", WAIT_SECONDS)


def test_a_gateway_without_funds_says_so_and_goes_on_later(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    grants(ledger, 2)
    node.rpc("anvil_setBalance", ledger.signer.address, "0x0")
    with pytest.raises(InsufficientFundsError, match=r"(?i)insufficient funds"):
        ledger.sync(flush=True)
    (first, *_) = ledger._outbox.items(Stage.QUEUED)
    assert first.detail == "InsufficientFundsError"
    with pytest.raises(NodeError, match=r"(?i)insufficient funds"):
        ledger.sync()
    node.rpc("anvil_setBalance", ledger.signer.address, hex(10**18))
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.state_of(first.place).detail == ""
    assert granted(ledger) == 2


def test_a_network_without_fees_costs_nothing(accounts: Accounts, tmp_path: Path) -> None:
    settings = quick(fees=FeePolicy(max_price_wei=0))
    free = ("--gas-price", "0", "--base-fee", "0", "--disable-min-priority-fee")
    with (
        start_anvil(extra=free) as node,
        deploy(node, accounts[0], tmp_path / "gateway", settings) as ledger,
    ):
        before = ledger.node.balance(ledger.signer.address)
        grants(ledger, 3)
        ledger.append_many(seals(5))
        ledger.wait("final", WAIT_SECONDS)
        assert ledger.node.balance(ledger.signer.address) == before
        items = ledger._outbox.items(Stage.FINAL)
        assert {one.price for item in items for one in ledger._outbox.signed(item)} == {0}


def test_another_key_takes_over_what_the_first_one_left(
    ledger: EthereumLedger, node: NodeProcess, accounts: Accounts
) -> None:
    second = KeySigner.from_key(accounts[1].key)
    ledger.append(
        role_event(second.account, Role.REGISTRAR, RoleChange.ADD, actor=ledger.signer.account)
    )
    ledger.wait("final", WAIT_SECONDS)
    node.rpc("evm_setAutomine", False)
    grants(ledger, 2)
    ledger.sync()
    node.rpc("anvil_dropAllTransactions")
    ledger.close()
    folder, address = ledger.folder, ledger.contract.address
    with EthereumLedger(node.url, address, second, folder=folder, settings=QUICK) as again:
        again.append_many(seals(2))
        # The bytes of the first key are sent again without it.
        again.sync(flush=True)
        node.rpc("evm_setAutomine", True)
        node.rpc("anvil_mine", hex(1))
        again.wait("final", WAIT_SECONDS)
        assert granted(again) == 2
        used = {item.account for item in again._outbox.items(Stage.FINAL)}
        assert used == {ledger.signer.account, second.account}


def test_nothing_is_asked_while_nothing_waits(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    settings = quick(batch_leaves=100, batch_seconds=3600.0)
    with deploy(node, accounts[0], tmp_path / "gateway", settings) as ledger:
        node.kill()
        ledger.append_many(seals(3))
        assert ledger.sync().queued == 5


def test_settings_have_sensible_limits() -> None:
    for wrong in (
        {"batch_leaves": 0},
        {"max_in_flight": 0},
        {"confirmations": -1},
    ):
        with pytest.raises(InputError, match="count from"):
            replace(RelaySettings(), **wrong)
    with pytest.raises(InputError, match="counts seconds"):
        RelaySettings(batch_seconds=float("nan"))
