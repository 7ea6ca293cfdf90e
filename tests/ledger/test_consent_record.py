from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import ConsentError, ConsentReplayError, InputError
from medseal.ledger import (
    AccessState,
    Action,
    ConsentChange,
    Grant,
    consent_commitment,
    consent_event,
    grant_event,
    new_salt,
)
from medseal.ledger.consent import (
    NO_NETWORK,
    Consent,
    new_patient_key,
    patient_address,
    sign_consent,
)
from medseal.ledger.consent_record import (
    MAX_AHEAD_MS,
    MAX_GIVE_AGE_MS,
    ConsentRecord,
    accept_consent,
)
from tests.ledger.cast import CONSENT_SERVICE, DOCTOR, IMAGE, OTHER_IMAGE, OWNER, RESEARCHER, T

KEY = bytes(31) + b"\x07"
FRESH = ConsentRecord(subject=IMAGE, signer=patient_address(KEY))
GIVE, WITHDRAW = ConsentChange.GIVE, ConsentChange.WITHDRAW


def signed(change: ConsentChange, issued_ms: int, key: bytes = KEY, **fields: Any) -> bytes:
    said = Consent(**({"subject": IMAGE, "change": change, "issued_ms": issued_ms} | fields))
    return sign_consent(said, NO_NETWORK, key).to_bytes()


def accept(record: ConsentRecord, data: bytes, at_ms: int = T) -> ConsentRecord:
    return accept_consent(data, record, NO_NETWORK, at_ms=at_ms)[1]


def test_a_statement_is_accepted_once_and_in_the_order_of_signing() -> None:
    first, second = signed(WITHDRAW, T), signed(GIVE, T + 1)
    record = accept(FRESH, first)
    assert (record.issued_ms, record.withdrawn) == (T, ("",))
    with pytest.raises(ConsentReplayError, match="a newer statement"):
        accept(record, first)
    record = accept(record, second)
    assert record.withdrawn == ()
    # The older withdrawal is a replay, and so would be the older consent after a withdrawal.
    with pytest.raises(ConsentReplayError, match="a newer statement"):
        accept(record, first)
    record = accept(record, signed(WITHDRAW, T + 2))
    with pytest.raises(ConsentReplayError, match="a newer statement"):
        accept(record, second)
    assert record.withdrawn == ("",)


def test_a_nonce_serves_once() -> None:
    nonce = "0b" * 32
    record = accept(FRESH, signed(GIVE, T, nonce=nonce))
    with pytest.raises(ConsentReplayError, match="a newer statement"):
        accept(record, signed(WITHDRAW, T + 1, nonce=nonce))
    accept(record, signed(WITHDRAW, T + 1))


def test_only_the_patient_of_the_image_is_heard() -> None:
    with pytest.raises(ConsentError, match="not signed with the key of this patient"):
        accept(FRESH, signed(WITHDRAW, T, new_patient_key()))
    with pytest.raises(ConsentError, match="for another image"):
        accept(FRESH, signed(WITHDRAW, T, subject=OTHER_IMAGE))


def test_no_statement_comes_from_the_future() -> None:
    accept(FRESH, signed(WITHDRAW, T + MAX_AHEAD_MS))
    with pytest.raises(ConsentError, match="dated ahead"):
        accept(FRESH, signed(WITHDRAW, T + MAX_AHEAD_MS + 1))


def test_a_consent_grows_old_and_a_withdrawal_does_not() -> None:
    old = T - MAX_GIVE_AGE_MS
    accept(FRESH, signed(GIVE, old))
    with pytest.raises(ConsentReplayError, match="more than 30 days"):
        accept(FRESH, signed(GIVE, old - 1))
    assert accept(FRESH, signed(WITHDRAW, 0)).withdrawn == ("",)


def test_a_consent_to_one_purpose_lifts_no_other_withdrawal() -> None:
    record = accept(FRESH, signed(WITHDRAW, T, purpose="study-7"))
    with pytest.raises(ConsentError, match="withdrawal of another purpose"):
        accept(record, signed(GIVE, T + 1, purpose="study-8"))
    assert accept(record, signed(GIVE, T + 1, purpose="study-7")).withdrawn == ()
    both = accept(record, signed(WITHDRAW, T + 1, purpose="study-8"))
    assert both.withdrawn == ("study-7", "study-8")
    with pytest.raises(ConsentError, match="withdrawal of another purpose"):
        accept(both, signed(GIVE, T + 2, purpose="study-8"))
    everything = accept(both, signed(WITHDRAW, T + 2))
    with pytest.raises(ConsentError, match="withdrawal of another purpose"):
        accept(everything, signed(GIVE, T + 3, purpose="study-7"))
    for record in (both, everything):
        assert accept(record, signed(GIVE, T + 3)).withdrawn == ()


def test_too_many_withdrawals_are_one_of_everything() -> None:
    many = tuple(f"s{number:03}" for number in range(256))
    record = replace(FRESH, withdrawn=many)
    assert accept(record, signed(WITHDRAW, T, purpose="s000")).withdrawn == many
    assert accept(record, signed(WITHDRAW, T, purpose="s999")).withdrawn == ("",)


def test_what_is_relayed_stops_a_researcher(state: AccessState) -> None:
    end = T + 1000
    grant = Grant(
        account=RESEARCHER, subject=IMAGE, action=Action.VIEW, purpose="study", expires_ms=end
    )
    state.apply(grant_event(grant, actor=OWNER, at_ms=T))

    def relay(record: ConsentRecord, data: bytes) -> ConsentRecord:
        statement, after = accept_consent(data, record, NO_NETWORK, at_ms=T)
        commitment = str(consent_commitment(statement, new_salt()))
        change = statement.consent.change
        state.apply(
            consent_event(record.subject, change, commitment, actor=CONSENT_SERVICE, at_ms=T)
        )
        return after

    def why(account: str) -> str:
        return state.may(account, IMAGE, Action.VIEW, purpose="study", at_ms=T).reason

    assert why(RESEARCHER) == "granted"
    record = relay(FRESH, signed(WITHDRAW, T))
    assert (why(RESEARCHER), why(DOCTOR)) == ("withdrawn", "no-grant")
    relay(record, signed(GIVE, T + 1))
    assert why(RESEARCHER) == "granted"


words = st.from_regex(r"\A[a-z][a-z0-9-]{0,31}\Z")
records = st.builds(
    ConsentRecord,
    subject=st.just(IMAGE),
    signer=st.binary(min_size=20, max_size=20).map(lambda value: f"0x{value.hex()}"),
    issued_ms=st.integers(0, 253_402_300_799_999),
    nonce=st.binary(min_size=32, max_size=32).map(bytes.hex),
    withdrawn=st.sets(words | st.just(""), max_size=5).map(lambda names: tuple(sorted(names))),
)


@given(records | st.just(FRESH))
def test_a_record_is_kept_in_one_form(record: ConsentRecord) -> None:
    data = record.to_bytes()
    assert ConsentRecord.parse(data) == record
    assert data.startswith(b"medseal-consent-record/v1\n")


def test_the_largest_record_can_be_read() -> None:
    names = tuple(f"s{number:031}" for number in range(256))
    record = replace(FRESH, issued_ms=253_402_300_799_999, nonce="f" * 64, withdrawn=names)
    assert ConsentRecord.parse(record.to_bytes()) == record


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"record/v1", b"record/v2", "another kind or version"),
        (b'"issued_ms":null', b'"issued_ms":0', "64 hexadecimal"),
        (b'"nonce":""', b'"nonce":"' + b"0b" * 32 + b'"', "milliseconds"),
        (b'"withdrawn":[]', b'"withdrawn":{}', "a list"),
        (b'"withdrawn":[]', b'"withdrawn":["b","a"]', "sorted"),
        (b'"withdrawn":[]', b'"withdrawn":["a","a"]', "sorted"),
        (b'"withdrawn":[]', b'"withdrawn":[1]', "a purpose has"),
        (b'"withdrawn":[]', b'"withdrawn": []', "canonical"),
        (b',"withdrawn":[]', b"", "lacks a field"),
        (b"sha256:", b"", "commitment"),
        (b'"0x', b'"', "lower-case address"),
    ],
)
def test_another_form_of_a_record_is_refused(old: bytes, new: bytes, message: str) -> None:
    data = FRESH.to_bytes()
    assert old in data
    with pytest.raises(ConsentError, match=message):
        ConsentRecord.parse(data.replace(old, new, 1))
    with pytest.raises(ConsentError, match="at most 16384 bytes"):
        ConsentRecord.parse(data.ljust(16_385))


def test_a_record_is_valid_from_the_start() -> None:
    with pytest.raises(InputError, match="64 hexadecimal"):
        ConsentRecord(subject=IMAGE, signer=FRESH.signer, issued_ms=T)
