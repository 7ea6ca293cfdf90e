"""Keys of the log and its witnesses: rotation, cosignatures, rollbacks that a witness sees."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from medseal.errors import (
    AccessRefusedError,
    CheckpointError,
    ConsistencyError,
    InputError,
)
from medseal.ledger import (
    EmbeddedLedger,
    Event,
    EventKind,
    SigningKey,
    VerifyingKey,
    verify,
    verify_checkpoint,
)

OWNER = "0" * 31 + "1"
SUBJECT = "sha256:" + "5a" * 32
Make = Callable[[int], Event]
ACCOUNT = f"{7:032x}"


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
