from typing import Any

from benchmarks.ledger_network import compare
from benchmarks.ledger_network_costs import CEILINGS, per_image
from benchmarks.ledger_network_page import TABLES, glance_lines, page_lines

TIMES = {"p50_ms": 1.5, "p95_ms": 250.4, "p99_ms": 1490.2, "max_ms": 2000.0}


def result(anchor: int = 60_129) -> dict[str, Any]:
    singles = {"gas": 60_129, "seconds": [0.1, 0.2, 0.3], "transactions_per_second": 125.0}
    node = {
        "latency": {"images": 10, "durable": TIMES, "mined": TIMES, "final": TIMES},
        "transactions": {"transactions_per_second": 125.0, "sent_to_mined": TIMES},
        "end_to_end": {
            "images": 100_000,
            "seconds_of_each_run": [8.2, 7.1],
            "seconds_least": 7.1,
            "images_per_second_of_the_least": 14_085,
            "anchors": 98,
        },
    }
    return {
        "nodes": {"anvil_instant": node},
        "gas": {"anchor": anchor, "grant": 49_471, "revoke": 26_987},
        "gas_ceilings": dict(CEILINGS),
        "gas_an_image": per_image(anchor),
        "decisions": {"ledger_reused_within_a_second": TIMES},
        "proofs": {"verify_offline": {"p99_ms": 1.0}},
        "paper": compare(anchor, singles),
    }


def test_tables_show_every_figure_beside_the_papers() -> None:
    text = "\n".join(page_lines(result()))
    assert "| anvil instant | 10 | 1.5 / 250 / 1,490 |" in text
    assert "| anvil instant | 100,000 | 98 | 7.1 (8.2, 7.1) | 14,085 | 125 |" in text
    assert "| anchor | 62,000 | 60,129 |" in text
    assert "| an image in a batch of 1,024 | 61 | 58.72 |" in text
    assert "| 1, as stated | 100,000 |  |  |  | 1,000 at its price |" in text
    assert "| 1,024 | 98 | 5,892,642 | 58.93 | 0.00589 | 0.572 |" in text
    assert result().keys() >= TABLES - {"gas_ceilings"}


def test_the_glance_says_what_was_met_and_what_was_not() -> None:
    rows = glance_lines(result(anchor=70_000))
    assert "| gas: anchor | at most 62,000 | 70,000 | not met |" in rows
    assert "| gas: grant | at most 50,000 | 49,471 | met |" in rows
    assert "| gas an image, batch of 1,024 | at most 61 | 68.36 | not met |" in rows
    assert "| access decision, reused, 99 %, ms | at most 5 | 1490 | not met |" in rows
    assert (
        "| 100,000 images anchored end to end, anvil instant, s | at most 60 | 7.1 | met |" in rows
    )
