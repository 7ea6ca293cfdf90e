from pathlib import Path

import pytest

from benchmarks import ledger_network
from benchmarks.ledger_network import (
    BACKENDS,
    Backend,
    Extent,
    compare,
    measure_backend,
)
from benchmarks.nodes import start_anvil

TINY = Extent(latency_seconds=0.3, images=1_500, share=0.01, calls=5, repeats=1)


def test_a_small_run_measures_a_real_node(tmp_path: Path) -> None:
    found = measure_backend("anvil_instant", tmp_path, TINY)
    latency = found["latency"]
    assert latency["durable"]["p50_ms"] < latency["mined"]["p50_ms"] <= latency["final"]["p50_ms"]
    assert found["end_to_end"]["images"] == 1_500
    assert found["end_to_end"]["anchors"] == 2
    assert found["transactions"]["sent_to_mined"]["p50_ms"] > 0
    asked, reused = (
        found["decisions"][name]["p50_ms"]
        for name in (
            "asked_of_the_contract",
            "reused",
        )
    )
    assert 0 < reused < asked
    assert found["proofs"]["verify_against_a_node"]["p50_ms"] > 0


def test_with_blocks_final_is_later_than_mined(tmp_path: Path) -> None:
    backend = Backend(
        start=lambda: start_anvil(block_time=0.2), confirmations=2, transactions=5, singles=2
    )
    with backend.start() as process:
        found = ledger_network.measure_latency(process, tmp_path, backend, 0.4)
    assert found["final"]["p50_ms"] > found["mined"]["p50_ms"] + 100


def test_the_day_of_the_paper_is_computed_from_what_was_measured() -> None:
    singles = {"gas": 60_000, "seconds": [0.1, 0.2], "transactions_per_second": 5.0}
    found = compare(60_000, singles)
    one, many = (found["images_a_transaction"][size] for size in ("1", "1024"))
    assert one["gas_a_day"] == 6_000_000_000
    assert one["eth_a_day_at_1_gwei"] == pytest.approx(6.0)
    assert one["eth_a_day_at_97_gwei"] == pytest.approx(582.0)
    assert many["transactions_a_day"] == 98
    assert many["gas_an_image"] == pytest.approx(58.8)
    single = found["one_transaction_at_half_second_blocks"]
    assert single["eth_at_1_gwei"] == pytest.approx(6e-5)
    assert single["gwei_at_which_it_costs_what_is_stated"] == 166.7


def test_every_kind_of_node_that_was_asked_for_is_measured() -> None:
    assert BACKENDS.keys() == {"anvil_instant", "anvil_half_second", "anvil_one_second", "ganache"}
