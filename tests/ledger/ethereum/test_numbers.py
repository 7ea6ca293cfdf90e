"""Numbers of transactions (nonces): stolen, lost, missing, stuck; nothing is carried out twice."""

import time
from dataclasses import replace
from pathlib import Path

from eth_utils.crypto import keccak

from medseal.ledger import (
    Action,
    EthereumLedger,
    FeePolicy,
    KeySigner,
    Role,
    RoleChange,
    State,
    role_event,
)
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.item import ItemKind, Stage
from tests.ledger.ethereum.gateways import (
    PERSON,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    act,
    check_truth,
    deploy,
    grant,
    granted,
    newest_hash,
    quick,
    reach,
    reopen,
    seals,
    steal,
)
from tests.ledger.ethereum.nodes import NodeProcess, start_anvil

REVOKED_ALL = keccak(b"RevokedAll(bytes32,address)")


def test_a_stolen_number_is_replaced(ledger: EthereumLedger, node: NodeProcess) -> None:
    node.rpc("evm_setAutomine", False)
    index = grant(ledger)
    ledger.sync()
    assert ledger.state_of(index).state is State.SUBMITTED
    steal(node, ledger, newest_hash(ledger, index))
    node.rpc("evm_setAutomine", True)
    node.rpc("anvil_mine", hex(1))
    ledger.wait("final", WAIT_SECONDS)
    assert granted(ledger) == 1
    check_truth(ledger)


def test_two_gateways_with_one_key(
    node: NodeProcess, tmp_path: Path, ledger: EthereumLedger
) -> None:
    with EthereumLedger(
        node.url,
        ledger.contract.address,
        ledger.signer,
        folder=tmp_path / "clone",
        settings=quick(),
    ) as clone:
        both = (ledger, clone)
        for number, one in enumerate(both):
            one.start()
            for turn in range(10):
                grant(one, account=f"{100 * number + turn + 1:032x}")
                one.append_many(seals(3))
        for one in both:
            one.wait("final", WAIT_SECONDS)
            one.stop()
            assert one.state().refused == 0
            check_truth(one)
        assert granted(ledger) == 20


def test_a_number_is_lost_only_when_its_block_is_final(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    with deploy(node, accounts[0], tmp_path / "gateway", quick(confirmations=2)) as ledger:
        node.rpc("evm_setAutomine", False)
        index = grant(ledger)
        ledger.sync()
        steal(node, ledger, newest_hash(ledger, index))
        node.rpc("evm_setAutomine", True)
        node.rpc("anvil_mine", hex(1))
        for _ in range(4):
            ledger.sync()
        told = ledger.state_of(index)
        assert (told.state, told.detail) == (State.QUEUED, "nonce-taken")
        node.rpc("anvil_mine", hex(2))
        ledger.sync()
        assert ledger.state_of(index).state is State.MINED
        ledger.wait("final", WAIT_SECONDS, progress=lambda _: node.rpc("anvil_mine", hex(1)))
        assert granted(ledger) == 1


def test_a_number_that_nobody_holds_any_more_is_used_up(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    # No anchor comes that could take it.
    settings = quick(batch_leaves=1000, batch_seconds=3600.0)
    with deploy(node, accounts[0], tmp_path / "gateway", settings) as ledger:
        grant(ledger)
        index = grant(ledger, Action.SHARE)
        ledger._mirror.scan()
        (first, _), (second, signed) = ledger._relay._stage()
        # The first is given up, and the node keeps the second until somebody uses the number.
        ledger._outbox.note(first, Stage.SKIPPED, "overtaken")
        ledger.node.send(signed.raw)
        ledger._outbox.note_sent([second])
        reach(ledger, index, State.FINAL)
        assert ledger.state_of(index).transaction == signed.hash
        assert granted(ledger) == 1
        check_truth(ledger)


def test_a_stuck_transaction_pays_more_under_its_own_number(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    settings = quick(fees=replace(quick().relay.fees, bump_seconds=0.05))
    with deploy(node, accounts[0], tmp_path / "gateway", settings) as ledger:
        node.rpc("evm_setAutomine", False)
        index = grant(ledger)
        ledger.sync()
        first = newest_hash(ledger, index)
        time.sleep(0.06)
        ledger.sync()
        second = newest_hash(ledger, index)
        assert first != second
        (item,) = ledger._outbox.items(Stage.SUBMITTED, kind=ItemKind.CALL)
        new, old = ledger._outbox.signed(item)
        assert new.nonce == old.nonce
        assert new.price > 1.1 * old.price
        node.rpc("evm_setAutomine", True)
        node.rpc("anvil_mine", hex(1))
        ledger.wait("final", WAIT_SECONDS)
        assert ledger.state_of(index).transaction == second
        assert granted(ledger) == 1


def test_fees_above_the_limit_wait(node: NodeProcess, accounts: Accounts, tmp_path: Path) -> None:
    settings = quick(fees=replace(quick().relay.fees, max_price_wei=1))
    with deploy(node, accounts[0], tmp_path / "gateway", settings) as ledger:
        index = grant(ledger)
        ledger.sync(flush=True)
        assert ledger.state_of(index).detail == "fee-above-limit"
        dear = replace(settings, relay=quick().relay)
        with reopen(ledger, node, relay=dear.relay) as again:
            again.wait("final", WAIT_SECONDS)


def test_the_same_change_under_the_number_of_another_is_told_apart(
    accounts: Accounts, tmp_path: Path
) -> None:
    signer = KeySigner.from_key(accounts[0].key)
    owner = KeySigner.from_key(accounts[1].key)
    give = role_event(signer.account, Role.REGISTRAR, RoleChange.ADD, actor=owner.account)
    # Where nothing is paid, equal calls under equal numbers are equal bytes.
    free = ("--gas-price", "0", "--base-fee", "0", "--disable-min-priority-fee")
    settings, folder = quick(fees=FeePolicy(max_price_wei=0)), tmp_path / "gateway"
    with start_anvil(extra=free) as node:
        # The numbers of the gateway begin at 3 on this chain, and at 0 on the next one.
        for _ in range(3):
            sent = {"from": signer.address, "to": signer.address, "gasPrice": "0x0"}
            node.rpc("eth_sendTransaction", sent)
        with deploy(node, accounts[1], tmp_path / "owner", settings) as of_owner:
            act(node, accounts[1], of_owner, give, gasPrice="0x0")
            address = of_owner.contract.address
        with EthereumLedger(node.url, address, signer, folder=folder, settings=settings) as ledger:
            taken = [ledger.revoke(PERSON, SUBJECT, actor=signer.account).index for _ in range(8)]
            ledger.wait("final", WAIT_SECONDS)
            node.restart(empty=True)
            assert Contract.deploy(ledger.node, owner).address == address
            act(node, accounts[1], ledger, give, gasPrice="0x0")
            ledger.wait("final", WAIT_SECONDS)
            assert len({ledger.state_of(index).transaction for index in taken}) == 8
            assert len(ledger.node.logs(address, (REVOKED_ALL,))) == 8
            assert ledger.state().refused == 0
            check_truth(ledger)
