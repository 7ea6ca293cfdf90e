import json
import string
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.digest import canonical_json
from medseal.errors import InputError, LedgerError
from medseal.ledger.events import (
    LEAF_VERSION,
    MAX_DETAILS,
    MAX_LEAF_BYTES,
    MAX_TEXT_CHARS,
    Event,
    EventKind,
)

VECTORS = Path(__file__).parents[1] / "vectors" / "ledger-event"
LEAVES = [path for path in sorted(VECTORS.glob("*.json")) if "leaf" in json.loads(path.read_text())]
HEX = "0123456789abcdef"
WORD = string.ascii_letters + string.digits + "_:+/=@-"
NONCE = "0" * 32


def hexadecimal(digits: int) -> st.SearchStrategy[str]:
    return st.text(HEX, min_size=digits, max_size=digits)


keys = st.from_regex(r"\A[a-z][a-z0-9_]{0,31}\Z")
values = st.text(WORD, max_size=MAX_TEXT_CHARS) | st.integers(-(2**53) + 1, 2**53 - 1)
events = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    at_ms=st.integers(0, 253_402_300_799_999),
    actor=st.just("")
    | hexadecimal(32)
    | hexadecimal(40).filter(lambda address: not address.startswith("0" * 8)),
    subject=st.just("") | hexadecimal(64).map("sha256:{}".format),
    details=st.dictionaries(keys, values, max_size=MAX_DETAILS),
    nonce=hexadecimal(32),
)


def make(**changes: Any) -> Event:
    fields: dict[str, Any] = {"kind": EventKind.SEAL, "at_ms": 1, "nonce": NONCE}
    return Event(**(fields | changes))


@given(events)
def test_round_trip_and_canonical_form(event: Event) -> None:
    leaf = event.leaf()
    assert Event.parse(leaf) == event
    assert Event.parse(leaf).leaf() == leaf
    fields = {
        "actor": event.actor,
        "at_ms": event.at_ms,
        "details": dict(event.details),
        "kind": str(event.kind),
        "nonce": event.nonce,
        "subject": event.subject,
    }
    assert leaf == LEAF_VERSION + canonical_json(fields)


def test_the_largest_event_fits_the_bound() -> None:
    details = {f"k{n:031}": "x" * MAX_TEXT_CHARS for n in range(MAX_DETAILS)}
    event = make(
        kind=EventKind.IMPORT_RESULT,
        at_ms=253_402_300_799_999,
        actor="f" * 40,
        subject="sha256:" + "f" * 64,
        details=details,
    )
    assert len(event.leaf()) <= MAX_LEAF_BYTES


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "scan"}, "unknown kind"),
        ({"at_ms": -1}, "at_ms"),
        ({"at_ms": True}, "at_ms"),
        ({"at_ms": 1.5}, "at_ms"),
        ({"at_ms": 253_402_300_800_000}, "at_ms"),
        ({"actor": "Jane"}, "actor"),
        ({"actor": "A" * 32}, "actor"),
        ({"actor": "a" * 36}, "actor"),
        ({"actor": "0" * 8 + "a" * 32}, "actor"),
        ({"actor": "0x" + "a" * 40}, "actor"),
        ({"subject": "sha256:00"}, "subject"),
        ({"subject": "00" * 32}, "subject"),
        ({"nonce": ""}, "nonce"),
        ({"nonce": NONCE + "\n"}, "nonce"),
        ({"details": {"Key": 1}}, "detail key"),
        ({"details": {"key\n": 1}}, "detail key"),
        ({"details": {"k": True}}, "neither text nor an integer"),
        ({"details": {"k": 1.0}}, "neither text nor an integer"),
        ({"details": {"k": None}}, "neither text nor an integer"),
        ({"details": {"k": 2**53}}, "53 bits"),
        ({"details": {"k": "x" * 129}}, "exceeds 128"),
        ({"details": {"k": "Doe^Jane"}}, "free text"),
        ({"details": {"k": "two words"}}, "free text"),
        ({"details": {"k": 'quote"'}}, "free text"),
        ({"details": {"k": "Müller"}}, "free text"),
        ({"details": {"k": "1.2.840.10008.1"}}, "UID"),
        ({"details": {"k": "uid:1.2.840.10008.1.2.1"}}, "UID"),
        ({"details": {f"k{n}": n for n in range(MAX_DETAILS + 1)}}, "at most 18"),
    ],
)
def test_what_is_no_event_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(**changes)


def test_version_numbers_and_digests_are_no_uids() -> None:
    words = {"model": "sha256:" + "1" * 64, "decoder": "pydicom-3.0.2.post1", "size": "1.2.3.4"}
    assert make(details=words).details == words


def test_details_are_read_only_and_detached() -> None:
    details: dict[str, str | int] = {"k": 1}
    event = make(details=details)
    details["k"] = 2
    assert event.details["k"] == 1
    with pytest.raises(TypeError, match="does not support item assignment"):
        event.details["k"] = 3  # type: ignore[index]


def test_equal_events_differ_by_nonce() -> None:
    assert len({Event.new(EventKind.OPEN, at_ms=1).leaf() for _ in range(50)}) == 50


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"event/v1", b"event/v2", "another version"),
        (b'"at_ms":1', b'"at_ms":01', "malformed"),
        (b'"at_ms":1', b'"at_ms":1.0', "malformed"),
        (b'"at_ms":1', b'"at_ms": 1', "malformed"),
        (b'"at_ms":1', b'"at_ms":"1"', "malformed"),
        (b'"details":{}', b'"details":[]', "no mapping"),
        (b'"kind":"seal"', b'"kind":"sea"', "malformed"),
        (b'"kind":"seal"', b'"kind":["seal"]', "malformed"),
        (b'"kind":"seal",', b"", "lacks a field"),
        (b'"subject":""', b'"subject":"","z":1', "one too many"),
        (b'"subject":""}', b'"subject":""}\n', "malformed"),
        (b'"subject":""}', b'"subject":"","subject":""}', "malformed"),
    ],
)
def test_other_spellings_of_a_leaf_are_refused(old: bytes, new: bytes, message: str) -> None:
    leaf = make().leaf()
    assert old in leaf
    with pytest.raises(LedgerError, match=message):
        Event.parse(leaf.replace(old, new))


def test_a_leaf_is_bounded() -> None:
    with pytest.raises(LedgerError, match="4096"):
        Event.parse(make().leaf().ljust(MAX_LEAF_BYTES + 1))


@given(st.binary(max_size=200))
def test_garbage_never_escapes_the_tree_of_errors(data: bytes) -> None:
    with pytest.raises(LedgerError, match="event"):
        Event.parse(LEAF_VERSION + data)


@pytest.mark.parametrize("path", LEAVES, ids=lambda path: path.stem)
def test_vectors(path: Path) -> None:
    vector = json.loads(path.read_text())
    leaf = vector["leaf"].encode()
    if vector["expect"] == "success":
        assert Event.parse(leaf).leaf() == leaf
        return
    assert vector["expect"] == "LedgerError"
    with pytest.raises(LedgerError, match=vector["message"]):
        Event.parse(leaf)


def test_there_are_vectors() -> None:
    kinds = {
        Event.parse(json.loads(path.read_text())["leaf"].encode()).kind
        for path in LEAVES
        if path.stem.startswith("valid_")
    }
    assert len(LEAVES) > 20
    assert len(kinds) > 10
