"""Durable receipts, batches, and proofs in a log of a million entries.

A durable receipt cannot be faster than the fsync that it waits for, so a bare append of as many
bytes with fsync is measured in turn with it. Offline verification starts from the bytes of a
receipt file and the text of the public key.
"""

import os
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.report import arguments, write_result
from medseal.ledger import (
    COSIGNATURE_V1,
    Action,
    EmbeddedLedger,
    Event,
    EventKind,
    Grant,
    Receipt,
    SigningKey,
    VerifyingKey,
    genesis_event,
    verify,
)
from medseal.ledger.growth import Growth
from medseal.ledger.merkle import Frontier, leaf_hash, verify_consistency

OWNER = secrets.token_hex(16)
APPENDS = 3_000
QUICK_APPENDS = 200
BATCHES = (1, 16, 128, 1024, 8192)
SEALED = (64, 1024, 16_384)
BATCH_SECONDS = 3.0
QUICK_BATCH_SECONDS = 0.3
THREADS = 16
LOG_SIZE = 1_000_000
QUICK_LOG_SIZE = 20_000
BUILD_BATCH = 8_192
PROOFS = 1_000
# Bytes that one append adds to SQLite's journal: five pages with their headers.
JOURNAL_BYTES = 5 * (16_384 + 24)


def make_event() -> Event:
    """Return an event of the size that sealing an image records."""
    return Event.new(
        EventKind.SEAL,
        actor=OWNER,
        subject=f"sha256:{secrets.token_hex(32)}",
        details={"package": f"sha256:{secrets.token_hex(32)}", "recipients": 1},
    )


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Return median, 95th and 99th percentile and maximum in milliseconds."""
    milliseconds = [value * 1000 for value in seconds]
    percentiles = quantiles(milliseconds, n=100, method="inclusive")
    return {
        "p50_ms": round(median(milliseconds), 4),
        "p95_ms": round(percentiles[94], 4),
        "p99_ms": round(percentiles[98], 4),
        "max_ms": round(max(milliseconds), 4),
    }


def timed(action: Callable[[], object]) -> float:
    """Return how many seconds an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


@contextmanager
def new_ledger(folder: Path, name: str) -> Iterator[tuple[EmbeddedLedger, SigningKey]]:
    """Give a log with an owner, and its key."""
    key = SigningKey.generate("medseal.example/benchmark")
    with EmbeddedLedger(folder / f"{name}.sqlite", signing_key=key, create=True) as ledger:
        ledger.append(genesis_event(OWNER))
        yield ledger, key


def measure_receipts(folder: Path, count: int) -> dict[str, Any]:
    """Return the latency of a durable receipt, and of a bare write with fsync in turn with it."""
    receipts, bare = [], []
    with new_ledger(folder, "receipts") as (ledger, _), (folder / "bare").open("wb", 0) as file:

        def write() -> None:
            file.write(bytes(JOURNAL_BYTES))
            os.fsync(file.fileno())

        for _ in range(count):
            event = make_event()
            receipts.append(timed(lambda event=event: ledger.append(event)))  # type: ignore[misc]
            bare.append(timed(write))
    ratio = median(receipts) / median(bare)
    return {
        "appends": count,
        "receipt": summary(receipts),
        "bare_fsync": summary(bare),
        "ratio_of_medians": round(ratio, 3),
    }


def measure_batches(folder: Path, seconds: float) -> dict[str, float]:
    """Return durable events a second by the size of a batch, and with threads of single appends.

    A CPU second leaves out the waiting for the disk and for other processes.
    """
    rates = {}
    with new_ledger(folder, "batches") as (ledger, _):
        for size in BATCHES:
            done, busy, cpu = 0, 0.0, 0.0
            while busy < seconds:
                events = [make_event() for _ in range(size)]
                before = time.process_time()
                busy += timed(lambda events=events: ledger.append_many(events))  # type: ignore[misc]
                cpu += time.process_time() - before
                done += size
            rates[f"batch_{size}_events_per_second"] = round(done / busy, 1)
            rates[f"batch_{size}_events_per_cpu_second"] = round(done / cpu, 1)
        events = [make_event() for _ in range(max(THREADS, int(200 * seconds)))]
        with ThreadPoolExecutor(THREADS) as pool:
            busy = timed(lambda: list(pool.map(ledger.append, events)))
        rates[f"threads_{THREADS}_events_per_second"] = round(len(events) / busy, 1)
    return rates


def seal(frontier: Frontier, commitments: Sequence[bytes]) -> Frontier:
    """Grow a tree by a batch of commitments: its root, and the inclusion path of each."""
    growth = Growth(frontier, [leaf_hash(commitment) for commitment in commitments])
    growth.completed()
    growth.frontier.root()
    growth.paths()
    return growth.frontier


def measure_sealing(seconds: float) -> dict[str, float]:
    """Return commitments a second that are sealed into batch trees, in memory."""
    rates = {}
    for size in SEALED:
        frontier, busy = Frontier(), 0.0
        while busy < seconds:
            commitments = [secrets.token_bytes(32) for _ in range(size)]
            start = time.perf_counter()
            frontier = seal(frontier, commitments)
            busy += time.perf_counter() - start
        rates[f"batch_{size}_commitments_per_second"] = round(frontier.size / busy, 1)
    return rates


def build(ledger: EmbeddedLedger, size: int) -> float:
    """Fill a log up to a size; return the seconds within the ledger."""
    busy, start = 0.0, ledger.size
    while start < size:
        events = [make_event() for _ in range(min(BUILD_BATCH, size - start))]
        busy += timed(lambda events=events: ledger.append_many(events))  # type: ignore[misc]
        start += len(events)
    return busy


def measure_large(folder: Path, size: int, proofs: int) -> dict[str, Any]:
    """Return what a long log costs: building, opening, proving, verifying, deciding, auditing."""
    witness = SigningKey.generate("witness.example/w1", algorithm=COSIGNATURE_V1)
    second = SigningKey.generate("witness.example/w2", algorithm=COSIGNATURE_V1)
    with new_ledger(folder, "large") as (ledger, key):
        seconds = build(ledger, size)
        ledger.witness(witness)
        ledger.witness(second)
        path = ledger.path
    opening = [timed(lambda: EmbeddedLedger(path, signing_key=key).close()) for _ in range(20)]
    with EmbeddedLedger(path, signing_key=key) as ledger:
        result = {
            "entries": size,
            "build_seconds": round(seconds, 2),
            "build_events_per_second": round(size / seconds, 1),
            "file_bytes_per_entry": round(path.stat().st_size / size, 1),
            "open": summary(opening),
        }
        keys = (key.vkey, witness.vkey, second.vkey)
        result |= measure_proofs(ledger, keys, proofs)
        result |= measure_decisions(ledger, proofs)
        result["audit_seconds"] = round(timed(ledger.audit), 2)
    return result


def measure_proofs(
    ledger: EmbeddedLedger, keys: tuple[VerifyingKey, ...], proofs: int
) -> dict[str, Any]:
    """Return times and sizes of inclusion and consistency proofs at random places."""
    size, texts = ledger.size, [str(key) for key in keys]
    proving, one, three, files, paths = [], [], [], [], []
    for _ in range(proofs):
        index = secrets.randbelow(size)
        proving.append(timed(lambda index=index: ledger.prove(index)))  # type: ignore[misc]
        data = ledger.prove(index).to_bytes()
        one.append(timed(lambda data=data: verify(data, VerifyingKey.parse(texts[0]))))  # type: ignore[misc]
        three.append(timed(lambda data=data: verify_with_witnesses(data, texts)))  # type: ignore[misc]
        files.append(len(data))
        paths.append(32 * len(Receipt.parse(data).path))
    return {
        "prove": summary(proving),
        "verify_offline": summary(one),
        "verify_offline_with_two_witnesses": summary(three),
        "receipt_bytes_max": max(files),
        "path_bytes_max": max(paths),
        "consistency": summary([timed(lambda: check_growth(ledger)) for _ in range(proofs)]),
    }


def verify_with_witnesses(data: bytes, texts: Sequence[str]) -> None:
    """Verify a receipt that the log and two witnesses signed."""
    log, *witnesses = (VerifyingKey.parse(text) for text in texts)
    verify(data, log, witnesses=witnesses)


def check_growth(ledger: EmbeddedLedger) -> None:
    """Prove and verify that the log continues the log of a random stored checkpoint."""
    head = ledger.checkpoint()
    # A checkpoint was signed after each batch of the build.
    old_size = 1 + BUILD_BATCH * secrets.randbelow((head.size - 1) // BUILD_BATCH + 1)
    old = ledger.checkpoint(old_size)
    path = ledger.consistency(old.size, head.size)
    verify_consistency(old.size, head.size, path, old.root, head.root)


def measure_decisions(ledger: EmbeddedLedger, count: int) -> dict[str, Any]:
    """Return the time of an access decision on a grant that stands."""
    account, subject = secrets.token_hex(16), f"sha256:{secrets.token_hex(32)}"
    ledger.grant(Grant(account=account, subject=subject, action=Action.VIEW), actor=OWNER)
    times = [
        timed(lambda: ledger.may(account, subject, Action.VIEW).require()) for _ in range(count)
    ]
    return {"access_decision": summary(times)}


def main(argv: Sequence[str] | None = None) -> None:
    """Measure and write the result."""
    chosen = arguments(__doc__.splitlines()[0]).parse_args(argv)
    # Beside the results, not in the folder for temporary files: that may live in memory.
    chosen.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=chosen.output) as folder:
        place = Path(folder)
        result = {
            "receipts": measure_receipts(place, QUICK_APPENDS if chosen.quick else APPENDS),
            "batches": measure_batches(
                place, QUICK_BATCH_SECONDS if chosen.quick else BATCH_SECONDS
            ),
            "sealing": measure_sealing(QUICK_BATCH_SECONDS if chosen.quick else BATCH_SECONDS),
            "log": measure_large(
                place,
                QUICK_LOG_SIZE if chosen.quick else LOG_SIZE,
                PROOFS // 10 if chosen.quick else PROOFS,
            ),
            "load_average": round(os.getloadavg()[0], 2),
        }
    write_result("ledger", result, chosen, sys_stdout=sys.stdout)


if __name__ == "__main__":
    main()
