import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from medseal.errors import (
    CheckpointError,
    DamagedLedgerError,
    InputError,
    LedgerError,
    MedsealError,
)
from medseal.ledger import (
    Action,
    ConsentChange,
    EmbeddedLedger,
    Event,
    EventKind,
    Grant,
    PauseChange,
    Role,
    RoleChange,
    SigningKey,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    network_event,
    pause_event,
    role_event,
)
from medseal.ledger.events import LEAF_VERSION
from medseal.ledger.merkle import Frontier, leaf_hash

OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32
Make = Callable[[int], Event]
ACCOUNT = f"{7:032x}"


@pytest.fixture
def closed(path: Path, log_key: SigningKey, make_event: Make) -> Path:
    """A closed log of 21 entries: one file, no journal."""
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        ledger.append(genesis_event(OWNER, at_ms=1))
        for number in range(7):
            ledger.append(make_event(number))
        ledger.grant(
            Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW), actor=OWNER, at_ms=1
        )
        ledger.append_many([make_event(number) for number in range(100, 112)])
    assert not Path(f"{path}-wal").exists()
    return path


def change(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as raw:
        assert raw.execute(statement, values).rowcount == 1
    raw.close()


def audit(path: Path, key: SigningKey) -> None:
    with EmbeddedLedger(path, vkey=key.vkey) as ledger:
        ledger.audit()


def test_a_sound_log(closed: Path, log_key: SigningKey) -> None:
    with EmbeddedLedger(closed, vkey=log_key.vkey) as ledger:
        report = ledger.audit()
        assert report.root == ledger.checkpoint().root
    assert (report.size, report.checkpoints, report.cosigned_size) == (21, 11, None)
    assert report.kinds == {EventKind.GENESIS: 1, EventKind.SEAL: 19, EventKind.GRANT: 1}


def test_a_log_whose_rights_have_moved_to_a_contract(path: Path, log_key: SigningKey) -> None:
    service, gateway, contract = "c0" * 20, "9a" * 20, "0x" + "7e" * 20
    signed, given = (
        "sha256:" + "dd" * 32,
        Grant(account=ACCOUNT, subject=SUBJECT, action=Action.VIEW),
    )
    here = [
        genesis_event(OWNER, at_ms=1),
        role_event(service, Role.CONSENT_SERVICE, RoleChange.ADD, actor=OWNER, at_ms=1),
        consent_event(SUBJECT, ConsentChange.WITHDRAW, signed, actor=service, at_ms=1),
        pause_event(PauseChange.PAUSE, actor=OWNER, at_ms=1),
        network_event(1337, contract, gateway, actor=OWNER, at_ms=1),
    ]
    # Told by whom the contract let: nobody of them has a right in this log.
    told = [
        grant_event(given, actor="ab" * 20, at_ms=1),
        pause_event(PauseChange.PAUSE, actor="ab" * 20, at_ms=1),
    ]
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        ledger.append_many(here)
        ledger.append_many(told)
        assert (ledger.owner, ledger.network) == (gateway, f"1337/{contract}")
        assert ledger.grants() == []
        assert ledger.may(gateway, SUBJECT, Action.VIEW).reason == "network"
        ledger.append(erase_event(SUBJECT, actor=gateway, at_ms=1))
        assert ledger.may(gateway, SUBJECT, Action.VIEW).reason == "erased"
    with EmbeddedLedger(path, vkey=log_key.vkey) as ledger:
        assert ledger.audit().kinds[EventKind.PAUSE] == 2
    change(path, "UPDATE access SET value = ? WHERE name = 'network'", f"1/{contract}")
    with pytest.raises(DamagedLedgerError, match="stored rights differ"):
        audit(path, log_key)


def test_an_empty_log(path: Path, log_key: SigningKey) -> None:
    with EmbeddedLedger(path, signing_key=log_key, create=True) as ledger:
        assert ledger.audit().checkpoints == 1
        assert ledger.audit().size == ledger.size == 0
        assert list(ledger.events()) == []
        with pytest.raises(InputError, match="0 entries"):
            ledger.prove(0)


@pytest.mark.parametrize(
    ("statement", "index", "message"),
    [
        ("UPDATE leaf SET data = replace(data, '5', '6') WHERE position = 5", 5, "lost"),
        ("UPDATE leaf SET data = 7 WHERE position = 5", 5, "lost"),
        ("DELETE FROM leaf WHERE position = 5", 5, "lost"),
        ("UPDATE node SET hash = zeroblob(32) WHERE position = 0", 1, "stored hash"),
        ("UPDATE node SET hash = zeroblob(32) WHERE position = 3", 5, "stored hash"),
        ("DELETE FROM node WHERE position = 0", 1, "stored hash"),
        ("INSERT INTO node VALUES (99, zeroblob(32))", 21, "over no entry"),
        ("UPDATE leaf_prefix SET prefix = prefix + 1 WHERE position = 5", 5, "index of hashes"),
        ("DELETE FROM leaf_prefix WHERE position = 5", 5, "index of hashes"),
        ("INSERT INTO leaf_prefix VALUES (1, 1)", 21, "index of hashes"),
        ("UPDATE checkpoint SET note = zeroblob(9) WHERE size = 3", 2, "checkpoint of size 3"),
        ("UPDATE checkpoint SET note = 'x' WHERE size = 3", 2, "checkpoint of size 3"),
        (
            "UPDATE checkpoint SET note = (SELECT note FROM checkpoint WHERE size = 4)"
            " WHERE size = 3",
            2,
            "signed for another log",
        ),
        (
            "INSERT INTO checkpoint SELECT 15, note FROM checkpoint WHERE size = 9",
            14,
            "signed for another log",
        ),
        ("UPDATE access SET value = '/9' WHERE name LIKE 'grant/%'", 21, "rights differ"),
        ("DELETE FROM access WHERE name = 'owner'", 21, "rights differ"),
        ("INSERT INTO access VALUES ('role/x/auditor', 'held')", 21, "rights differ"),
    ],
)
def test_a_changed_row_is_found(
    closed: Path, log_key: SigningKey, statement: str, index: int, message: str
) -> None:
    change(closed, statement)
    with pytest.raises(DamagedLedgerError, match=message) as caught:
        audit(closed, log_key)
    assert caught.value.index == index


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DELETE FROM checkpoint WHERE size = 21", "21 entries are stored and 9 are signed"),
        ("UPDATE leaf SET position = 99 WHERE position = 5", "100 entries are stored and 21 are"),
        ("DELETE FROM leaf WHERE position = 20", "20 entries are stored and 21 are signed"),
        ("UPDATE leaf SET data = zeroblob(9) WHERE position = 20", "differs from the signed root"),
        ("UPDATE node SET hash = zeroblob(32) WHERE position = 17", "differs from the signed root"),
        ("UPDATE node SET hash = 'x' WHERE position = 17", "is lost"),
        ("UPDATE signer SET vkey = 'x' WHERE size = 0", "stored key of the log is malformed"),
        ("DELETE FROM signer WHERE size = 0", "never signed with the key"),
        ("UPDATE signer SET size = 4 WHERE size = 0", "first key of the log is lost"),
    ],
)
def test_a_changed_head_is_found_on_opening(
    closed: Path, log_key: SigningKey, statement: str, message: str
) -> None:
    change(closed, statement)
    with pytest.raises(LedgerError, match=message):
        audit(closed, log_key)


def test_a_key_that_no_entry_names_is_found(closed: Path, log_key: SigningKey) -> None:
    other = SigningKey.generate(log_key.name)
    change(closed, "INSERT INTO signer VALUES (9, ?)", str(other.vkey))
    with pytest.raises(CheckpointError, match="does not rotate the key"):
        audit(closed, log_key)


def rewrite(path: Path, key: SigningKey, leaves: list[bytes]) -> None:
    """Replace the entries by others with fitting hashes and heads, as the key's owner could."""
    path.unlink()
    EmbeddedLedger(path, signing_key=key, create=True).close()
    with EmbeddedLedger(path, signing_key=key) as ledger:
        log = ledger._writer
        assert log is not None
        frontier, completed = Frontier(), []
        for leaf in leaves:
            completed += [node for _, _, node in frontier.append(leaf_hash(leaf))]
        head = ledger.checkpoint(0)
        signed = type(head)(origin=head.origin, size=frontier.size, root=frontier.root()).sign(key)
        with log.writing():
            log.insert(0, leaves, [leaf_hash(leaf) for leaf in leaves], completed)
            log.store_checkpoint(signed)


def test_an_entry_without_right_is_found_though_it_is_signed(
    closed: Path, log_key: SigningKey, make_event: Make
) -> None:
    leaves = [make_event(1).leaf(), erase_event(SUBJECT, actor=ACCOUNT).leaf()]
    rewrite(closed, log_key, leaves)
    with pytest.raises(DamagedLedgerError, match="only the owner") as caught:
        audit(closed, log_key)
    assert caught.value.index == 1


def test_an_entry_that_is_no_event_is_found_though_it_is_signed(
    closed: Path, log_key: SigningKey, make_event: Make
) -> None:
    rewrite(closed, log_key, [make_event(1).leaf(), LEAF_VERSION + b"{}"])
    with pytest.raises(DamagedLedgerError, match="lacks a field") as caught:
        audit(closed, log_key)
    assert caught.value.index == 1


def test_no_flipped_byte_of_the_file_goes_unseen(
    closed: Path, log_key: SigningKey, tmp_path: Path
) -> None:
    original = closed.read_bytes()
    with EmbeddedLedger(closed, vkey=log_key.vkey) as ledger:
        entries = list(ledger.events())
        proofs = [ledger.prove(index).to_bytes() for index in range(21)]
    target, found, unused = tmp_path / "flipped.sqlite", 0, 0
    for place in range(0, len(original), 97):
        changed = bytearray(original)
        changed[place] ^= 0x41
        target.write_bytes(changed)
        try:
            with EmbeddedLedger(target, vkey=log_key.vkey) as ledger:
                ledger.audit()
                # Passed: the byte lies in unused space, and everything reads as before.
                assert list(ledger.events()) == entries
                assert [ledger.prove(index).to_bytes() for index in range(21)] == proofs
                unused += 1
        except MedsealError:
            found += 1
        for suffix in ("-wal", "-shm"):
            Path(f"{target}{suffix}").unlink(missing_ok=True)
    assert found > 50
    assert unused > 50


def test_every_truncation_to_whole_pages_is_seen(
    closed: Path, log_key: SigningKey, tmp_path: Path
) -> None:
    target, size = tmp_path / "cut.sqlite", closed.stat().st_size
    for end in range(0, size, 2048):
        shutil.copyfile(closed, target)
        with target.open("r+b") as file:
            file.truncate(end)
        with pytest.raises(MedsealError, match=r"ledger|signed"):
            audit(target, log_key)
