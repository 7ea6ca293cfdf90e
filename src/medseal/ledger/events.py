"""Events: what happened, when, by which pseudonymous account, to which commitment."""

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Self

from medseal.digest import parse_canonical_json
from medseal.errors import InputError, LedgerError

__all__ = [
    "LEAF_VERSION",
    "MAX_DETAILS",
    "MAX_LEAF_BYTES",
    "MAX_TEXT_CHARS",
    "Event",
    "EventKind",
    "now_ms",
]

# First line of every leaf; docs/spec/ledger-event.md.
LEAF_VERSION = b"medseal-event/v1\n"
MAX_LEAF_BYTES = 4096
# 18 entries of at most 32 + 128 characters and their quotes stay below MAX_LEAF_BYTES.
MAX_DETAILS = 18
MAX_TEXT_CHARS = 128
# 9999-12-31T23:59:59.999Z, the last instant that other tools can print.
_MAX_AT_MS = 253_402_300_799_999
_MAX_INTEGER = 2**53 - 1

# As in `medseal.ledger.grants`, or nobody.
_ACCOUNT = re.compile(r"(?:[0-9a-f]{32}|(?!0{8})[0-9a-f]{40})?")
_SUBJECT = re.compile(r"(?:sha256:[0-9a-f]{64})?")
_NONCE = re.compile(r"[0-9a-f]{32}")
_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}")
# Machine words only: no space, no caret, no quote, so neither prose nor a DICOM person name.
_WORD = re.compile(r"[A-Za-z0-9._:+/=@-]*")
# Five numbers joined by points: no version number, but every DICOM UID.
_UID = re.compile(r"[0-9]+(?:\.[0-9]+){4}")
_FIELDS = {"actor", "at_ms", "details", "kind", "nonce", "subject"}


class EventKind(StrEnum):
    """The closed list of what can be recorded."""

    GENESIS = "genesis"
    SEAL = "seal"
    RELEASE = "release"
    OPEN = "open"
    CLASSIFY = "classify"
    VERIFY = "verify"
    DEIDENTIFY = "deidentify"
    IMPORT_RESULT = "import-result"
    REFUSE = "refuse"
    ROLE = "role"
    GRANT = "grant"
    REVOKE = "revoke"
    BREAK_GLASS = "break-glass"
    ERASE = "erase"
    CONSENT = "consent"
    PAUSE = "pause"
    NETWORK = "network"
    KEY_ROTATION = "key-rotation"


def now_ms() -> int:
    """Return the present time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


def _check_value(key: str, value: object) -> None:
    """Refuse what is no bounded integer or machine word, without repeating it in the message."""
    if isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > _MAX_INTEGER:
            raise InputError(f"event detail '{key}' exceeds 53 bits")
        return
    if not isinstance(value, str):
        raise InputError(f"event detail '{key}' is neither text nor an integer")
    if len(value) > MAX_TEXT_CHARS:
        raise InputError(f"event detail '{key}' exceeds {MAX_TEXT_CHARS} characters")
    if not _WORD.fullmatch(value):
        raise InputError(
            f"event detail '{key}' looks like free text: give an identifier or a digest"
        )
    if _UID.search(value):
        raise InputError(f"event detail '{key}' looks like a UID: give a salted digest instead")


def _checked_details(details: Mapping[str, str | int]) -> Mapping[str, str | int]:
    """Return a read-only copy of valid details."""
    if len(details) > MAX_DETAILS:
        raise InputError(f"an event has at most {MAX_DETAILS} details")
    for key, value in details.items():
        if not isinstance(key, str) or not _KEY.fullmatch(key):
            raise InputError("a detail key has lower-case letters, digits and '_', at most 32")
        _check_value(key, value)
    return MappingProxyType(dict(details))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One entry of the log; `leaf` gives its bytes.

    Attributes
    ----------
    kind
        What happened.
    at_ms
        When, in milliseconds since 1970-01-01 UTC, by the clock of the recording machine.
    actor
        Account of a person, 32 hexadecimal digits, or of a gateway, the 40 of its address; empty
        for the machine itself.
    subject
        Commitment of an image, ``sha256:`` and 64 hexadecimal digits; empty for none. Never the
        bare digest of an image: use `medseal.ledger.commit`.
    details
        Short lower-case keys to machine words or integers. A digest in it is salted, or that of
        something public such as a model.
    nonce
        32 hexadecimal digits, random, so that equal events differ.

    Raises
    ------
    InputError
        A field has another form.
    """

    kind: EventKind
    at_ms: int
    actor: str = ""
    subject: str = ""
    details: Mapping[str, str | int] = field(default_factory=dict, hash=False)
    nonce: str

    def __post_init__(self) -> None:
        try:
            kind = EventKind(self.kind)
        except ValueError:
            raise InputError("unknown kind of event") from None
        if type(self.at_ms) is not int or not 0 <= self.at_ms <= _MAX_AT_MS:
            raise InputError("at_ms counts milliseconds since 1970, up to the year 9999")
        for name, pattern in (("actor", _ACCOUNT), ("subject", _SUBJECT), ("nonce", _NONCE)):
            text = getattr(self, name)
            if not isinstance(text, str) or not pattern.fullmatch(text):
                raise InputError(f"the {name} of an event has another form")
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "details", _checked_details(self.details))

    @classmethod
    def new(
        cls,
        kind: EventKind,
        *,
        at_ms: int | None = None,
        actor: str = "",
        subject: str = "",
        details: Mapping[str, str | int] | None = None,
    ) -> Self:
        """Return an event with a fresh nonce; the time is now unless it is given.

        To make a retry safe, keep the event and append the same one again.
        """
        return cls(
            kind=kind,
            at_ms=now_ms() if at_ms is None else at_ms,
            actor=actor,
            subject=subject,
            details={} if details is None else details,
            nonce=secrets.token_hex(16),
        )

    def leaf(self) -> bytes:
        """Return the bytes that the log stores: the version line and canonical JSON."""
        # Nothing in a valid event needs an escape, so canonical JSON is written out here, ten
        # times faster than through the general writer; a property test holds both equal.
        details = ",".join(
            f'"{key}":"{value}"' if isinstance(value, str) else f'"{key}":{value}'
            for key, value in sorted(self.details.items())
        )
        content = (
            f'{{"actor":"{self.actor}","at_ms":{self.at_ms},"details":{{{details}}},'
            f'"kind":"{self.kind}","nonce":"{self.nonce}","subject":"{self.subject}"}}'
        )
        return LEAF_VERSION + content.encode("ascii")

    @classmethod
    def parse(cls, leaf: bytes) -> Self:
        """Return the event of a leaf; only the bytes that `leaf` writes are accepted.

        Raises
        ------
        LedgerError
            Too long, another version, not canonical, or a field of another form.
        """
        if len(leaf) > MAX_LEAF_BYTES:
            raise LedgerError(f"an event has at most {MAX_LEAF_BYTES} bytes")
        if not leaf.startswith(LEAF_VERSION):
            raise LedgerError("the event is of another version")
        try:
            value = parse_canonical_json(leaf[len(LEAF_VERSION) :])
            if not isinstance(value, dict) or value.keys() != _FIELDS:
                raise LedgerError("the event lacks a field or has one too many")
            if not isinstance(value["details"], dict):
                raise LedgerError("the details of the event are no mapping")
            return cls(**value)
        except InputError as error:
            raise LedgerError(f"malformed event: {error}") from None
