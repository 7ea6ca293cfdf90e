"""Access rules: what each event of the log changes, and who may record it; pure, no I/O."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import (
    CLINICAL_ROLES,
    NETWORK_KEY,
    NEVER,
    OFFER_KEY,
    OWNER_KEY,
    PAUSED_KEY,
    REVOKED,
    WITHDRAWN,
    Action,
    Decision,
    Grant,
    Read,
    Role,
    checked_account,
    consent_key,
    decide,
    erased_key,
    grant_key,
    holds_any,
    parse_action,
    parse_role,
    role_key,
    window_key,
)
from medseal.ledger.rights import ALL_ACTIONS, ConsentChange, PauseChange, RoleChange

__all__ = [
    "BREAK_GLASS_WINDOW_MS",
    "OWNER_TRANSFER_DELAY_MS",
    "AccessState",
    "Changes",
    "changes",
]

BREAK_GLASS_WINDOW_MS = 60 * 60 * 1000
OWNER_TRANSFER_DELAY_MS = 24 * 60 * 60 * 1000

_SALTED_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_CONTRACT = re.compile(r"0x[0-9a-f]{40}")
_GATEWAY_DIGITS = 40

# New values of keys of the state; None deletes.
Changes = dict[str, str | None]


# --- Form: what an event of a kind says; the same whoever judges --------------------------------


def _check_details(event: Event, required: set[str], optional: set[str] | None = None) -> None:
    """Refuse an event of the rules with other details than its kind has."""
    if not required <= event.details.keys() <= required | (optional or set()):
        raise InputError(f"a {event.kind} event has other details")


def _check_subject(event: Event) -> None:
    if not event.subject:
        raise InputError(f"a {event.kind} event names an image by its commitment")


def _check_genesis(event: Event) -> None:
    if not event.actor:
        raise InputError("the first event names the owner as its actor")


def _check_role(event: Event) -> None:
    _check_details(event, {"account", "role", "change"})
    checked_account(event.details["account"])
    role, change = parse_role(event.details["role"]), event.details["change"]
    if change not in list(RoleChange):
        raise InputError("unknown change of a role")
    if (role is Role.OWNER) == (change in (RoleChange.ADD, RoleChange.REMOVE)):
        raise InputError("the owner's role is offered and accepted, all others added and removed")


def _granted(event: Event) -> Grant:
    """Return the grant that an event gives."""
    _check_details(event, {"account", "action"}, {"purpose", "expires_ms"})
    _check_subject(event)
    expires_ms = event.details.get("expires_ms")
    if isinstance(expires_ms, str):
        raise InputError("an expiry is a whole number of milliseconds")
    return Grant(
        account=checked_account(event.details["account"]),
        subject=event.subject,
        action=parse_action(event.details["action"]),
        purpose=str(event.details.get("purpose", "")),
        expires_ms=expires_ms,
    )


def _check_grant(event: Event) -> None:
    _granted(event)


def _revoked_actions(event: Event) -> tuple[Action, ...]:
    """Return the actions that a revocation takes back."""
    _check_details(event, {"account", "action"})
    _check_subject(event)
    checked_account(event.details["account"])
    if event.details["action"] == ALL_ACTIONS:
        return tuple(Action)
    return (parse_action(event.details["action"]),)


def _check_revoke(event: Event) -> None:
    _revoked_actions(event)


def _check_break_glass(event: Event) -> None:
    _check_details(event, {"reason"})
    if not _SALTED_DIGEST.fullmatch(str(event.details["reason"])):
        raise InputError("the reason is given as a salted digest")
    _check_subject(event)


def _check_consent(event: Event) -> None:
    _check_details(event, {"change", "consent"})
    if event.details["change"] not in list(ConsentChange):
        raise InputError("a consent is given or withdrawn")
    if not _SALTED_DIGEST.fullmatch(str(event.details["consent"])):
        raise InputError("the consent is named by the commitment of what was signed")
    _check_subject(event)


def _check_pause(event: Event) -> None:
    _check_details(event, {"change"})
    if event.details["change"] not in list(PauseChange):
        raise InputError("a pause is begun or ended")


def _check_network(event: Event) -> None:
    _check_details(event, {"chain_id", "contract", "account"})
    chain_id, contract = event.details["chain_id"], event.details["contract"]
    if not isinstance(chain_id, int) or chain_id < 1:
        raise InputError("a chain id is a whole number from 1")
    if not isinstance(contract, str) or not _CONTRACT.fullmatch(contract):
        raise InputError("a contract is named by its lower-case address")
    if len(checked_account(event.details["account"])) != _GATEWAY_DIGITS:
        raise InputError("a gateway has an account of 40 digits, the address of its key")


def _check_key_rotation(event: Event) -> None:
    _check_details(event, {"old_key", "new_key"})


# --- Judgement: who may record it, and what it changes ------------------------------------------


def _refuse(reason: str, message: str) -> AccessRefusedError:
    return AccessRefusedError(message, reason=reason)


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


def _require_live(read: Read, event: Event) -> None:
    if read(erased_key(event.subject)) is not None:
        raise _refuse("erased", "the image was erased: its rights cannot change any more")


def _genesis(read: Read, event: Event) -> Changes:
    if read(OWNER_KEY) is not None:
        raise _refuse("not-owner", "the log has an owner already")
    return {OWNER_KEY: event.actor}


def _role(read: Read, event: Event) -> Changes:
    account, role = checked_account(event.details["account"]), parse_role(event.details["role"])
    change = event.details["change"]
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
    # What the grant allows is judged by `decide` alone, whenever it is used.
    _require_registrar(read, event)
    grant = _granted(event)
    value = f"{grant.purpose}/{NEVER if grant.expires_ms is None else grant.expires_ms}"
    return {grant_key(grant.account, grant.subject, grant.action): value}


def _revoke(read: Read, event: Event) -> Changes:
    _require_registrar(read, event)
    account, actions = checked_account(event.details["account"]), _revoked_actions(event)
    revoked: Changes = {grant_key(account, event.subject, each): REVOKED for each in actions}
    if event.details["action"] == ALL_ACTIONS:
        revoked[window_key(account, event.subject)] = None
    return revoked


def _break_glass(read: Read, event: Event) -> Changes:
    if read(PAUSED_KEY) is not None:
        raise _refuse("paused", "the ledger is paused: nothing may be opened")
    if not event.actor or not holds_any(read, event.actor, CLINICAL_ROLES):
        raise _refuse("not-clinical", "only a radiologist or emergency account may break the glass")
    _require_live(read, event)
    key = window_key(event.actor, event.subject)
    # A second call within the hour, or a clock that was set back, shortens nothing.
    until_ms = max(event.at_ms + BREAK_GLASS_WINDOW_MS, int(read(key) or 0))
    return {key: str(until_ms)}


def _erase(read: Read, event: Event) -> Changes:
    _require_owner(read, event)
    _require_live(read, event)
    return {erased_key(event.subject): str(event.at_ms)}


def _consent(read: Read, event: Event) -> Changes:
    if not event.actor or not holds_any(read, event.actor, (Role.CONSENT_SERVICE,)):
        raise _refuse("not-consent-service", "only a consent service may record a consent event")
    _require_live(read, event)
    given = event.details["change"] == ConsentChange.GIVE
    return {consent_key(event.subject): "given" if given else WITHDRAWN}


def _pause(read: Read, event: Event) -> Changes:
    _require_owner(read, event)
    pauses, is_paused = event.details["change"] == PauseChange.PAUSE, read(PAUSED_KEY) is not None
    if pauses and is_paused:
        raise _refuse("paused", "the ledger is paused already")
    if not pauses and not is_paused:
        raise _refuse("not-paused", "the ledger is not paused")
    return {PAUSED_KEY: str(event.at_ms) if pauses else None}


def _network(read: Read, event: Event) -> Changes:
    _require_owner(read, event)
    return {
        NETWORK_KEY: f"{event.details['chain_id']}/{event.details['contract']}",
        OWNER_KEY: str(event.details["account"]),
        # An offer made before is void: from here on the contract passes its own ownership on.
        OFFER_KEY: None,
    }


def _key_rotation(read: Read, event: Event) -> Changes:
    _require_owner(read, event)
    return {}


_Form = Callable[[Event], None]
_Judgement = Callable[[Read, Event], Changes]
_RULES: Mapping[EventKind, tuple[_Form, _Judgement]] = {
    EventKind.GENESIS: (_check_genesis, _genesis),
    EventKind.ROLE: (_check_role, _role),
    EventKind.GRANT: (_check_grant, _grant),
    EventKind.REVOKE: (_check_revoke, _revoke),
    EventKind.BREAK_GLASS: (_check_break_glass, _break_glass),
    EventKind.ERASE: (_check_subject, _erase),
    EventKind.CONSENT: (_check_consent, _consent),
    EventKind.PAUSE: (_check_pause, _pause),
    EventKind.NETWORK: (_check_network, _network),
    EventKind.KEY_ROTATION: (_check_key_rotation, _key_rotation),
}
# Once the rights of a log live in a contract, that alone judges these; the log is their diary.
_JUDGED_BY_CONTRACT = frozenset(
    {
        EventKind.ROLE,
        EventKind.GRANT,
        EventKind.REVOKE,
        EventKind.BREAK_GLASS,
        EventKind.CONSENT,
        EventKind.PAUSE,
    }
)


def changes(read: Read, event: Event) -> Changes:
    """Return what an event changes in the state: new values by key, None to delete one.

    Events that only tell what happened change nothing; so do events that a contract judges.

    Raises
    ------
    AccessRefusedError
        The actor may not record this, or the state of the log forbids it.
    InputError
        The details are not those of the kind of event.
    """
    if event.kind not in _RULES:
        return {}
    check, judge = _RULES[event.kind]
    check(event)
    if event.kind in _JUDGED_BY_CONTRACT and read(NETWORK_KEY) is not None:
        return {}
    return judge(read, event)


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
