"""Access rules: what each event of the log changes, and who may record it; pure, no I/O."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import (
    CLINICAL_ROLES,
    MAX_RESEARCH_GRANT_MS,
    NEVER,
    OFFER_KEY,
    OWNER_KEY,
    REVOKED,
    Action,
    Decision,
    Grant,
    Read,
    Role,
    checked_account,
    decide,
    erased_key,
    grant_key,
    holds_any,
    parse_action,
    parse_role,
    role_key,
    window_key,
)

__all__ = [
    "ALL_ACTIONS",
    "BREAK_GLASS_WINDOW_MS",
    "OWNER_TRANSFER_DELAY_MS",
    "AccessState",
    "Changes",
    "RoleChange",
    "break_glass_event",
    "changes",
    "erase_event",
    "genesis_event",
    "grant_event",
    "revoke_event",
    "role_event",
]

BREAK_GLASS_WINDOW_MS = 60 * 60 * 1000
OWNER_TRANSFER_DELAY_MS = 24 * 60 * 60 * 1000
# In a revocation, in place of one action; it closes a break-glass window too.
ALL_ACTIONS = "all"

_REASON = re.compile(r"sha256:[0-9a-f]{64}")

# New values of keys of the state; None deletes.
Changes = dict[str, str | None]


class RoleChange(StrEnum):
    """What a role event does; the owner's role alone is offered and accepted."""

    ADD = "add"
    REMOVE = "remove"
    OFFER = "offer"
    CANCEL = "cancel"
    ACCEPT = "accept"


# --- Events -----------------------------------------------------------------------------------


def genesis_event(owner: str, *, at_ms: int | None = None) -> Event:
    """Return the first event of a log: it makes an account the owner."""
    return Event.new(EventKind.GENESIS, at_ms=at_ms, actor=checked_account(owner))


def role_event(
    account: str, role: Role, change: RoleChange, *, actor: str, at_ms: int | None = None
) -> Event:
    """Return the event that adds, removes, offers, cancels or accepts a role."""
    details = {"account": checked_account(account), "role": str(role), "change": str(change)}
    return Event.new(EventKind.ROLE, at_ms=at_ms, actor=actor, details=details)


def grant_event(grant: Grant, *, actor: str, at_ms: int | None = None) -> Event:
    """Return the event that gives a grant."""
    details: dict[str, str | int] = {"account": grant.account, "action": str(grant.action)}
    if grant.purpose:
        details["purpose"] = grant.purpose
    if grant.expires_ms is not None:
        details["expires_ms"] = grant.expires_ms
    return Event.new(
        EventKind.GRANT, at_ms=at_ms, actor=actor, subject=grant.subject, details=details
    )


def revoke_event(
    account: str,
    subject: str,
    action: Action | None = None,
    *,
    actor: str,
    at_ms: int | None = None,
) -> Event:
    """Return the event that takes one action back, or all and a break-glass window."""
    details = {
        "account": checked_account(account),
        "action": ALL_ACTIONS if action is None else str(action),
    }
    return Event.new(EventKind.REVOKE, at_ms=at_ms, actor=actor, subject=subject, details=details)


def break_glass_event(subject: str, reason: str, *, actor: str, at_ms: int | None = None) -> Event:
    """Return the event that opens an hour for a clinician.

    Parameters
    ----------
    subject
        Commitment of the image.
    reason
        Salted digest of the stated reason, ``sha256:`` and 64 hexadecimal digits.
    actor
        The clinician's account.
    at_ms
        Milliseconds since 1970 UTC; now unless given.
    """
    details = {"reason": reason}
    return Event.new(
        EventKind.BREAK_GLASS, at_ms=at_ms, actor=actor, subject=subject, details=details
    )


def erase_event(subject: str, *, actor: str, at_ms: int | None = None) -> Event:
    """Return the event that ends all rights to an image."""
    return Event.new(EventKind.ERASE, at_ms=at_ms, actor=actor, subject=subject)


# --- Changes ----------------------------------------------------------------------------------


def _refuse(reason: str, message: str) -> AccessRefusedError:
    return AccessRefusedError(message, reason=reason)


def _check_details(event: Event, required: set[str], optional: set[str] | None = None) -> None:
    """Refuse an event of the rules with other details than its kind has."""
    if not required <= event.details.keys() <= required | (optional or set()):
        raise InputError(f"a {event.kind} event has other details")


def _is_owner(read: Read, account: str) -> bool:
    return bool(account) and read(OWNER_KEY) == account


def _require_owner(read: Read, event: Event) -> None:
    if not _is_owner(read, event.actor):
        raise _refuse("not-owner", f"only the owner may record a {event.kind} event")


def _require_registrar(read: Read, event: Event) -> None:
    """Refuse all but the owner and the registrars (the gateway): they keep the grants."""
    if not _is_owner(read, event.actor) and not holds_any(read, event.actor, (Role.REGISTRAR,)):
        raise _refuse(
            "not-registrar", f"only the owner or a registrar may record a {event.kind} event"
        )


def _require_subject(read: Read, event: Event) -> None:
    if not event.subject:
        raise InputError(f"a {event.kind} event names an image by its commitment")
    if read(erased_key(event.subject)) is not None:
        raise _refuse("erased", "the image was erased: its rights cannot change any more")


def _genesis(read: Read, event: Event) -> Changes:
    if not event.actor:
        raise InputError("the first event names the owner as its actor")
    if read(OWNER_KEY) is not None:
        raise _refuse("not-owner", "the log has an owner already")
    return {OWNER_KEY: event.actor}


def _role(read: Read, event: Event) -> Changes:
    _check_details(event, {"account", "role", "change"})
    account, role = checked_account(event.details["account"]), parse_role(event.details["role"])
    change = event.details["change"]
    if change not in list(RoleChange):
        raise InputError("unknown change of a role")
    if (role is Role.OWNER) == (change in (RoleChange.ADD, RoleChange.REMOVE)):
        raise InputError("the owner's role is offered and accepted, all others added and removed")
    if change == RoleChange.ACCEPT:
        return _accept_ownership(read, event, account)
    _require_owner(read, event)
    if change == RoleChange.OFFER:
        return {OFFER_KEY: f"{account}/{event.at_ms}"}
    if change == RoleChange.CANCEL:
        return {OFFER_KEY: None}
    return {role_key(account, role): "held" if change == RoleChange.ADD else None}


def _accept_ownership(read: Read, event: Event, account: str) -> Changes:
    """Two steps and a day between them: a stolen key cannot carry the log off unseen."""
    offered, _, offered_at_ms = (read(OFFER_KEY) or "").partition("/")
    if not offered or not offered == event.actor == account:
        raise _refuse("not-offered", "the ownership was not offered to this account")
    if event.at_ms - int(offered_at_ms) < OWNER_TRANSFER_DELAY_MS:
        raise _refuse("too-early", "an offer of the ownership can be accepted after a day")
    return {OWNER_KEY: account, OFFER_KEY: None}


def _grant(read: Read, event: Event) -> Changes:
    _check_details(event, {"account", "action"}, {"purpose", "expires_ms"})
    _require_registrar(read, event)
    _require_subject(read, event)
    expires_ms = event.details.get("expires_ms")
    if isinstance(expires_ms, str):
        raise InputError("an expiry is a whole number of milliseconds")
    grant = Grant(
        account=checked_account(event.details["account"]),
        subject=event.subject,
        action=parse_action(event.details["action"]),
        purpose=str(event.details.get("purpose", "")),
        expires_ms=expires_ms,
    )
    if holds_any(read, grant.account, (Role.RESEARCHER,)):
        _check_research_grant(grant, event.at_ms)
    value = f"{grant.purpose}/{NEVER if expires_ms is None else expires_ms}"
    return {grant_key(grant.account, grant.subject, grant.action): value}


def _check_research_grant(grant: Grant, at_ms: int) -> None:
    if not grant.purpose:
        raise _refuse("purpose", "a grant to a researcher names a purpose")
    if grant.expires_ms is None or grant.expires_ms - at_ms > MAX_RESEARCH_GRANT_MS:
        raise _refuse("unbounded", "a grant to a researcher ends within 366 days")


def _revoke(read: Read, event: Event) -> Changes:
    _check_details(event, {"account", "action"})
    _require_registrar(read, event)
    _require_subject(read, event)
    account = checked_account(event.details["account"])
    if event.details["action"] != ALL_ACTIONS:
        action = parse_action(event.details["action"])
        return {grant_key(account, event.subject, action): REVOKED}
    revoked: Changes = {grant_key(account, event.subject, each): REVOKED for each in Action}
    return revoked | {window_key(account, event.subject): None}


def _break_glass(read: Read, event: Event) -> Changes:
    _check_details(event, {"reason"})
    if not _REASON.fullmatch(str(event.details["reason"])):
        raise InputError("the reason is given as a salted digest")
    if not event.actor or not holds_any(read, event.actor, CLINICAL_ROLES):
        raise _refuse("not-clinical", "only a radiologist or emergency account may break the glass")
    _require_subject(read, event)
    key = window_key(event.actor, event.subject)
    # A second call within the hour, or a clock that was set back, shortens nothing.
    until_ms = max(event.at_ms + BREAK_GLASS_WINDOW_MS, int(read(key) or 0))
    return {key: str(until_ms)}


def _erase(read: Read, event: Event) -> Changes:
    _require_owner(read, event)
    _require_subject(read, event)
    return {erased_key(event.subject): str(event.at_ms)}


def _key_rotation(read: Read, event: Event) -> Changes:
    _check_details(event, {"old_key", "new_key"})
    _require_owner(read, event)
    return {}


_RULES: Mapping[EventKind, Callable[[Read, Event], Changes]] = {
    EventKind.GENESIS: _genesis,
    EventKind.ROLE: _role,
    EventKind.GRANT: _grant,
    EventKind.REVOKE: _revoke,
    EventKind.BREAK_GLASS: _break_glass,
    EventKind.ERASE: _erase,
    EventKind.KEY_ROTATION: _key_rotation,
}


def changes(read: Read, event: Event) -> Changes:
    """Return what an event changes in the state: new values by key, None to delete one.

    Events that only tell what happened change nothing.

    Raises
    ------
    AccessRefusedError
        The actor may not record this, or the image was erased.
    InputError
        The details are not those of the kind of event.
    """
    rule = _RULES.get(event.kind)
    return {} if rule is None else rule(read, event)


@dataclass(slots=True)
class AccessState:
    """The state in memory: what a replay of the log leads to.

    Attributes
    ----------
    entries
        Values by key.
    """

    entries: dict[str, str] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Bring one event into the state; raises as `changes` does and then changes nothing."""
        for key, value in changes(self.entries.get, event).items():
            if value is None:
                self.entries.pop(key, None)
            else:
                self.entries[key] = value

    def may(
        self, account: str, subject: str, action: Action, *, purpose: str = "", at_ms: int
    ) -> Decision:
        """Return whether an account may act on an image; see `decide`."""
        return decide(self.entries.get, account, subject, action, purpose=purpose, at_ms=at_ms)
