import multiprocessing
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from medseal.digest import Digest
from medseal.errors import (
    AccessRefusedError,
    CheckpointError,
    ConsistencyError,
    DamagedLedgerError,
    InputError,
    LedgerBusyError,
    LedgerError,
    StorageError,
    StorageFullError,
)
from medseal.ledger import (
    Action,
    EmbeddedLedger,
    Event,
    EventKind,
    Grant,
    Ledger,
    Receipt,
    Role,
    RoleChange,
    SigningKey,
    VerifyingKey,
    erase_event,
    grant_event,
    role_event,
    verify,
    verify_checkpoint,
)
from medseal.ledger.batch import Request
from medseal.ledger.merkle import verify_consistency

OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32
Make = Callable[[int], Event]
ACCOUNT = f"{7:032x}"


def test_it_is_a_ledger(ledger: EmbeddedLedger) -> None:
    as_protocol: Ledger = ledger
    state = as_protocol.sync()
    assert (state.queued, state.submitted, state.mined, state.final) == (0, 0, 0, 1)


def test_append_gives_a_receipt_that_verifies_offline(
    ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    for number in range(40):
        receipt = ledger.append(make_event(number))
        assert receipt.index == number + 1
        data = receipt.to_bytes()
        assert verify(data, log_key.vkey) == make_event(number)
        assert Receipt.parse(data) == receipt
    assert ledger.size == len(ledger) == 41
    assert [event for _, event in ledger.events(1)] == [make_event(n) for n in range(40)]


@pytest.mark.parametrize("before", [0, 1, 6, 7, 8])
def test_append_many_gives_receipts_of_one_checkpoint(
    ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make, before: int
) -> None:
    ledger.append_many([make_event(number) for number in range(before)])
    events = [make_event(100 + number) for number in range(37)]
    receipts = ledger.append_many(events)
    assert {receipt.checkpoint.to_bytes() for receipt in receipts} == {
        ledger.checkpoint().to_bytes()
    }
    for event, receipt in zip(events, receipts, strict=True):
        assert verify(receipt.to_bytes(), log_key.vkey) == event
    assert ledger.append_many([]) == []
    assert ledger.audit().size == before + 38


def test_append_is_idempotent(
    ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    first = ledger.append(make_event(1))
    ledger.append(make_event(2))
    again = ledger.append(make_event(1))
    assert again.index == first.index
    assert again.size == 3
    verify(again, log_key.vkey)
    mixed = ledger.append_many([make_event(3), make_event(1), make_event(3), make_event(4)])
    assert [receipt.index for receipt in mixed] == [3, 1, 3, 4]
    for receipt in mixed:
        verify(receipt, log_key.vkey)
    assert ledger.size == 5


def test_a_repeated_grant_does_not_undo_a_revocation(ledger: EmbeddedLedger) -> None:
    given = grant_event(
        Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW), actor=OWNER, at_ms=1
    )
    ledger.append(given)
    ledger.revoke(ACCOUNT, SUBJECT, actor=OWNER, at_ms=2)
    ledger.append(given)
    assert ledger.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=3).reason == "revoked"


def test_prove_by_index_by_hash_and_at_an_older_size(
    ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    receipts = [ledger.append(make_event(number)) for number in range(9)]
    for receipt in receipts:
        assert verify(ledger.prove(receipt.index), log_key.vkey)
        assert ledger.prove(receipt.leaf_hash) == ledger.prove(receipt.index)
        assert ledger.prove(receipt.index, size=receipt.size) == receipt
    with pytest.raises(InputError, match="no number 10"):
        ledger.prove(10)
    with pytest.raises(InputError, match="no number -1"):
        ledger.prove(-1)
    with pytest.raises(InputError, match="no entry of the log has this leaf hash"):
        ledger.prove(Digest.plain(b"nothing"))
    with pytest.raises(InputError, match="no checkpoint was signed at 99"):
        ledger.prove(1, size=99)


def test_consistency_between_any_two_sizes(ledger: EmbeddedLedger, make_event: Make) -> None:
    heads = {0: ledger.checkpoint(0), 1: ledger.checkpoint(1)}
    for number in range(20):
        heads[number + 2] = ledger.append(make_event(number)).checkpoint
    for old, older in heads.items():
        for new, newer in heads.items():
            if old <= new:
                path = ledger.consistency(old, new)
                verify_consistency(old, new, path, older.root, newer.root)
    assert ledger.consistency(3) == ledger.consistency(3, 21)
    with pytest.raises(InputError, match="21 entries, fewer than 22"):
        ledger.consistency(1, 22)
    with pytest.raises(InputError, match="5 entries, fewer than 6"):
        ledger.consistency(6, 5)


def test_events_come_in_order_and_in_ranges(ledger: EmbeddedLedger, make_event: Make) -> None:
    ledger.append_many([make_event(number) for number in range(2500)])
    assert [index for index, _ in ledger.events()] == list(range(2501))
    assert [index for index, _ in ledger.events(2040, 2060)] == list(range(2040, 2060))
    assert list(ledger.events(2501)) == []
    assert [index for index, _ in ledger.events(2499, 9999)] == [2499, 2500]


# --- Opening ------------------------------------------------------------------------------------


def test_it_survives_closing_and_reads_with_the_public_key_alone(
    path: Path, log_key: SigningKey, make_event: Make
) -> None:
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        kept = ledger.append(make_event(1))
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        assert ledger.append(make_event(1)).index == kept.index
        ledger.append(make_event(2))
    with EmbeddedLedger(path, vkey=log_key.vkey) as auditor:
        assert auditor.size == 2
        assert auditor.origin == log_key.name
        assert auditor.vkey == log_key.vkey
        assert auditor.prove(0).leaf == kept.leaf
        assert auditor.audit().size == 2
        with pytest.raises(InputError, match="can only be read"):
            auditor.append(make_event(3))
        with pytest.raises(InputError, match="can only be read"):
            auditor.rotate_key(log_key, actor=OWNER)


def test_the_file_is_private_and_no_draft_stays(path: Path, ledger: EmbeddedLedger) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "ledger.sqlite",
        "ledger.sqlite-shm",
        "ledger.sqlite-wal",
    ]
    assert ledger.path == path


def test_keys_that_do_not_open_it(path: Path, ledger: EmbeddedLedger, log_key: SigningKey) -> None:
    other = SigningKey.generate(log_key.name)
    with pytest.raises(CheckpointError, match="never signed with the key"):
        EmbeddedLedger(path, signing_key=other)
    with pytest.raises(CheckpointError, match="never signed with the key"):
        EmbeddedLedger(path, vkey=other.vkey)
    with pytest.raises(InputError, match="give the signing key"):
        EmbeddedLedger(path)
    with pytest.raises(InputError, match="do not belong to one log"):
        EmbeddedLedger(path, signing_key=log_key, vkey=other.vkey)
    witness = replace(log_key, algorithm=4)
    with pytest.raises(InputError, match="do not belong to one log"):
        EmbeddedLedger(path, signing_key=witness)
    assert ledger.size == 1


def test_missing_foreign_and_emptied_files(path: Path, log_key: SigningKey, tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no ledger is here"):
        EmbeddedLedger(path, signing_key=log_key)
    with pytest.raises(InputError, match="with its signing key"):
        EmbeddedLedger(path, vkey=log_key.vkey, create=True)
    with pytest.raises(StorageError, match="cannot be created"):
        EmbeddedLedger(tmp_path / "no" / "folder", signing_key=log_key, create=True)
    # A file that was emptied is no reason to begin a new log.
    path.touch()
    with pytest.raises(LedgerError, match="not a ledger of version 1"):
        EmbeddedLedger(path, signing_key=log_key, create=True)
    path.write_bytes(b"SQLite format 3, but not really" * 100)
    with pytest.raises(LedgerError, match="damaged"):
        EmbeddedLedger(path, signing_key=log_key, create=True)
    foreign = tmp_path / "foreign.sqlite"
    sqlite3.connect(foreign).execute("CREATE TABLE t (x)").connection.close()
    with pytest.raises(LedgerError, match="not a ledger of version 1"):
        EmbeddedLedger(foreign, signing_key=log_key)


def test_a_log_is_not_begun_beside_the_journal_of_a_lost_one(
    path: Path, log_key: SigningKey
) -> None:
    Path(f"{path}-wal").write_bytes(b"old")
    with pytest.raises(LedgerError, match="its journal is not"):
        EmbeddedLedger(path, signing_key=log_key, create=True)


def test_two_creators_share_one_log(path: Path, log_key: SigningKey, make_event: Make) -> None:
    def create_and_append(number: int) -> int:
        with EmbeddedLedger(path, signing_key=log_key, create=True) as opened:
            return opened.append(make_event(number)).index

    with ThreadPoolExecutor(4) as pool:
        indices = list(pool.map(create_and_append, range(8)))
    assert sorted(indices) == list(range(8))


def test_a_slipped_in_trigger_is_refused(path: Path, log_key: SigningKey) -> None:
    EmbeddedLedger(path, signing_key=log_key, create=True).close()
    with sqlite3.connect(path) as raw:
        raw.execute("CREATE TRIGGER t AFTER INSERT ON leaf BEGIN DELETE FROM leaf; END")
    raw.close()
    with pytest.raises(LedgerError, match="tables of the ledger were changed"):
        EmbeddedLedger(path, signing_key=log_key)


def test_opening_a_long_log_replays_nothing(
    path: Path, log_key: SigningKey, make_event: Make
) -> None:
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        ledger.append_many([make_event(number) for number in range(20_000)])
    with EmbeddedLedger(path, signing_key=log_key) as ledger:
        steps = 0

        def count() -> int:
            nonlocal steps
            steps += 1
            return 0

        # SQLite calls back after each thousand of its own instructions.
        ledger._reader.connection.set_progress_handler(count, 1000)
        ledger._checked_head()
        assert steps < 10
        assert ledger.prove(12_345).size == 20_000
        assert steps < 20


# --- Several at once ----------------------------------------------------------------------------


def test_threads_share_transactions(
    ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    def append(number: int) -> tuple[int, Receipt]:
        return number, ledger.append(make_event(number))

    with ThreadPoolExecutor(16) as pool:
        results = list(pool.map(append, range(320)))
    for number, receipt in results:
        assert verify(receipt, log_key.vkey) == make_event(number)
    assert sorted(receipt.index for _, receipt in results) == list(range(1, 321))
    heads = {receipt.size for _, receipt in results}
    assert len(heads) < 320, "no two threads ever shared a transaction"
    report = ledger.audit()
    assert report.size == 321
    assert report.checkpoints == len(heads) + 2


def test_a_refused_request_does_not_harm_those_it_waited_with(
    ledger: EmbeddedLedger, make_event: Make
) -> None:
    refused: list[AccessRefusedError] = []
    barrier = threading.Barrier(12)

    def work(number: int) -> None:
        barrier.wait()
        if number % 3:
            ledger.append_many([make_event(number), make_event(number + 100)])
            return
        try:
            ledger.append_many([make_event(number), erase_event(SUBJECT, actor=ACCOUNT)])
        except AccessRefusedError as error:
            refused.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [error.reason for error in refused] == ["not-owner"] * 4
    # All or none: the good half of a refused request is not in the log either.
    recorded = {int(event.details["number"]) % 100 for _, event in ledger.events(1)}
    assert recorded == {number for number in range(12) if number % 3}
    assert ledger.audit().size == 17


def append_some(path: Path, first: int) -> None:
    key = SigningKey(name="medseal.example/test", seed=bytes(range(32)))
    with EmbeddedLedger(path, signing_key=key) as ledger:
        for number in range(first, first + 60):
            event = Event.new(EventKind.SEAL, details={"number": number})
            assert verify(ledger.append(event), key.vkey) == event


def test_processes_share_the_log(path: Path, ledger: EmbeddedLedger, make_event: Make) -> None:
    context = multiprocessing.get_context("spawn")
    children = [context.Process(target=append_some, args=(path, 1000 * n)) for n in (1, 2)]
    for child in children:
        child.start()
    for number in range(60):
        ledger.append(make_event(number))
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert ledger.audit().size == 181


def test_a_fork_must_open_again(ledger: EmbeddedLedger, make_event: Make) -> None:
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ledger.append(make_event(1))
        except LedgerError as error:
            code = 0 if "after a fork" in str(error) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert ledger.append(make_event(1)).index == 1


def test_a_busy_ledger_says_so_and_nothing_is_lost(
    path: Path, ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with EmbeddedLedger(path, signing_key=log_key, busy_timeout_seconds=0.05) as hasty:
        with pytest.raises(LedgerBusyError, match="another process holds the ledger"):
            hasty.append(make_event(1))
        # Reading and deciding go on meanwhile.
        assert hasty.size == 1
        assert hasty.may(OWNER, SUBJECT, Action.VIEW)
        other.execute("ROLLBACK")
        assert hasty.append(make_event(1)).index == 1
    other.close()
    assert ledger.append(make_event(1)).index == 1


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.001)


def test_an_interrupted_leader_leaves_the_others_their_turn(
    ledger: EmbeddedLedger, make_event: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, taken = ledger._commit, []

    def interrupted(requests: list[Request]) -> None:
        monkeypatch.setattr(ledger, "_commit", real)
        taken.extend(requests)
        raise KeyboardInterrupt

    def append(number: int) -> int | None:
        try:
            return ledger.append(make_event(number)).index
        except KeyboardInterrupt:
            return None

    with ThreadPoolExecutor(4) as pool:
        with ledger._turn():
            waiting = [pool.submit(append, number) for number in range(4)]
            wait_until(lambda: len(ledger._pending) == 4)
            monkeypatch.setattr(ledger, "_commit", interrupted)
        results = [future.result() for future in waiting]
    assert len(taken) == 4, "the leader had taken the requests of the others"
    assert results.count(None) == 1
    assert sorted(index for index in results if index is not None) == [1, 2, 3]
    assert ledger.audit().size == 4


def test_requests_of_one_transaction_see_each_other(ledger: EmbeddedLedger) -> None:
    given = Grant(account=f"{8:032x}", subject=SUBJECT, action=Action.VIEW)
    first, second, third = (
        Request((event,))
        for event in (
            role_event(ACCOUNT, Role.REGISTRAR, RoleChange.ADD, actor=OWNER, at_ms=1),
            grant_event(given, actor=ACCOUNT, at_ms=2),
            grant_event(given, actor=f"{9:032x}", at_ms=3),
        )
    )
    ledger._commit((first, second, third))
    assert first.positions + second.positions == [1, 2]
    assert isinstance(third.error, AccessRefusedError)
    assert ledger.grants() == [given]
    assert ledger.audit().size == 3


# --- Failing storage ----------------------------------------------------------------------------


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


# --- Rights -------------------------------------------------------------------------------------


def test_grants_through_the_ledger(ledger: EmbeddedLedger, log_key: SigningKey) -> None:
    given = Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW, expires_ms=1_000)
    receipt = ledger.grant(given, actor=OWNER, at_ms=10)
    assert verify(receipt, log_key.vkey).kind is EventKind.GRANT
    assert ledger.grants() == ledger.grants(account=ACCOUNT) == [given]
    assert ledger.grants(account=OWNER) == []
    assert ledger.grants(subject=SUBJECT) == [given]
    assert ledger.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=999).reason == "granted"
    assert ledger.may(ACCOUNT, SUBJECT, Action.VIEW).reason == "expired"
    ledger.revoke(ACCOUNT, SUBJECT, Action.VIEW, actor=OWNER, at_ms=20)
    assert ledger.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=30).reason == "revoked"
    assert ledger.grants() == []
    with pytest.raises(AccessRefusedError, match="only the owner or a registrar"):
        ledger.grant(given, actor=ACCOUNT, at_ms=40)
    assert ledger.size == 3


def test_a_revocation_is_seen_by_every_process_at_once(
    path: Path, ledger: EmbeddedLedger, log_key: SigningKey
) -> None:
    given = Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW)
    with EmbeddedLedger(path, vkey=log_key.vkey) as gateway:
        ledger.grant(given, actor=OWNER, at_ms=10)
        assert gateway.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=11)
        ledger.revoke(ACCOUNT, SUBJECT, actor=OWNER, at_ms=12)
        assert not gateway.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=13)


def test_rules_see_earlier_events_of_the_same_batch(ledger: EmbeddedLedger) -> None:
    ledger.append_many(
        [
            role_event(ACCOUNT, Role.REGISTRAR, RoleChange.ADD, actor=OWNER, at_ms=1),
            grant_event(
                Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW),
                actor=ACCOUNT,
                at_ms=2,
            ),
            role_event(ACCOUNT, Role.REGISTRAR, RoleChange.REMOVE, actor=OWNER, at_ms=3),
        ]
    )
    assert ledger.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=4)
    with pytest.raises(AccessRefusedError, match="registrar"):
        ledger.revoke(ACCOUNT, SUBJECT, actor=ACCOUNT, at_ms=5)
    assert ledger.audit().size == 4


def test_a_spoiled_right_is_no_right(path: Path, ledger: EmbeddedLedger) -> None:
    ledger.grant(Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW), actor=OWNER, at_ms=10)
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE access SET value = 'x' WHERE name LIKE 'grant/%'")
    raw.close()
    with pytest.raises(LedgerError, match="malformed value"):
        ledger.may(ACCOUNT, SUBJECT, Action.VIEW, at_ms=11)
    with pytest.raises(LedgerError, match="malformed value"):
        ledger.grants()


# --- Keys ---------------------------------------------------------------------------------------


def test_rotation_of_the_key(
    path: Path, ledger: EmbeddedLedger, log_key: SigningKey, make_event: Make
) -> None:
    new = SigningKey.generate(log_key.name)
    old_receipt = ledger.append(make_event(1))
    receipt = ledger.rotate_key(new, actor=OWNER)
    # Both keys vouch for the head that names both.
    for key in (log_key, new):
        event = verify(receipt, key.vkey)
        assert event.details == {"old_key": str(log_key.vkey), "new_key": str(new.vkey)}
    later = ledger.append(make_event(2))
    verify(later, new.vkey)
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        verify(later, log_key.vkey)
    verify(old_receipt, log_key.vkey)
    assert ledger.vkey == new.vkey
    assert ledger.audit().size == 4
    with pytest.raises(CheckpointError, match="newer key"):
        EmbeddedLedger(path, signing_key=log_key)
    # Who trusts the first key is led to the present one.
    with EmbeddedLedger(path, vkey=log_key.vkey) as auditor:
        assert auditor.vkey == new.vkey
        assert auditor.audit().checkpoints == 5
    with EmbeddedLedger(path, signing_key=new) as again:
        third = SigningKey.generate(log_key.name)
        again.rotate_key(third, actor=OWNER)
        with pytest.raises(CheckpointError, match="newer key"):
            ledger.append(make_event(3))
        assert again.append(make_event(3)).index == 5
    with EmbeddedLedger(path, vkey=log_key.vkey) as auditor:
        assert auditor.vkey == third.vkey
        assert auditor.audit().size == 6


def test_who_may_not_rotate(
    ledger: EmbeddedLedger, log_key: SigningKey, witness_key: SigningKey
) -> None:
    new = SigningKey.generate(log_key.name)
    with pytest.raises(AccessRefusedError, match="only the owner"):
        ledger.rotate_key(new, actor=ACCOUNT)
    for wrong in (SigningKey.generate("other.example"), log_key, witness_key):
        with pytest.raises(InputError, match="under the name of the log"):
            ledger.rotate_key(wrong, actor=OWNER)
    smuggled = Event.new(
        EventKind.KEY_ROTATION, actor=OWNER, details={"old_key": "a", "new_key": "b"}
    )
    with pytest.raises(InputError, match="rotate_key"):
        ledger.append(smuggled)
    assert ledger.size == 1
    assert ledger.vkey == log_key.vkey


def test_a_stolen_new_key_without_rotation_is_refused(
    path: Path, ledger: EmbeddedLedger, log_key: SigningKey
) -> None:
    thief = SigningKey.generate(log_key.name)
    ledger.close()
    with sqlite3.connect(path) as raw:
        raw.execute("INSERT INTO signer VALUES (1, ?)", (str(thief.vkey),))
    raw.close()
    with pytest.raises(CheckpointError, match="does not rotate the key"):
        EmbeddedLedger(path, vkey=log_key.vkey)


# --- Witnesses ----------------------------------------------------------------------------------


def test_a_witness_cosigns_and_detects_a_rollback(
    path: Path,
    ledger: EmbeddedLedger,
    log_key: SigningKey,
    witness_key: SigningKey,
    make_event: Make,
) -> None:
    ledger.append_many([make_event(number) for number in range(5)])
    first = ledger.witness(witness_key, timestamp_s=1_700_000_000)
    witnesses = (witness_key.vkey,)
    assert verify_checkpoint(ledger.checkpoint().to_bytes(), log_key.vkey, witnesses=witnesses)
    verify(ledger.prove(1), log_key.vkey, witnesses=witnesses)
    report = ledger.audit(witnesses=witnesses)
    assert report.cosigned_size == 6
    ledger.append_many([make_event(number) for number in range(5, 11)])
    second = ledger.witness(witness_key, previous=first.to_bytes())
    assert second.size == 12
    # Once more at the same size: the newer time is added, the older stays.
    assert len(ledger.witness(witness_key, timestamp_s=5).signatures) == 3
    assert ledger.check_continues(first.to_bytes(), witnesses=witnesses) == first
    ledger.close()
    roll_back(path, log_key, 3)
    with EmbeddedLedger(path, signing_key=log_key) as shorter:
        assert shorter.audit().size == 3, "the file alone does not tell"
        with pytest.raises(ConsistencyError, match="it had 12 entries and now has 3"):
            shorter.check_continues(second.to_bytes(), witnesses=witnesses)
        with pytest.raises(ConsistencyError, match="it had 6 entries and now has 3"):
            shorter.witness(witness_key, previous=first.to_bytes())
        shorter.append_many([make_event(number) for number in range(50, 70)])
        with pytest.raises(ConsistencyError, match="rewritten"):
            shorter.check_continues(second.to_bytes())


def roll_back(path: Path, key: SigningKey, size: int) -> None:
    """Rewrite the file as its owner could: a shorter log, signed anew."""
    with EmbeddedLedger(path, vkey=key.vkey) as ledger:
        kept = [event for _, event in ledger.events(0, size)]
    path.unlink()
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    with EmbeddedLedger(path, signing_key=key, create=True) as ledger:
        for event in kept:
            ledger.append(event)


def test_checkpoints_of_others_are_refused(
    ledger: EmbeddedLedger, log_key: SigningKey, witness_key: SigningKey
) -> None:
    head = ledger.checkpoint()
    with pytest.raises(CheckpointError, match="lacks the signature"):
        ledger.check_continues(head.to_bytes(), witnesses=(witness_key.vkey,))
    by_witness = replace(head, signatures=()).sign(witness_key, timestamp_s=1)
    with pytest.raises(CheckpointError, match="lacks the signature of the log"):
        ledger.check_continues(by_witness.to_bytes(), witnesses=(witness_key.vkey,))
    stranger = SigningKey.generate(log_key.name)
    foreign = replace(head, signatures=()).sign(stranger)
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        ledger.check_continues(foreign.to_bytes())
    other_origin = replace(head, origin="other.example", signatures=()).sign(log_key)
    with pytest.raises(CheckpointError, match="of another log"):
        ledger.check_continues(other_origin.to_bytes())


def test_a_cosignature_from_elsewhere_is_checked_before_it_is_kept(
    ledger: EmbeddedLedger, log_key: SigningKey, witness_key: SigningKey, make_event: Make
) -> None:
    head = ledger.checkpoint()
    ledger.append(make_event(1))
    cosigned = head.sign(witness_key, timestamp_s=1)
    ledger.store_cosignature(cosigned, witness_key.vkey)
    ledger.store_cosignature(cosigned, witness_key.vkey)
    assert ledger.checkpoint(1) == cosigned
    with pytest.raises(CheckpointError, match="no signature of a known key"):
        ledger.store_cosignature(head, witness_key.vkey)
    fork = replace(head, root=bytes(32), signatures=()).sign(log_key)
    with pytest.raises(CheckpointError, match="another head of this size"):
        ledger.store_cosignature(fork.sign(witness_key, timestamp_s=1), witness_key.vkey)
    never = replace(head, size=50, signatures=()).sign(witness_key, timestamp_s=1)
    with pytest.raises(InputError, match="no checkpoint was signed at 50"):
        ledger.store_cosignature(never, witness_key.vkey)


def test_an_external_signer_serves(path: Path, log_key: SigningKey, make_event: Make) -> None:
    class Device:
        """Signs without giving its key away."""

        @property
        def vkey(self) -> VerifyingKey:
            return log_key.vkey

        def sign(self, message: bytes) -> bytes:
            return log_key.sign(message)

    with EmbeddedLedger(path, signing_key=Device(), create=True) as ledger:
        verify(ledger.append(make_event(1)), log_key.vkey)
