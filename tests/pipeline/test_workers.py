"""Workers: order kept, crashes contained, nobody outlives the parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medseal.pipeline.workers import Crashed, in_order


def double(item: int) -> int:
    return 2 * item


def abort_at_seven(item: int) -> int:
    if item == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * item


def test_results_come_in_order() -> None:
    results = list(in_order(double, range(50), workers=2, window=8))
    assert results == [(item, 2 * item) for item in range(50)]


def test_nothing_to_do() -> None:
    assert list(in_order(double, [], workers=2, window=8)) == []


def test_a_crash_costs_one_item() -> None:
    results = dict(in_order(abort_at_seven, range(20), workers=2, window=8))
    assert isinstance(results.pop(7), Crashed)
    assert results == {item: 2 * item for item in range(20) if item != 7}


def test_stopping_early_stops_the_workers() -> None:
    results = in_order(double, range(1000), workers=2, window=8)
    assert next(results) == (0, 0)
    results.close()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads the process table of Linux")
def test_workers_do_not_outlive_a_killed_parent() -> None:
    script = (
        "import os, time\n"
        "from medseal.pipeline.workers import in_order\n"
        "def slow(item):\n    time.sleep(600)\n"
        "for _ in in_order(slow, range(4), workers=2, window=4):\n    pass\n"
    )
    # The command is a constant of this file.
    with subprocess.Popen([sys.executable, "-c", script]) as process:  # noqa: S603
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + 30
        while len(children.read_text().split()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = children.read_text().split()
        assert len(workers) == 2
        time.sleep(0.3)
        process.kill()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{worker}").exists() for worker in workers):
        assert time.monotonic() < deadline, "a worker is still there"
        time.sleep(0.05)
