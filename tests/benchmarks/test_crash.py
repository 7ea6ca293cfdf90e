"""A short version of the kill -9 measurement; `python -m benchmarks.crash` runs 200 rounds."""

import pytest

from benchmarks.crash import run

SHORT_ROUNDS = 5
LONG_ROUNDS = 200


def check(rounds: int) -> None:
    result = run(rounds, seed=rounds)
    assert result["rounds"] == rounds
    assert set(result["broken_promises"]) == {
        "lost_images",
        "changed_images",
        "wrong_receipts",
        "half_written_objects",
        "unfinished_records",
        "plaintext_markers",
    }
    assert not any(result["broken_promises"].values())


def test_nothing_acknowledged_is_lost() -> None:
    check(SHORT_ROUNDS)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_in_many_rounds() -> None:
    check(LONG_ROUNDS)
