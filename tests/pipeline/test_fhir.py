"""AuditEvent resources: their structure is checked against the definition of FHIR R4."""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from medseal.errors import AccessRefusedError
from medseal.ledger import (
    EmbeddedLedger,
    Event,
    EventKind,
    Receipt,
    SigningKey,
    genesis_event,
    verify,
)
from medseal.ledger.history import history
from medseal.pipeline.access import GrantRequest, break_glass, grant
from medseal.pipeline.audit_trail import TrailEntry, audit_trail
from medseal.pipeline.fhir import _KINDS, audit_bundle
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace

ROOT = Path(__file__).parents[2]
# hl7.org/fhir/R4/auditevent.html: element -> (least, most, type); None for any number.
CODING = {"system": (0, 1, "uri"), "code": (0, 1, "code"), "display": (0, 1, "string")}
CONCEPT = {"coding": (0, None, CODING), "text": (0, 1, "string")}
IDENTIFIER = {"system": (0, 1, "uri"), "value": (0, 1, "string")}
REFERENCE = {"identifier": (0, 1, IDENTIFIER), "display": (0, 1, "string")}
AUDIT_EVENT = {
    "resourceType": (1, 1, "code"),
    "id": (0, 1, "id"),
    "type": (1, 1, CODING),
    "subtype": (0, None, CODING),
    "action": (0, 1, "code"),
    "recorded": (1, 1, "instant"),
    "outcome": (0, 1, "code"),
    "outcomeDesc": (0, 1, "string"),
    "purposeOfEvent": (0, None, CONCEPT),
    "agent": (
        1,
        None,
        {
            "type": (0, 1, CONCEPT),
            "role": (0, None, CONCEPT),
            "who": (0, 1, REFERENCE),
            "name": (0, 1, "string"),
            "requestor": (1, 1, "boolean"),
            "policy": (0, None, "uri"),
        },
    ),
    "source": (
        1,
        1,
        {
            "site": (0, 1, "string"),
            "observer": (1, 1, REFERENCE),
            "type": (0, None, CODING),
        },
    ),
    "entity": (
        0,
        None,
        {
            "what": (0, 1, REFERENCE),
            "type": (0, 1, CODING),
            "role": (0, 1, CODING),
            "name": (0, 1, "string"),
            "detail": (
                0,
                None,
                {
                    "type": (1, 1, "string"),
                    "valueString": (0, 1, "string"),
                    "valueBase64Binary": (0, 1, "base64Binary"),
                },
            ),
        },
    ),
}
BUNDLE = {
    "resourceType": (1, 1, "code"),
    "type": (1, 1, "code"),
    "timestamp": (0, 1, "instant"),
    "entry": (0, None, {"fullUrl": (0, 1, "uri"), "resource": (0, 1, AUDIT_EVENT)}),
}
PATTERNS = {
    "uri": r"\S+",
    "code": r"[^\s]+(\s[^\s]+)*",
    "string": r"[ \r\n\t\S]+",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "base64Binary": r"(\s*([0-9a-zA-Z+/=]){4}\s*)+",
    "instant": r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[1-2][0-9]|3[0-1])T([01][0-9]|2[0-3])"
    r":[0-5][0-9]:([0-5][0-9]|60)(\.[0-9]+)?(Z|(\+|-)((0[0-9]|1[0-3]):[0-5][0-9]|14:00))",
}


def check(value: Any, kind: Any, path: str = "") -> None:
    """Compare a value with a definition; every element must be known."""
    if isinstance(kind, Mapping):
        assert isinstance(value, dict), path
        assert value, f"{path}: an empty object is no FHIR"
        assert value.keys() <= kind.keys(), f"{path}: {value.keys() - kind.keys()}"
        for name, (least, most, inner) in kind.items():
            _check_element(value.get(name), inner, f"{path}.{name}", least=least, most=most)
    elif kind == "boolean":
        assert isinstance(value, bool), path
    else:
        assert isinstance(value, str), path
        assert re.fullmatch(PATTERNS[kind], value), f"{path}: {value}"


def _check_element(found: Any, kind: Any, path: str, *, least: int, most: int | None) -> None:
    if found is None:
        assert least == 0, f"{path} is missing"
    elif most is None:
        assert isinstance(found, list), path
        assert len(found) >= max(least, 1), f"{path}: an empty list is no FHIR"
        for number, item in enumerate(found):
            check(item, kind, f"{path}[{number}]")
    else:
        check(found, kind, path)


@pytest.fixture
def bundle(workspace: Workspace, ct_file: Path, tmp_path: Path) -> dict[str, Any]:
    """A bundle of every kind of event that a day brings, with names."""
    [outcome] = seal(workspace, [ct_file])
    image_id = outcome.image_id or ""
    request = GrantRequest(name="Ann Müller", image_id=image_id, action="view", purpose="study-7")
    grant(workspace, request)
    with pytest.raises(AccessRefusedError, match="purpose"):
        open_image(workspace, image_id, tmp_path / "a.dcm", name="Ann Müller")
    open_image(workspace, image_id, tmp_path / "a.dcm", name="Ann Müller", purpose="study-7")
    release(workspace, ReleaseRequest(image_id=image_id, to="bob"), tmp_path / "r.dcm")
    break_glass(workspace, "Ann Müller", image_id, reason="unconscious")
    open_image(workspace, image_id, tmp_path / "b.dcm", name="Ann Müller", purpose="study-7")
    workspace.record_event(EventKind.VERIFY, actor="")
    made = audit_bundle(audit_trail(workspace, with_names=True), workspace.log.vkey)
    assert isinstance(made, dict)
    return made


def events(bundle: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resources by the kind of the event; the last of each."""
    resources = [entry["resource"] for entry in bundle["entry"]]
    return {resource["subtype"][1]["code"]: resource for resource in resources}


def test_the_bundle_has_the_structure_of_fhir_r4(bundle: dict[str, Any]) -> None:
    check(json.loads(json.dumps(bundle)), BUNDLE)
    urls = [entry["fullUrl"] for entry in bundle["entry"]]
    assert len(set(urls)) == len(urls)
    for entry in bundle["entry"]:
        resource = entry["resource"]
        assert entry["fullUrl"] == f"urn:uuid:{resource['id']}"
        assert resource["action"] in set("CRUDE")
        assert resource["outcome"] in {"0", "4", "8", "12"}
        assert sum(agent["requestor"] for agent in resource["agent"]) == 1


@pytest.fixture
def every_kind(tmp_path: Path) -> dict[str, Any]:
    """A bundle with one event of each kind, by accounts without names."""
    key = SigningKey.generate("medseal.example/log")
    owner, ann, image = "1" * 32, "a" * 32, f"sha256:{'2' * 64}"
    digest = f"sha256:{'3' * 64}"
    said: dict[EventKind, dict[str, str | int]] = {
        EventKind.REFUSE: {"action": "view", "reason": "expired"},
        EventKind.ROLE: {"account": ann, "role": "emergency", "change": "add"},
        EventKind.GRANT: {"account": ann, "action": "view", "expires_ms": 5},
        EventKind.REVOKE: {"account": ann, "action": "all"},
        EventKind.BREAK_GLASS: {"reason": digest},
        EventKind.CONSENT: {"change": "withdraw", "consent": digest},
        EventKind.PAUSE: {"change": "pause"},
        EventKind.NETWORK: {"chain_id": 5, "contract": f"0x{'4' * 40}", "account": "5" * 40},
    }
    last = (EventKind.PAUSE, EventKind.NETWORK, EventKind.ERASE)
    kinds = [*said, *(kind for kind in EventKind if kind not in said)]
    with EmbeddedLedger(tmp_path / "log", signing_key=key, create=True) as log:
        log.append(genesis_event(owner))
        role = {"account": owner, "role": "consent-service", "change": "add"}
        log.append(Event.new(EventKind.ROLE, actor=owner, details=role))
        for kind in (*(kind for kind in kinds if kind not in last), *last):
            if kind is EventKind.KEY_ROTATION:
                log.rotate_key(SigningKey.generate(key.name), actor=owner)
            elif kind is not EventKind.GENESIS:
                plain = kind in (EventKind.ROLE, EventKind.PAUSE, EventKind.NETWORK)
                actor = {EventKind.BREAK_GLASS: ann, EventKind.ERASE: "5" * 40}.get(kind, owner)
                subject = "" if plain else image
                log.append(Event.new(kind, actor=actor, subject=subject, details=said.get(kind)))
        entries = [
            TrailEntry(
                record=record,
                receipt=log.prove(record.index),
                image_id=None,
                name=None,
                other_name=None,
            )
            for record in history(log.events())
        ]
        return audit_bundle(entries, log.vkey)


def test_every_kind_of_event_has_the_structure(every_kind: dict[str, Any]) -> None:
    check(every_kind, BUNDLE)
    assert events(every_kind).keys() == set(EventKind)


@pytest.mark.parametrize("name", ["bundle", "every_kind"])
def test_the_bundle_is_accepted_by_a_library_of_fhir(
    name: str, request: pytest.FixtureRequest
) -> None:
    made = request.getfixturevalue(name)
    assert len(Bundle.model_validate(made).entry) == len(made["entry"])


def test_each_event_says_what_happened(bundle: dict[str, Any]) -> None:
    by_kind = events(bundle)
    assert by_kind["refuse"]["outcome"] == "8"
    assert by_kind["refuse"]["outcomeDesc"] == "purpose"
    assert by_kind["open"]["outcome"] == "0"
    assert {"text": "study-7"} in by_kind["open"]["purposeOfEvent"]
    [agent] = by_kind["open"]["agent"]
    assert agent["who"]["display"] == "Ann Müller"
    assert agent["role"][0]["coding"][0]["code"] == "radiologist"
    basis = re.fullmatch(r"urn:medseal:entry:([0-9]+)", agent["policy"][0])
    assert basis is not None
    granted = bundle["entry"][int(basis[1])]["resource"]
    assert granted["subtype"][1]["code"] == "grant"
    broken = by_kind["break-glass"]["purposeOfEvent"][0]["coding"][0]
    assert broken["code"] == "BTG"
    assert [each["requestor"] for each in by_kind["release"]["agent"]] == [True, False]
    assert by_kind["verify"]["agent"][0]["type"]["coding"][0]["code"] == "110150"


def test_each_event_carries_a_proof_that_verifies(
    bundle: dict[str, Any], workspace: Workspace
) -> None:
    for entry in bundle["entry"]:
        proof = entry["resource"]["entity"][-1]
        data = base64.b64decode(proof["detail"][0]["valueBase64Binary"])
        receipt = Receipt.parse(data)
        event = verify(receipt, workspace.log.vkey)
        assert receipt.opening is None
        assert proof["what"]["identifier"]["value"] == str(receipt.leaf_hash)
        assert entry["resource"]["subtype"][1]["code"] == event.kind


def test_without_names_nothing_tells_a_person_or_an_identifier(
    workspace: Workspace, ct_file: Path, tmp_path: Path
) -> None:
    [outcome] = seal(workspace, [ct_file])
    request = GrantRequest(name="Ann Müller", image_id=outcome.image_id or "", action="view")
    grant(workspace, request)
    open_image(workspace, outcome.image_id or "", tmp_path / "a.dcm", name="Ann Müller")
    text = json.dumps(audit_bundle(audit_trail(workspace), workspace.log.vkey))
    for secret in ("Ann", "CompressedSamples", "1CT1", "1.3.6.1.4", "CT_small"):
        assert secret not in text


def test_the_same_entry_has_the_same_identifier_each_time(workspace: Workspace) -> None:
    first, second = (
        audit_bundle(audit_trail(workspace), workspace.log.vkey)["entry"] for _ in range(2)
    )
    assert first == second


def test_no_entry_gives_a_bundle_without_a_list(workspace: Workspace) -> None:
    empty = audit_bundle([], workspace.log.vkey)
    assert "entry" not in empty
    check(empty, BUNDLE)


def test_every_kind_of_event_is_mapped_and_described() -> None:
    assert set(_KINDS) == set(EventKind)
    page = (ROOT / "docs" / "spec" / "audit-event.md").read_text()
    for kind, (coding, subtype, action) in _KINDS.items():
        row = f"| `{kind}` | {coding['code']} {coding['display']} | {_short(subtype)} | {action} |"
        assert row in page, row


def _short(subtype: Mapping[str, str]) -> str:
    words: Sequence[str] = (subtype["code"], subtype["display"])
    return " ".join(words) if subtype["code"].isdecimal() else f"`{subtype['code']}`"
