from pathlib import Path

from benchmarks.ledger import (
    measure_batches,
    measure_large,
    measure_receipts,
    measure_sealing,
    seal,
    summary,
)
from medseal.ledger.merkle import Frontier, leaf_hash


def test_the_tail_of_a_summary_lies_within_what_was_measured() -> None:
    figures = summary([number / 1000 for number in range(1, 21)])
    assert figures["p50_ms"] == 10.5
    assert 19 < figures["p99_ms"] <= figures["max_ms"] == 20


def test_a_small_run_measures_real_logs(tmp_path: Path) -> None:
    receipts = measure_receipts(tmp_path, 10)
    assert receipts["receipt"]["p50_ms"] > 0
    rates = measure_batches(tmp_path, 0.01)
    # Waiting for the disk is no CPU time.
    wall, cpu = (rates[f"batch_128_events_per_{name}second"] for name in ("", "cpu_"))
    assert 0 < wall <= 1.1 * cpu
    large = measure_large(tmp_path, 300, 5)
    assert large["entries"] == 300
    assert 32 * 8 <= large["path_bytes_max"] <= 32 * 9
    assert large["receipt_bytes_max"] < 2048


def test_a_batch_is_sealed_as_if_its_commitments_came_one_by_one() -> None:
    commitments = [bytes([number]) * 32 for number in range(77)]
    expected = Frontier()
    for commitment in commitments:
        expected.append(leaf_hash(commitment))
    sealed = seal(seal(Frontier(), commitments[:30]), commitments[30:])
    assert (sealed.size, sealed.root()) == (77, expected.root())
    assert measure_sealing(0.01)["batch_1024_commitments_per_second"] > 0
