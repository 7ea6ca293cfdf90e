"""The ledger on a network: latency to durable, mined and final, images a second, gas, decisions.

Anvil and Ganache stand in for a network of validators: what they cost is the client's part and
the block time, not the agreement between machines. Gas is free on anvil here, as it is on a
private network, and counts all the same.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ledger import make_event, summary, timed
from benchmarks.ledger_network_costs import (
    BATCH_SIZES,
    CEILINGS,
    exceeded,
    measure_gas,
    measure_transactions,
    per_image,
)
from benchmarks.nodes import NodeProcess, node_accounts, start_anvil, start_ganache
from benchmarks.report import arguments, write_result
from medseal.ledger import Action, Event, Grant, Receipt, verify
from medseal.ledger.ethereum.decisions import DecisionCache
from medseal.ledger.ethereum.ledger import EthereumLedger
from medseal.ledger.ethereum.proof import check_anchor
from medseal.ledger.ethereum.settings import NetworkSettings, RelaySettings
from medseal.ledger.ethereum.signer import KeySigner
from medseal.ledger.item import State

FREE = ("--gas-price", "0", "--block-base-fee-per-gas", "0")
BATCH = 1_024
# However short the time, so many images are measured.
LEAST = 10
PAUSE_SECONDS = 0.002
WAIT_SECONDS = 300.0
# What the paper states; it names no price of gas.
PAPER = {"seconds_an_image": 0.5, "eth_an_image": 0.01, "images_a_day": 100_000}
# A low price, and the one at which a plain registry of 103,000 gas an image costs 0.01 ETH.
PRICES_GWEI = (1, 97)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """A kind of node.

    Attributes
    ----------
    start
        Starts it.
    confirmations
        Blocks above one until it counts as final; 0 where blocks come of transactions alone.
    transactions, singles
        How many are measured, pipelined and one by one.
    """

    start: Callable[[], AbstractContextManager[NodeProcess]]
    confirmations: int
    transactions: int
    singles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured.

    Attributes
    ----------
    latency_seconds
        How long images come in one by one, about 20 a second.
    images
        Number of images anchored end to end.
    share
        Part of the transactions of a backend.
    calls
        Repetitions of what takes milliseconds.
    repeats
        Runs of the end-to-end measurement; the least is named as such.
    """

    latency_seconds: float
    images: int
    share: float
    calls: int
    repeats: int


FULL = Extent(latency_seconds=30.0, images=100_000, share=1.0, calls=500, repeats=3)
QUICK = Extent(latency_seconds=2.0, images=3_000, share=0.05, calls=40, repeats=1)

BACKENDS = {
    "anvil_instant": Backend(
        start=lambda: start_anvil(extra=FREE), confirmations=0, transactions=2_000, singles=60
    ),
    "anvil_half_second": Backend(
        start=lambda: start_anvil(extra=FREE, block_time=0.5),
        confirmations=2,
        transactions=2_000,
        singles=60,
    ),
    "anvil_one_second": Backend(
        start=lambda: start_anvil(extra=FREE, block_time=1),
        confirmations=2,
        transactions=2_000,
        singles=40,
    ),
    "ganache": Backend(start=start_ganache, confirmations=0, transactions=300, singles=60),
}


@contextmanager
def new_ledger(process: NodeProcess, place: Path, relay: RelaySettings) -> Iterator[EthereumLedger]:
    """Give a ledger of a new contract."""
    signer = KeySigner.from_key(node_accounts()[0].key)
    settings = NetworkSettings(relay=relay, poll_seconds=0.02, max_head_age_seconds=None)
    folder = place / secrets.token_hex(4)
    with EthereumLedger.deploy(process.url, signer, folder=folder, settings=settings) as ledger:
        ledger.wait(State.FINAL, WAIT_SECONDS)
        yield ledger


# --- Latency ----------------------------------------------------------------------------------


class _Watch:
    """Notes when each image of a list reaches a state; images reach it in order."""

    def __init__(self, ledger: EthereumLedger, *states: State) -> None:
        self.ledger = ledger
        self.states = states
        self.seconds: list[float] = []

    def look(self, begun: Sequence[tuple[int, float]]) -> None:
        """Note the images that are there by now."""
        while len(self.seconds) < len(begun):
            index, start = begun[len(self.seconds)]
            if self.ledger.state_of(index).state not in self.states:
                return
            self.seconds.append(time.perf_counter() - start)


def measure_latency(process: NodeProcess, place: Path, backend: Backend, seconds: float) -> Any:
    """Return how long images that come in one by one take to be durable, mined and final.

    Each is anchored at once; the batches of the default settings close after two seconds.
    """
    relay = RelaySettings(batch_seconds=0.0, confirmations=backend.confirmations)
    with new_ledger(process, place, relay) as ledger:
        durable: list[float] = []
        begun: list[tuple[int, float]] = []
        mined, final = _Watch(ledger, State.MINED, State.FINAL), _Watch(ledger, State.FINAL)
        ledger.start()
        end = time.perf_counter() + seconds
        while len(final.seconds) < len(begun) or len(begun) < LEAST or time.perf_counter() < end:
            is_open = len(begun) < LEAST or time.perf_counter() < end
            if is_open and not secrets.randbelow(25):
                event, start = make_event(), time.perf_counter()
                begun.append((ledger.append(event).index, start))
                durable.append(time.perf_counter() - start)
            mined.look(begun)
            # What became final between the two looks is noted as mined first.
            final.look(begun[: len(mined.seconds)])
            time.sleep(PAUSE_SECONDS)
            if time.perf_counter() > end + WAIT_SECONDS:
                raise RuntimeError("images do not become final")
    return {
        "images": len(begun),
        "confirmations": backend.confirmations,
        "durable": summary(durable),
        "mined": summary(mined.seconds),
        "final": summary(final.seconds),
    }


# --- Images a second --------------------------------------------------------------------------


def anchor_all(ledger: EthereumLedger, events: Sequence[Event]) -> dict[str, Any]:
    """Record and anchor images in batches; return what it took, events not counted."""
    start = time.perf_counter()
    for first in range(0, len(events), BATCH):
        ledger.append_many(events[first : first + BATCH])
        ledger.sync()
    ledger.wait(State.FINAL, WAIT_SECONDS)
    seconds = time.perf_counter() - start
    head = ledger.contract.anchor_of(ledger.checkpoint().root)
    if head is None or ledger.state().final != ledger.size:
        raise RuntimeError("not every image is anchored")
    return {"seconds": round(seconds, 3), "anchors": head.sequence - 1}


def measure_end_to_end(process: NodeProcess, place: Path, extent: Extent) -> dict[str, Any]:
    """Return how long many images take from the first record to the last final anchor."""
    runs = []
    events = [make_event() for _ in range(extent.images)]
    for _ in range(extent.repeats):
        with new_ledger(process, place, RelaySettings(batch_leaves=BATCH)) as ledger:
            runs.append(anchor_all(ledger, events))
    least = min(run["seconds"] for run in runs)
    return {
        "images": extent.images,
        "seconds_of_each_run": [run["seconds"] for run in runs],
        "seconds_least": least,
        "images_per_second_of_the_least": round(extent.images / least),
        "anchors": runs[-1]["anchors"],
    }


# --- Decisions and proofs ---------------------------------------------------------------------


def measure_decisions(ledger: EthereumLedger, calls: int) -> dict[str, Any]:
    """Return the time of a decision that allows: asked of the contract, and reused."""
    account, subject = secrets.token_hex(16), f"sha256:{secrets.token_hex(32)}"
    owner = ledger.signer.account
    ledger.grant(Grant(account=account, subject=subject, action=Action.VIEW), actor=owner)
    ledger.wait(State.FINAL, WAIT_SECONDS)
    fresh = DecisionCache(ledger.contract, max_age_seconds=0, max_head_age_seconds=None)
    kept = DecisionCache(ledger.contract, max_age_seconds=1e9, max_head_age_seconds=None)

    def times(may: Callable[..., Any]) -> dict[str, float]:
        may(account, subject, Action.VIEW).require()
        return summary(
            [timed(lambda: may(account, subject, Action.VIEW).require()) for _ in range(calls)]
        )

    return {
        "asked_of_the_contract": times(fresh.may),
        "reused": times(kept.may),
        "ledger_reused_within_a_second": times(ledger.may),
    }


def measure_proofs(ledger: EthereumLedger, images: int, calls: int) -> dict[str, Any]:
    """Return times of verifying anchored receipts, offline and against a node."""
    ledger.append_many([make_event() for _ in range(images)])
    ledger.wait(State.FINAL, WAIT_SECONDS)
    node, contract = ledger.node, ledger.contract.address
    chain_id = node.chain_id()
    files = [ledger.prove(secrets.randbelow(ledger.size)).to_bytes() for _ in range(calls)]
    offline = [timed(lambda file=file: verify(file, ledger.vkey)) for file in files]  # type: ignore[misc]
    receipts = [Receipt.parse(file) for file in files]
    online = [
        timed(lambda one=one: check_anchor(one, node, chain_id=chain_id, contract=contract))  # type: ignore[misc]
        for one in receipts
    ]
    return {
        "receipt_bytes_max": max(map(len, files)),
        "verify_offline": summary(offline),
        "verify_against_a_node": summary(online),
    }


# --- The paper's rows -------------------------------------------------------------------------


def compare(anchor_gas: int, singles: dict[str, Any]) -> dict[str, Any]:
    """Return the day of the paper, with one transaction an image and in batches.

    Parameters
    ----------
    anchor_gas
        Gas of an anchor, of one entry or of thousands.
    singles
        Result of `measure_transactions` at the paper's block time.
    """
    images = PAPER["images_a_day"]
    anchors = {1: images} | {size: -(-images // size) for size in BATCH_SIZES}
    rows = {}
    for size, count in anchors.items():
        gas = int(count * anchor_gas)
        rows[str(size)] = {
            "transactions_a_day": int(count),
            "gas_a_day": gas,
            "gas_an_image": round(gas / images, 2),
            **{f"eth_a_day_at_{price}_gwei": gas * price / 1e9 for price in PRICES_GWEI},
        }
    return {
        "stated": dict(PAPER),
        "images_a_transaction": rows,
        "one_transaction_at_half_second_blocks": {
            "gas": singles["gas"],
            **{f"eth_at_{price}_gwei": singles["gas"] * price / 1e9 for price in PRICES_GWEI},
            "gwei_at_which_it_costs_what_is_stated": round(
                PAPER["eth_an_image"] * 1e9 / singles["gas"], 1
            ),
            "sent_to_mined": summary(singles["seconds"]),
            "transactions_per_second": singles["transactions_per_second"],
        },
    }


# --- Everything -------------------------------------------------------------------------------


def measure_backend(name: str, place: Path, extent: Extent) -> dict[str, Any]:
    """Return everything that depends on the kind of node."""
    backend = BACKENDS[name]
    with backend.start() as process:
        latency = measure_latency(process, place, backend, extent.latency_seconds)
        count = max(20, int(backend.transactions * extent.share))
        singles = max(5, int(backend.singles * extent.share))
        transactions = measure_transactions(process, count, singles)
        sent_to_mined = transactions.pop("seconds")
        result = {
            "latency": latency,
            "transactions": transactions | {"sent_to_mined": summary(sent_to_mined)},
            "end_to_end": measure_end_to_end(process, place, extent),
            "gas": measure_gas(process),
        }
        if name == "anvil_half_second":
            result["paper"] = compare(
                result["gas"]["anchor"], transactions | {"seconds": sent_to_mined}
            )
        if name == "anvil_instant":
            with new_ledger(process, place, RelaySettings()) as ledger:
                result["decisions"] = measure_decisions(ledger, extent.calls)
                result["proofs"] = measure_proofs(ledger, extent.images // 2, extent.calls)
    return result


def measure(place: Path, extent: Extent) -> dict[str, Any]:
    """Return everything, arranged by figure."""
    loads = []
    found = {}
    for name in BACKENDS:
        found[name] = measure_backend(name, place, extent)
        loads.append(round(os.getloadavg()[0], 2))
    gas = found["anvil_instant"]["gas"]
    return {
        "nodes": {
            name: {part: one[part] for part in ("latency", "transactions", "end_to_end")}
            for name, one in found.items()
        },
        "gas": gas,
        "gas_ceilings": dict(CEILINGS),
        "gas_above_a_ceiling": len({n for one in found.values() for n in exceeded(one["gas"])}),
        "gas_an_image": per_image(gas["anchor"]),
        "decisions": found["anvil_instant"]["decisions"],
        "proofs": found["anvil_instant"]["proofs"],
        "paper": found["anvil_half_second"]["paper"],
        "load_averages": loads,
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write the result."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    # Beside the results, not in the folder for temporary files: that may live in memory.
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.output) as folder:
        result = measure(Path(folder), QUICK if chosen.quick else FULL)
    write_result("ledger_network", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
