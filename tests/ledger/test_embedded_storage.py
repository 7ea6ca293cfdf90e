"""Storage that fails, shrinks or was changed by others: nothing acknowledged is lost."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from medseal.digest import Digest
from medseal.errors import (
    ConsistencyError,
    DamagedLedgerError,
    InputError,
    StorageError,
    StorageFullError,
)
from medseal.ledger import (
    EmbeddedLedger,
    Event,
    Receipt,
)

OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32
Make = Callable[[int], Event]
ACCOUNT = f"{7:032x}"


def test_a_full_disk_loses_nothing(ledger: EmbeddedLedger, make_event: Make) -> None:
    assert ledger._writer is not None
    connection = ledger._writer.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    kept: list[Receipt] = []

    def fill() -> None:
        while True:
            kept.append(ledger.append(make_event(len(kept))))

    with pytest.raises(StorageFullError, match="no space is left"):
        fill()
    size = ledger.size
    assert size == len(kept) + 1
    connection.execute("PRAGMA max_page_count = 1000000")
    assert ledger.append(make_event(len(kept))).index == size
    for receipt in kept:
        assert ledger.prove(receipt.leaf_hash).index == receipt.index
    assert ledger.audit().size == size + 1


LIMITED = """
import resource, sys
from pathlib import Path
from medseal.errors import StorageFullError
from medseal.ledger import EmbeddedLedger, Event, EventKind, SigningKey

key = SigningKey(name="medseal.example/test", seed=bytes(range(32)))
path = Path(sys.argv[1])
with EmbeddedLedger(path, signing_key=key) as ledger:
    limit = Path(f"{path}-wal").stat().st_size + 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        while True:
            sys.stdout.write(ledger.append(Event.new(EventKind.SEAL)).leaf_hash.value.hex() + "\\n")
    except StorageFullError:
        sys.stdout.write("full\\n")
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    sys.stdout.write(ledger.append(Event.new(EventKind.SEAL)).leaf_hash.value.hex() + "\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a file size limit")
def test_a_disk_that_refuses_a_write_loses_nothing(path: Path, ledger: EmbeddedLedger) -> None:
    done = subprocess.run(  # noqa: S603 - this interpreter and the text above
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    lines = done.stdout.split()
    assert "full" in lines
    for line in lines:
        if line != "full":
            assert ledger.prove(Digest(bytes.fromhex(line))).size == len(lines)
    assert ledger.audit().size == len(lines)


def test_a_closed_ledger_says_so(ledger: EmbeddedLedger, make_event: Make) -> None:
    ledger.close()
    with pytest.raises(StorageError, match="was closed"):
        ledger.append(make_event(1))


def test_a_log_that_shrank_under_the_process_is_not_continued(
    path: Path, ledger: EmbeddedLedger, make_event: Make
) -> None:
    ledger.append_many([make_event(number) for number in range(5)])
    with sqlite3.connect(path) as raw:
        raw.execute("DELETE FROM leaf WHERE position = 5")
    raw.close()
    with pytest.raises(ConsistencyError, match="rolled back, it had 6 entries and now has 5"):
        ledger.append(make_event(9))


def test_a_foreign_append_is_checked_before_it_is_signed_over(
    path: Path, ledger: EmbeddedLedger, make_event: Make
) -> None:
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO leaf VALUES (1, ?)", (make_event(1).leaf(),))
    raw.close()
    with pytest.raises(DamagedLedgerError, match="2 entries are stored and 1 are signed") as caught:
        ledger.append(make_event(2))
    assert caught.value.index == 1


def test_batches_are_bounded(ledger: EmbeddedLedger, make_event: Make) -> None:
    with pytest.raises(InputError, match="at most 65536"):
        ledger.append_many([make_event(1)] * 65_537)
