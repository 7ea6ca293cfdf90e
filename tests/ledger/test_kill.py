"""kill -9 at random moments: whatever had a receipt is in the log, and the log is sound."""

import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import pytest

from medseal.digest import Digest
from medseal.ledger import EmbeddedLedger, SigningKey, genesis_event, verify

OWNER = "0" * 31 + "1"
CHILD = Path(__file__).with_name("append_until_killed.py")


def run_and_kill(path: Path, delay_seconds: float) -> list[tuple[int, Digest]]:
    """Return index and leaf hash of what the child acknowledged before it was killed."""
    with subprocess.Popen(  # noqa: S603 - this interpreter and the file beside this one
        [sys.executable, str(CHILD), str(path)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(delay_seconds)
        child.kill()
        lines = (first + child.stdout.read()).split("\n")
    # The last line may have been cut off; only whole lines were acknowledged.
    return [(int(line.split()[0]), Digest.parse(line.split()[1])) for line in lines[:-1]]


def check(path: Path, key: SigningKey, acknowledged: dict[int, Digest]) -> None:
    with EmbeddedLedger(path, signing_key=key) as ledger:
        for index, leaf_hash in acknowledged.items():
            receipt = ledger.prove(leaf_hash)
            assert receipt.index == index
            verify(receipt, key.vkey)


def audit(path: Path, key: SigningKey, acknowledged: dict[int, Digest]) -> None:
    with EmbeddedLedger(path, signing_key=key) as ledger:
        assert ledger.audit().size == ledger.size >= len(acknowledged)


def rounds(path: Path, key: SigningKey, count: int) -> None:
    with EmbeddedLedger(path, signing_key=key, create=True) as ledger:
        ledger.append(genesis_event(OWNER))
    acknowledged: dict[int, Digest] = {}
    for number in range(count):
        delay_seconds = secrets.randbelow(120) / 1000
        found = dict(run_and_kill(path, delay_seconds))
        assert found, "the child acknowledged nothing"
        assert not acknowledged.keys() & found.keys(), "an index was given twice"
        acknowledged |= found
        check(path, key, found)
        # An audit reads the whole log: after each of the first rounds, then now and then.
        if number < 5 or number % 20 == 0:
            audit(path, key, acknowledged)
    check(path, key, acknowledged)
    audit(path, key, acknowledged)


def test_nothing_acknowledged_is_lost(path: Path, log_key: SigningKey) -> None:
    rounds(path, log_key, int(os.environ.get("MEDSEAL_KILL_ROUNDS", "5")))


@pytest.mark.long
def test_nothing_acknowledged_is_lost_in_200_rounds(path: Path, log_key: SigningKey) -> None:
    rounds(path, log_key, 200)


def test_a_log_killed_while_it_is_created_is_there_or_not(
    tmp_path: Path, log_key: SigningKey
) -> None:
    for number in range(5):
        path = tmp_path / f"{number}.sqlite"
        command = [sys.executable, str(CHILD), str(path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as child:  # noqa: S603 - as above
            while not list(tmp_path.glob(f"{number}.sqlite*")) and child.poll() is None:
                time.sleep(0.001)
            time.sleep(secrets.randbelow(20) / 1000)
            child.kill()
        with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
            ledger.append(genesis_event(OWNER))
            assert ledger.audit().size == ledger.size
