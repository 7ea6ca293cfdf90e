"""Random faults and kill -9 between a gateway and its network: nothing lost, nothing doubled.

Each round starts a real gateway in its own process, on a real node, and lets three threads record
while its relay sends. Meanwhile something happens to the node, the chain, the key or the disk; then
the gateway is killed at a random moment. The node is set right and the workspace opened again:
what was acknowledged must be in the log, no root may be anchored and no change of rights carried
out twice, and each state that is reported must be what the chain holds.
"""

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from eth_utils.crypto import keccak

from benchmarks.ledger_fault_kinds import (
    DISK_BYTES,
    FAULTS,
    HEAL_SECONDS,
    Chance,
    Fault,
    Network,
    disk_full,
    new_network,
    no_fault,
)
from benchmarks.ledger_faults_client import FULL, READY
from benchmarks.report import arguments, write_result
from medseal.digest import Digest
from medseal.errors import MedsealError, UnreachableError
from medseal.ledger import (
    EthereumLedger,
    EventKind,
    SyncState,
    verify,
)
from medseal.ledger.ethereum.answers import Block, TxReceipt, parse_block, parse_receipt
from medseal.ledger.ethereum.codec import SELECTOR_BYTES, WORD_BYTES, calls_of
from medseal.ledger.item import Item, ItemKind, Stage
from medseal.ledger.rights import ALL_ACTIONS

ROUNDS = 200
QUICK_ROUNDS = 20
# Then a new node, contract and workspace, so that the checks of a round stay short.
ROUNDS_A_NETWORK = 10
_ANCHORED = keccak(b"Anchored(bytes32,address,uint64,uint64,bytes32)")
_GRANTED = keccak(b"Granted(bytes32,address,uint256)")
_REVOKED = keccak(b"Revoked(bytes32,address,uint8)")
_REVOKED_ALL = keccak(b"RevokedAll(bytes32,address)")


def run_and_kill(network: Network, fault: Fault, chance: Chance) -> tuple[dict[int, Digest], bool]:
    """Let a gateway record while a fault happens, and kill it.

    Returns
    -------
    dict, bool
        What it acknowledged, by index; and whether its disk was full.
    """
    limit = DISK_BYTES if fault is disk_full else 0
    command = [sys.executable, "-m", "benchmarks.ledger_faults_client"]
    options = (
        network.folder / "gateway",
        network.confirmations,
        int(network.is_free),
        limit,
    )
    command += [network.node.url, network.contract, *map(str, options)]
    with subprocess.Popen(  # noqa: S603 - this interpreter and a module of ours
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=Path(__file__).parents[1],
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise RuntimeError("the gateway has no pipes")
        child.stdin.write(network.gateway.key.hex() + "\n")
        child.stdin.flush()
        if child.stdout.readline() != f"{READY}\n":
            raise RuntimeError("the gateway did not start")
        time.sleep(chance.uniform(0, 0.4))
        fault(network, chance)
        time.sleep(chance.uniform(0, 0.4))
        child.kill()
        lines = child.stdout.read().split("\n")
    # The last line may have been cut off; only whole lines were acknowledged.
    pairs = [line.split() for line in lines[:-1] if line != FULL]
    found = {int(index): Digest.parse(digest) for index, digest in pairs}
    return found, FULL in lines


def check_round(network: Network, found: dict[int, Digest]) -> Counter[str]:
    """Return how many promises were broken, by kind."""
    broken: Counter[str] = Counter()
    broken["indices_given_twice"] = len(network.acknowledged.keys() & found.keys())
    network.acknowledged |= found
    network.heal()
    with network.open() as ledger:
        for index, leaf_hash in found.items():
            broken["acknowledged_and_lost"] += not _is_kept(ledger, index, leaf_hash)
        # Once with whatever the kill has left, and once when all has arrived.
        with suppress(MedsealError):
            ledger.sync()
        broken["untrue_states"] += untrue_states(ledger)
        final = carry_on(network, ledger)
        broken["untrue_states"] += untrue_states(ledger)
        broken["entries_not_final"] += ledger.size - final.final - final.refused
        broken["changes_refused"] += final.refused - overtaken(ledger)
        broken.update(doubled(ledger))
        broken["rights_that_differ"] += rights_that_differ(ledger)
        # The whole log is read: every stored byte is compared with what was signed.
        ledger.audit()
    return broken


def carry_on(network: Network, ledger: EthereumLedger) -> SyncState:
    """Bring everything to the contract, as far as it goes, and return the counts."""

    def progress(_state: SyncState) -> None:
        # Such a node makes blocks of new transactions only; what a replaced block gave back waits.
        if not network.block_seconds:
            network.node.rpc("anvil_mine", "0x1")

    with suppress(UnreachableError):
        return ledger.wait("final", HEAL_SECONDS, progress=progress)
    return ledger.state()


def _is_kept(ledger: EthereumLedger, index: int, leaf_hash: Digest) -> bool:
    try:
        receipt = ledger.prove(leaf_hash)
        verify(receipt, ledger.vkey)
    except MedsealError:
        return False
    return receipt.index == index


def settled(ledger: EthereumLedger) -> list[Item]:
    """Return what is said to stand on the chain."""
    return ledger._outbox.items(Stage.MINED, Stage.FINAL)


def untrue_states(ledger: EthereumLedger) -> int:
    """Return how many items are said to stand on the chain and do not."""
    items = settled(ledger)
    receipts = ledger.node.batch([("eth_getTransactionReceipt", (item.hash,)) for item in items])
    blocks = ledger.node.batch(
        [("eth_getBlockByNumber", (hex(item.block_number or 0), False)) for item in items]
    )
    return sum(
        not _is_true(ledger, item, parse_receipt(receipt), parse_block(block))
        for item, receipt, block in zip(items, receipts, blocks, strict=True)
    )


def _is_true(
    ledger: EthereumLedger, item: Item, receipt: TxReceipt | None, block: Block | None
) -> bool:
    if receipt is None or block is None or receipt.status != 1:
        return False
    if not receipt.block_hash == block.hash == item.block_hash:
        return False
    if item.kind is ItemKind.ANCHOR:
        anchor = ledger.contract.anchor_of(item.root)
        return anchor is not None and anchor.size == item.place
    return bool(receipt.logs)


def overtaken(ledger: EthereumLedger) -> int:
    """Return how many changes are refused because a later one of the same right was faster."""
    refused = ledger._outbox.items(Stage.REFUSED, kind=ItemKind.CALL)
    return sum(item.detail == "overtaken" for item in refused)


def rights_that_differ(ledger: EthereumLedger) -> int:
    """Return how many grants stand in the contract but not by the log, or by the log alone."""
    rights: dict[tuple[str, str], dict[str, str]] = {}
    for _, event in ledger.events():
        terms = event.details
        of_right = rights.setdefault((str(terms.get("account")), event.subject), {})
        if event.kind is EventKind.GRANT:
            of_right[str(terms["action"])] = str(terms["purpose"])
        elif event.kind is EventKind.REVOKE and terms["action"] == ALL_ACTIONS:
            of_right.clear()
        elif event.kind is EventKind.REVOKE:
            of_right.pop(str(terms["action"]), None)
    expected = {
        (*right, action, purpose) for right, of in rights.items() for action, purpose in of.items()
    }
    found = {
        (grant.account, grant.subject, str(grant.action), grant.purpose)
        for grant in ledger.grants()
    }
    return len(expected ^ found)


def doubled(ledger: EthereumLedger) -> dict[str, int]:
    """Return how many roots were anchored and how many changes of rights carried out twice."""
    anchors: Counter[bytes] = Counter()
    changes: Counter[tuple[bytes, ...]] = Counter()
    recorded = recorded_changes(ledger)
    twice = 0
    seen: set[str] = set()
    for log in ledger.node.logs(ledger.contract.address, ()):
        # Anvil shows logs of blocks that were replaced; one transaction counts once.
        if log.transaction in seen:
            continue
        seen.add(log.transaction)
        if log.topics[0] == _ANCHORED:
            anchors[log.topics[1]] += 1
        if log.topics[0] not in (_GRANTED, _REVOKED, _REVOKED_ALL):
            continue
        change = (*log.topics, log.data)
        changes[change] += 1
        twice += changes[change] > recorded[change]
        # What was carried out before an older change of the same right is carried out once more
        # behind it; that is no second time.
        for other in [one for one in changes if one[1:3] == log.topics[1:]]:
            if other != change:
                del changes[other]
    return {
        "roots_anchored_twice": sum(count - 1 for count in anchors.values()),
        "changes_carried_out_twice": twice,
    }


def recorded_changes(ledger: EthereumLedger) -> Counter[tuple[bytes, ...]]:
    """Return what the contract should write down of the log, and how often: topics and data."""
    found: Counter[tuple[bytes, ...]] = Counter()
    for _, event in ledger.events():
        if event.kind not in (EventKind.GRANT, EventKind.REVOKE):
            continue
        (call,) = calls_of(event)
        terms = call[SELECTOR_BYTES:]
        right = (terms[:WORD_BYTES], terms[WORD_BYTES : 2 * WORD_BYTES])
        data = terms[2 * WORD_BYTES :]
        name = _GRANTED if event.kind is EventKind.GRANT else _REVOKED if data else _REVOKED_ALL
        found[name, *right, data] += 1
    return found


def run(rounds: int, *, seed: int = 1, faults: Sequence[Fault] = FAULTS) -> dict[str, Any]:
    """Kill `rounds` times and return the broken promises and the counts behind them."""
    chance = np.random.default_rng(seed)
    broken: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        for number in range(0, rounds, ROUNDS_A_NETWORK):
            with new_network(Path(name), number // ROUNDS_A_NETWORK) as network:
                for place in range(number, min(number + ROUNDS_A_NETWORK, rounds)):
                    # Every fault has its turn, in an order that the seed shuffles.
                    fault = faults[place % len(faults)] if place else no_fault
                    found, is_full = run_and_kill(network, fault, chance)
                    counts["full_disks"] += is_full
                    happened[fault.__name__] += 1
                    counts["acknowledged"] += len(found)
                    broken.update(check_round(network, found))
                    _say(place, fault, broken)
                with network.open() as ledger:
                    counts["entries"] += ledger.size
                    for item in settled(ledger):
                        counts["anchors" if item.kind is ItemKind.ANCHOR else "changes"] += 1
                    items = ledger._outbox.items(Stage.REFUSED)
                    refused.update(item.detail for item in items)
    return {
        "rounds": rounds,
        "seconds": round(time.monotonic() - start, 1),
        "seed": seed,
        "faults": dict(happened),
        "counts": dict(counts),
        "refused": dict(refused),
        "broken_promises": dict(broken),
    }


def _say(place: int, fault: Fault, broken: Counter[str]) -> None:
    found = {name: count for name, count in broken.items() if count}
    sys.stderr.write(f"round {place + 1}, {fault.__name__}: {found or 'all kept'}\n")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the measurement and write ``ledger_faults.json``."""
    parser = arguments(__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="order and length of the faults")
    names = [fault.__name__ for fault in FAULTS]
    parser.add_argument("--fault", choices=names, action="append", help="only this one; repeatable")
    chosen = parser.parse_args(argv)
    faults = [fault for fault in FAULTS if fault.__name__ in (chosen.fault or names)]
    rounds = QUICK_ROUNDS if chosen.quick else ROUNDS
    result = run(rounds, seed=chosen.seed, faults=faults)
    write_result("ledger_faults", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
