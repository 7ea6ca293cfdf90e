"""kill -9 of a gateway under load, with random faults of its network beside."""

import os

import pytest

from benchmarks.ledger_faults import ROUNDS, run

# One round for almost every fault; `python -m benchmarks.ledger_faults` runs 200.
ROUNDS_IN_THE_SUITE = int(os.environ.get("MEDSEAL_FAULT_ROUNDS", "10"))


def check(rounds: int, *, seed: int) -> None:
    result = run(rounds, seed=seed)
    assert result["rounds"] == sum(result["faults"].values()) == rounds
    assert result["counts"]["acknowledged"] > 0
    assert result["counts"]["anchors"] > 0
    assert result["counts"]["changes"] > 0
    assert set(result["broken_promises"].values()) == {0}, result["broken_promises"]


def test_nothing_is_lost_or_doubled() -> None:
    check(ROUNDS_IN_THE_SUITE, seed=7)


@pytest.mark.long
def test_nothing_is_lost_or_doubled_in_200_rounds() -> None:
    check(ROUNDS, seed=8)
