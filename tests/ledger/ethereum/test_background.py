"""The thread of the relay: it repeats, waits after a failure, and ends when it is told to."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from medseal.errors import UnreachableError
from medseal.ledger.ethereum.background import Background

WAIT_SECONDS = 5.0


class Steps:
    """Counts what it is asked to do, and can be told to fail."""

    def __init__(self) -> None:
        self.count = 0
        self.is_failing = False
        self.is_busy = False
        self.done = threading.Semaphore(0)

    def __call__(self) -> bool:
        self.count += 1
        self.done.release()
        if self.is_failing:
            raise UnreachableError("the node is away")
        return self.is_busy

    def wait(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.done.acquire(timeout=WAIT_SECONDS)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def background(steps: Steps) -> Iterator[Background]:
    made = Background(steps, busy_seconds=0.001, idle_seconds=60.0)
    yield made
    made.stop()


def test_it_sleeps_while_nothing_is_under_way(steps: Steps, background: Background) -> None:
    background.start()
    background.start()
    steps.wait()
    time.sleep(0.05)
    assert steps.count == 1
    background.wake()
    steps.wait()
    assert background.is_running


def test_it_goes_on_while_something_is_under_way(steps: Steps, background: Background) -> None:
    steps.is_busy = True
    background.start()
    steps.wait(5)


def test_a_failure_is_told_once_and_tried_again(
    steps: Steps, background: Background, caplog: pytest.LogCaptureFixture
) -> None:
    steps.is_failing = True
    with caplog.at_level(logging.WARNING):
        background.start()
        steps.wait(4)
    assert isinstance(background.error, UnreachableError)
    assert [record.message for record in caplog.records] == ["the relay waits: the node is away"]
    steps.is_failing = False
    deadline = time.monotonic() + WAIT_SECONDS
    while background.error is not None and time.monotonic() < deadline:
        time.sleep(0.005)
    assert background.error is None


def test_it_ends_and_can_begin_again(steps: Steps, background: Background) -> None:
    background.stop()
    background.start()
    steps.wait()
    background.stop()
    assert not background.is_running
    count = steps.count
    background.wake()
    time.sleep(0.02)
    assert steps.count == count
    background.start()
    steps.wait()
