import sqlite3
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from medseal.digest import Digest
from medseal.errors import (
    AccessRefusedError,
    CheckpointError,
    InputError,
    LedgerError,
    StorageError,
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
    grant_event,
    role_event,
    verify,
)
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
