from pathlib import Path

from benchmarks.ledger import measure_batches, measure_large, measure_receipts, summary


def test_the_tail_of_a_summary_lies_within_what_was_measured() -> None:
    figures = summary([number / 1000 for number in range(1, 21)])
    assert figures["p50_ms"] == 10.5
    assert 19 < figures["p99_ms"] <= figures["max_ms"] == 20


def test_a_small_run_measures_real_logs(tmp_path: Path) -> None:
    receipts = measure_receipts(tmp_path, 10)
    assert receipts["receipt"]["p50_ms"] > 0
    assert measure_batches(tmp_path, 0.01)["batch_128_events_per_second"] > 0
    large = measure_large(tmp_path, 300, 5)
    assert large["entries"] == 300
    assert 32 * 8 <= large["path_bytes_max"] <= 32 * 9
    assert large["receipt_bytes_max"] < 2048
