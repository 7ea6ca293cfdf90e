"""The audit trail as FHIR R4: a bundle of AuditEvent resources, each with its proof."""

import base64
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from medseal.ledger import Event, EventKind, VerifyingKey
from medseal.ledger.history import image_of, other_account
from medseal.pipeline.audit_trail import TrailEntry

__all__ = ["ACCOUNT_SYSTEM", "COMMITMENT_SYSTEM", "KIND_SYSTEM", "audit_bundle", "audit_event"]

# docs/spec/audit-event.md
DICOM_SYSTEM = "http://dicom.nema.org/resources/ontology/DCM"
LIFECYCLE_SYSTEM = "http://terminology.hl7.org/CodeSystem/iso-21089-lifecycle"
ENTITY_TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
OBJECT_ROLE_SYSTEM = "http://terminology.hl7.org/CodeSystem/object-role"
SOURCE_TYPE_SYSTEM = "http://terminology.hl7.org/CodeSystem/security-source-type"
REASON_SYSTEM = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
KIND_SYSTEM = "urn:medseal:event-kind"
ROLE_SYSTEM = "urn:medseal:role"
ACCOUNT_SYSTEM = "urn:medseal:account"
COMMITMENT_SYSTEM = "urn:medseal:commitment"
ENTRY_SYSTEM = "urn:medseal:leaf"
LOG_SYSTEM = "urn:medseal:log"
# FHIR R4, value set audit-event-outcome: the action was terminated.
SUCCESS, REFUSED = "0", "8"

_Coding = dict[str, str]


def _coding(system: str, code: str, display: str) -> _Coding:
    return {"system": system, "code": code, "display": display}


def _dicom(code: str, display: str) -> _Coding:
    return _coding(DICOM_SYSTEM, code, display)


def _lifecycle(code: str, display: str) -> _Coding:
    return _coding(LIFECYCLE_SYSTEM, code, f"{display} Record Lifecycle Event")


_SECURITY = _dicom("110113", "Security Alert")
_ACCESSED = _dicom("110103", "DICOM Instances Accessed")
_OBJECT_RIGHTS = _dicom("110135", "Object Security Attributes Changed")
_CONFIGURATION = _dicom("110129", "Security Configuration")

# Type, subtype and action (C create, R read, U update, D delete, E execute) of each kind.
_KINDS: dict[EventKind, tuple[_Coding, _Coding, str]] = {
    EventKind.GENESIS: (_SECURITY, _dicom("110134", "Audit Recording Started"), "E"),
    EventKind.SEAL: (
        _dicom("110107", "Import"),
        _lifecycle("originate", "Originate/Retain"),
        "C",
    ),
    EventKind.RELEASE: (_dicom("110106", "Export"), _lifecycle("disclose", "Disclose"), "R"),
    EventKind.OPEN: (_ACCESSED, _lifecycle("access", "Access/View"), "R"),
    EventKind.CLASSIFY: (_ACCESSED, _lifecycle("access", "Access/View"), "E"),
    EventKind.VERIFY: (_dicom("110112", "Query"), _lifecycle("verify", "Verify"), "E"),
    EventKind.DEIDENTIFY: (
        _dicom("110106", "Export"),
        _lifecycle("deidentify", "De-Identify (Anononymize)"),
        "C",
    ),
    EventKind.IMPORT_RESULT: (
        _dicom("110107", "Import"),
        _lifecycle("receive", "Receive/Retain"),
        "C",
    ),
    EventKind.REFUSE: (_SECURITY, _dicom("110132", "Use of Restricted Function"), "E"),
    EventKind.ROLE: (_SECURITY, _dicom("110136", "Security Roles Changed"), "U"),
    EventKind.GRANT: (_SECURITY, _OBJECT_RIGHTS, "C"),
    EventKind.REVOKE: (_SECURITY, _OBJECT_RIGHTS, "D"),
    EventKind.BREAK_GLASS: (_SECURITY, _dicom("110127", "Emergency Override Started"), "E"),
    EventKind.ERASE: (
        _dicom("110105", "DICOM Study Deleted"),
        _lifecycle("destroy", "Destroy/Delete"),
        "D",
    ),
    EventKind.KEY_ROTATION: (_SECURITY, _CONFIGURATION, "U"),
    EventKind.CONSENT: (_SECURITY, _OBJECT_RIGHTS, "U"),
    EventKind.PAUSE: (_SECURITY, _CONFIGURATION, "U"),
    EventKind.NETWORK: (_SECURITY, _dicom("110128", "Network Configuration"), "U"),
}


def _identified(system: str, value: str, display: str | None = None) -> dict[str, Any]:
    """Return a reference to what is known by an identifier only."""
    reference: dict[str, Any] = {"identifier": {"system": system, "value": value}}
    if display:
        reference["display"] = display
    return reference


def _resource_id(entry: TrailEntry) -> str:
    """Return the same UUID for the same entry each time: of the hash of its leaf."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ENTRY_SYSTEM}:{entry.receipt.leaf_hash}"))


def audit_event(entry: TrailEntry, log: VerifyingKey) -> dict[str, Any]:
    """Return an AuditEvent resource, FHIR R4 (4.0.1), of one entry.

    Parameters
    ----------
    entry
        A proven entry.
    log
        Key of the log: the source that observed the event.
    """
    event = entry.record.event
    kind, subtype, action = _KINDS[event.kind]
    moment = datetime.fromtimestamp(event.at_ms / 1000, UTC)
    resource: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": _resource_id(entry),
        "type": kind,
        "subtype": [subtype, {"system": KIND_SYSTEM, "code": str(event.kind)}],
        "action": action,
        "recorded": moment.isoformat(timespec="milliseconds"),
        "outcome": REFUSED if entry.record.outcome == "refused" else SUCCESS,
    }
    if entry.record.outcome == "refused" and entry.record.reason:
        resource["outcomeDesc"] = entry.record.reason
    purposes = _purposes(entry)
    if purposes:
        resource["purposeOfEvent"] = purposes
    return resource | {
        "agent": _agents(entry, log),
        "source": {
            "observer": _identified(LOG_SYSTEM, str(log), log.name),
            "type": [_coding(SOURCE_TYPE_SYSTEM, "4", "Application Server")],
        },
        "entity": [*_images(event), _proof(entry)],
    }


def _purposes(entry: TrailEntry) -> list[dict[str, Any]]:
    """Return the purpose of the grant, and for emergencies the code that HL7 has for them."""
    purposes: list[dict[str, Any]] = []
    is_emergency = entry.record.event.kind is EventKind.BREAK_GLASS
    if is_emergency or entry.record.reason == "break-glass":
        purposes.append({"coding": [_coding(REASON_SYSTEM, "BTG", "break the glass")]})
    if entry.record.purpose:
        purposes.append({"text": entry.record.purpose})
    return purposes


def _agents(entry: TrailEntry, log: VerifyingKey) -> list[dict[str, Any]]:
    """Return who acted, and who else the event is about."""
    event = entry.record.event
    if event.actor:
        actor: dict[str, Any] = {
            "who": _identified(ACCOUNT_SYSTEM, event.actor, entry.name),
            "requestor": True,
        }
    else:
        actor = {
            "type": {"coding": [_dicom("110150", "Application")]},
            "who": _identified(LOG_SYSTEM, str(log), log.name),
            "requestor": True,
        }
    if entry.record.roles:
        codings = [{"system": ROLE_SYSTEM, "code": str(role)} for role in entry.record.roles]
        actor["role"] = [{"coding": [coding]} for coding in codings]
    if entry.record.basis is not None:
        actor["policy"] = [f"urn:medseal:entry:{entry.record.basis}"]
    other = other_account(event)
    if not other or other == event.actor:
        return [actor]
    about = {"who": _identified(ACCOUNT_SYSTEM, other, entry.other_name), "requestor": False}
    return [actor, about]


def _images(event: Event) -> list[dict[str, Any]]:
    """Return the image, and the copy of it, that the event names; commitments only."""
    named = dict.fromkeys(
        value
        for value in (image_of(event), event.subject, str(event.details.get("release", "")))
        if value
    )
    details = [{"type": key, "valueString": str(value)} for key, value in event.details.items()]
    entities: list[dict[str, Any]] = [
        {
            "what": _identified(COMMITMENT_SYSTEM, commitment),
            "type": _coding(ENTITY_TYPE_SYSTEM, "2", "System Object"),
            "role": _coding(OBJECT_ROLE_SYSTEM, "4", "Domain Resource"),
        }
        for commitment in named
    ]
    if entities and details:
        entities[0]["detail"] = details
    return entities


def _proof(entry: TrailEntry) -> dict[str, Any]:
    """Return the entry of the log with its receipt: whoever has the key of the log verifies it."""
    receipt = entry.receipt.without_opening()
    return {
        "what": _identified(ENTRY_SYSTEM, str(receipt.leaf_hash)),
        "type": _coding(ENTITY_TYPE_SYSTEM, "2", "System Object"),
        "role": _coding(OBJECT_ROLE_SYSTEM, "13", "Security Resource"),
        "name": f"entry {receipt.index} of {receipt.checkpoint.origin}",
        "detail": [
            {
                "type": "medseal-receipt/v1",
                "valueBase64Binary": base64.b64encode(receipt.to_bytes()).decode(),
            }
        ],
    }


def audit_bundle(entries: Iterable[TrailEntry], log: VerifyingKey) -> dict[str, Any]:
    """Return a Bundle of type collection with one AuditEvent an entry."""
    resources = [audit_event(entry, log) for entry in entries]
    bundle: dict[str, Any] = {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds"),
    }
    if resources:
        # FHIR knows no empty list.
        bundle["entry"] = [
            {"fullUrl": f"urn:uuid:{resource['id']}", "resource": resource}
            for resource in resources
        ]
    return bundle
