"""Gateways for the tests: network ledgers on real nodes, and what must be true of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from eth_utils.crypto import keccak

from medseal.ledger import (
    Action,
    EthereumLedger,
    Event,
    EventKind,
    Grant,
    KeySigner,
    NetworkSettings,
    Receipt,
    RelaySettings,
    State,
    verify,
)
from medseal.ledger.ethereum.codec import calls_of
from medseal.ledger.item import ItemKind, Stage
from tests.ledger.ethereum.nodes import NodeAccount, NodeProcess

ANCHORED = keccak(b"Anchored(bytes32,address,uint64,uint64,bytes32)")
GRANTED = keccak(b"Granted(bytes32,address,uint256)")
SUBJECT = "sha256:" + "5a" * 32
PERSON = "0" * 31 + "7"
WAIT_SECONDS = 20.0
Accounts = tuple[NodeAccount, ...]
QUICK = NetworkSettings(
    timeout_seconds=2.0,
    simulation_seconds=0.3,
    away_seconds=0.2,
    poll_seconds=0.02,
    max_age_seconds=0.0,
    # These nodes make blocks only of transactions.
    max_head_age_seconds=None,
)


def quick(**relay: object) -> NetworkSettings:
    """Return settings for tests, with some of the relay's changed."""
    return replace(QUICK, relay=RelaySettings(**relay))  # type: ignore[arg-type]


def deploy(
    node: NodeProcess, account: NodeAccount, folder: Path, settings: NetworkSettings = QUICK
) -> EthereumLedger:
    """Return a ledger on a new contract that the account owns."""
    signer = KeySigner.from_key(account.key)
    return EthereumLedger.deploy(node.url, signer, folder=folder, settings=settings)


def reopen(ledger: EthereumLedger, node: NodeProcess, **change: object) -> EthereumLedger:
    """Close a ledger and open its folder again."""
    ledger.close()
    settings = replace(ledger.settings, **change)  # type: ignore[arg-type]
    address = ledger.contract.address
    return EthereumLedger(node.url, address, ledger.signer, folder=ledger.folder, settings=settings)


def grant(ledger: EthereumLedger, action: Action = Action.VIEW, account: str = PERSON) -> int:
    """Give a grant and return its index."""
    given = Grant(account=account, subject=SUBJECT, action=action)
    return ledger.grant(given, actor=ledger.signer.account).index


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what becomes true a moment after a call: nodes make blocks beside."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_so():
        assert time.monotonic() < deadline, "it did not become true"
        time.sleep(0.02)


def reach(ledger: EthereumLedger, index: int, state: State, detail: str = "") -> None:
    """Carry on until an entry is in a state, for a reason."""

    def is_there() -> bool:
        ledger.sync()
        told = ledger.state_of(index)
        return (told.state, told.detail) == (state, detail)

    until(is_there)


def act(
    node: NodeProcess, sender: NodeAccount, ledger: EthereumLedger, event: Event, **fees: str
) -> None:
    """Let the contract carry out an event that no log of ours has."""
    (data,) = calls_of(event)
    call = {"from": sender.address, "to": ledger.contract.address, "data": "0x" + data.hex()}
    node.rpc("eth_sendTransaction", call | fees)


def steal(node: NodeProcess, ledger: EthereumLedger, item_hash: str | None = None) -> None:
    """Let another client with the same key take the next number, or that of a transaction."""
    if item_hash is not None:
        node.rpc("anvil_dropTransaction", item_hash)
    sender = ledger.signer.address
    node.rpc("eth_sendTransaction", {"from": sender, "to": sender})


def newest_hash(ledger: EthereumLedger, index: int) -> str:
    """Return the newest transaction of a change that a node has accepted."""
    (item,) = [
        one
        for one in ledger._outbox.items(Stage.SUBMITTED, kind=ItemKind.CALL)
        if one.place == index
    ]
    return ledger._outbox.signed(item)[0].hash


def seals(count: int) -> list[Event]:
    """Return events that change no rights."""
    return [Event.new(EventKind.SEAL, subject=SUBJECT) for _ in range(count)]


def granted(ledger: EthereumLedger) -> int:
    """Return how many grants the chain has seen."""
    return len(ledger.node.logs(ledger.contract.address, (GRANTED,)))


def check_receipts(ledger: EthereumLedger, receipts: Sequence[Receipt]) -> None:
    """Nothing acknowledged is lost: each entry is where its receipt says, and proves itself."""
    for receipt in receipts:
        now = ledger.prove(receipt.index)
        assert now.leaf == receipt.leaf
        verify(now, ledger.vkey)
        verify(receipt, ledger.vkey)


def check_truth(ledger: EthereumLedger) -> None:
    """What is said to stand on the chain stands there, once; what is not, does not."""
    contract, node = ledger.contract, ledger.node
    anchors = node.logs(contract.address, (ANCHORED,))
    roots = [log.topics[1] for log in anchors]
    assert len(roots) == len(set(roots)), "a root was anchored twice"
    settled = ledger._outbox.items(Stage.MINED, Stage.FINAL)
    for item in settled:
        assert item.hash is not None
        receipt = node.receipt(item.hash)
        assert receipt is not None
        assert (receipt.status, receipt.block_hash) == (1, item.block_hash)
        block = node.block(receipt.block_number)
        assert block is not None
        assert block.hash == item.block_hash
        if item.kind is ItemKind.ANCHOR:
            found = contract.anchor_of(item.root)
            assert found is not None
            assert found.size == item.place
            assert item.root == ledger.checkpoint(item.place).root
        else:
            (_, event) = next(ledger.events(item.place, item.place + 1))
            assert item.data in calls_of(event)
            assert ledger.state_of(item.place).state in (State.MINED, State.FINAL)
