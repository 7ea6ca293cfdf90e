"""What is said to stand in blocks does, however the chain was replaced and has grown since."""

from pathlib import Path
from typing import Any

import pytest

from medseal.ledger import Action, EthereumLedger, KeySigner, State
from medseal.ledger.ethereum.contract import Contract
from medseal.ledger.item import Stage
from tests.ledger.ethereum.gateways import (
    PERSON,
    QUICK,
    SUBJECT,
    WAIT_SECONDS,
    Accounts,
    check_receipts,
    check_truth,
    grant,
    granted,
    seals,
)
from tests.ledger.ethereum.liar import liar_url, start_liar
from tests.ledger.ethereum.nodes import NodeProcess


@pytest.mark.parametrize("blocks", [10, 200])
def test_an_empty_chain_that_has_outgrown_the_old_one(
    ledger: EthereumLedger, node: NodeProcess, blocks: int
) -> None:
    receipts = ledger.append_many(seals(4))
    index = grant(ledger)
    ledger.wait("final", WAIT_SECONDS)
    node.restart(empty=True)
    Contract.deploy(ledger.node, ledger.signer)
    # Nobody looked for a while: what stood in the old blocks lies deep below the head now.
    node.rpc("anvil_mine", hex(blocks))
    ledger.sync()
    assert ledger.state_of(index).state is not State.REFUSED
    ledger.wait("final", WAIT_SECONDS)
    assert ledger.may(PERSON, SUBJECT, Action.VIEW)
    assert granted(ledger) == 1
    check_receipts(ledger, receipts)
    check_truth(ledger)


def test_an_empty_chain_that_has_outgrown_a_floor(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    receipts = []
    for action in Action:
        receipts += ledger.append_many(seals(2))
        grant(ledger, action)
        ledger.wait("final", WAIT_SECONDS)
        node.rpc("anvil_mine", hex(70))
    ledger.sync()
    floor = ledger._outbox.floor()
    assert floor is not None
    assert 0 < floor.number < ledger.node.block_number()
    node.restart(empty=True)
    Contract.deploy(ledger.node, ledger.signer)
    node.rpc("anvil_mine", hex(floor.number + 500))
    ledger.wait("final", WAIT_SECONDS)
    assert granted(ledger) == len(Action)
    check_receipts(ledger, receipts)
    check_truth(ledger)


def test_a_block_that_is_replaced_under_newer_ones(
    node: NodeProcess, accounts: Accounts, tmp_path: Path
) -> None:
    before: list[str] = []

    def replace(params: list[Any], honest: dict[str, Any]) -> dict[str, Any]:
        """Replace the two newest blocks, bring back what stood there, and let the chain grow."""
        if before:
            node.rpc("anvil_reorg", 2, [])
            for raw in (before.pop(), *params):
                node.rpc("eth_sendRawTransaction", raw)
            node.rpc("anvil_mine", hex(100))
        return honest

    with start_liar(node.url, {"eth_sendRawTransaction": replace}) as server:
        signer = KeySigner.from_key(accounts[0].key)
        with EthereumLedger.deploy(
            liar_url(server), signer, folder=tmp_path / "gateway", settings=QUICK
        ) as ledger:
            first = grant(ledger, Action.VIEW)
            ledger.sync()
            seen = ledger.state_of(first)
            assert seen.state is State.FINAL
            (item,) = ledger._outbox.items(Stage.FINAL)
            before.append("0x" + ledger._outbox.signed(item)[0].raw.hex())
            # Within one step the chain is replaced, and grows by more than is looked at again.
            second = grant(ledger, Action.CLASSIFY)
            ledger.sync()
            assert not before
            assert ledger.state_of(second).state is State.FINAL
            ledger.sync()
            ledger.wait("final", WAIT_SECONDS)
            check_truth(ledger)
            again = ledger.state_of(first)
            assert again.transaction == seen.transaction
            assert again.block_hash != seen.block_hash


def test_a_receipt_from_below_the_floor_of_another_chain(
    ledger: EthereumLedger, node: NodeProcess
) -> None:
    ledger.append_many(seals(1))
    grant(ledger)
    ledger.wait("final", WAIT_SECONDS)
    node.rpc("anvil_mine", hex(200))
    # With something new the floor rises.
    grant(ledger, Action.CLASSIFY)
    ledger.wait("final", WAIT_SECONDS)
    ledger.sync()
    floor = ledger._outbox.floor()
    assert floor is not None
    tracker = ledger._relay._tracker
    node.restart(empty=True)
    Contract.deploy(ledger.node, ledger.signer)
    for item in ledger._outbox.items(Stage.FINAL):
        for one in ledger._outbox.signed(item):
            node.rpc("eth_sendRawTransaction", "0x" + one.raw.hex())
    node.rpc("anvil_mine", hex(floor.number + 100))
    # What is settled now stands on the new chain, and what was before on the old one.
    (item, *_) = ledger._outbox.items(Stage.FINAL)
    assert tracker.settle_if_mined(item)
    assert ledger._outbox.floor() is None
    ledger.wait("final", WAIT_SECONDS)
    assert granted(ledger) == 2
    check_truth(ledger)
