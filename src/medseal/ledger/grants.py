"""Access decisions: roles, grants and who may do what with an image, without I/O."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from medseal.errors import AccessRefusedError, InputError

__all__ = [
    "CLINICAL_ROLES",
    "MAX_RESEARCH_GRANT_MS",
    "NETWORK_KEY",
    "NEVER",
    "OFFER_KEY",
    "OWNER_KEY",
    "PAUSED_KEY",
    "REVOKED",
    "WITHDRAWN",
    "Action",
    "Decision",
    "Grant",
    "Read",
    "Role",
    "checked_account",
    "checked_purpose",
    "checked_subject",
    "consent_key",
    "decide",
    "erased_key",
    "grant_key",
    "holds_any",
    "parse_action",
    "parse_grant",
    "parse_role",
    "role_key",
    "roles_of",
    "window_key",
]

# 366 days: a project of a year, leap year or not; then somebody decides again.
MAX_RESEARCH_GRANT_MS = 366 * 24 * 60 * 60 * 1000

# 32 digits: a person. 40 digits: the address of the key of a gateway; one that began with eight
# zeros could be taken for a person, whose account a contract knows with eight zeros before it.
_ACCOUNT = re.compile(r"[0-9a-f]{32}|(?!0{8})[0-9a-f]{40}")
_SUBJECT = re.compile(r"sha256:[0-9a-f]{64}")
_PURPOSE = re.compile(r"(?:[a-z][a-z0-9-]{0,31})?")
_MAX_AT_MS = 253_402_300_799_999
# Words in the values of the state.
NEVER = "never"
REVOKED = "revoked"
WITHDRAWN = "withdrawn"

# Value of a key of the state, None where nothing stands: a row of a table, a slot of a contract.
Read = Callable[[str], str | None]


class Role(StrEnum):
    """What an account is; it may hold several."""

    OWNER = "owner"
    REGISTRAR = "registrar"
    RADIOLOGIST = "radiologist"
    RESEARCHER = "researcher"
    CONSENT_SERVICE = "consent-service"
    AUDITOR = "auditor"
    EMERGENCY = "emergency"


class Action(StrEnum):
    """What can be allowed."""

    VIEW = "view"
    CLASSIFY = "classify"
    SHARE = "share"


CLINICAL_ROLES = (Role.RADIOLOGIST, Role.EMERGENCY)
# The reasons that allow a use.
_ALLOWING = frozenset({"owner", "granted", "break-glass"})
# A break-glass window serves the care of one person; handing an image on is no part of it.
_EMERGENCY_ACTIONS = (Action.VIEW, Action.CLASSIFY)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Leave for one account to do one thing with one image.

    Attributes
    ----------
    account
        Account of a person, 32 hexadecimal digits, or of a gateway, 40.
    subject
        Commitment of the image, ``sha256:`` and 64 hexadecimal digits.
    action
        What is allowed.
    purpose
        Code from a published list, never free text: it stands openly on the ledger. Each use must
        state it; empty allows any purpose.
    expires_ms
        First millisecond since 1970 UTC at which the grant is over; None for no end.
    """

    account: str
    subject: str
    action: Action
    purpose: str = ""
    expires_ms: int | None = None

    def __post_init__(self) -> None:
        checked_account(self.account)
        checked_subject(self.subject)
        checked_purpose(self.purpose)
        object.__setattr__(self, "action", parse_action(self.action))
        if self.expires_ms is not None and (
            type(self.expires_ms) is not int or not 0 <= self.expires_ms <= _MAX_AT_MS
        ):
            raise InputError("an expiry counts milliseconds since 1970, up to the year 9999")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether an action is allowed, and why; true in a condition only when it is.

    Attributes
    ----------
    allowed
        Yes or no.
    reason
        Allowed: ``owner``, ``granted``, ``break-glass``. Refused: ``erased``, ``network`` (a
        contract judges the rights of this log), ``paused``, ``no-grant``, ``revoked``,
        ``expired``, ``purpose``, ``unbounded`` (a researcher's grant without an end within a
        year), ``withdrawn`` (the patient's consent to research).
    """

    allowed: bool
    reason: str

    def __bool__(self) -> bool:
        return self.allowed

    def require(self) -> None:
        """Return if allowed; raise `AccessRefusedError` with the reason otherwise."""
        if not self.allowed:
            raise AccessRefusedError(
                f"access refused ({self.reason}): ask the owner of the image for a grant",
                reason=self.reason,
            )


def _match(pattern: re.Pattern[str], value: object, message: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InputError(message)
    return value


def checked_account(value: object) -> str:
    """Return an account; raise `InputError` for anything else."""
    return _match(_ACCOUNT, value, "an account is 32 hexadecimal digits, or the 40 of an address")


def checked_subject(value: object) -> str:
    """Return the commitment of an image; raise `InputError` for anything else."""
    return _match(_SUBJECT, value, "the image is named by its commitment")


def checked_purpose(value: object) -> str:
    """Return a purpose, empty for none; raise `InputError` for anything else."""
    return _match(
        _PURPOSE,
        value,
        "a purpose has letters a to z, digits and hyphens, at most 32, a letter first",
    )


def parse_action(value: object) -> Action:
    """Return the action of that name; raise `InputError` for any other."""
    if not isinstance(value, str) or value not in list(Action):
        raise InputError("an action is view, classify or share")
    return Action(value)


def parse_role(value: object) -> Role:
    """Return the role of that name; raise `InputError` for any other."""
    if not isinstance(value, str) or value not in list(Role):
        raise InputError("unknown role")
    return Role(value)


# --- Keys of the state ------------------------------------------------------------------------

OWNER_KEY = "owner"
OFFER_KEY = "owner-offer"
# Stands while nobody but the owner may use anything.
PAUSED_KEY = "paused"
# Chain id and contract that judge the rights of this log, once they live there.
NETWORK_KEY = "network"


def role_key(account: str, role: Role) -> str:
    """Return the key that stands while the account holds the role."""
    return f"role/{account}/{role}"


def grant_key(account: str, subject: str, action: Action) -> str:
    """Return the key of ``purpose/expiry`` or of `REVOKED`."""
    return f"grant/{account}/{subject}/{action}"


def window_key(account: str, subject: str) -> str:
    """Return the key of the first millisecond after the break-glass window."""
    return f"window/{account}/{subject}"


def erased_key(subject: str) -> str:
    """Return the key that stands once the image is erased."""
    return f"erased/{subject}"


def consent_key(subject: str) -> str:
    """Return the key of ``given`` or `WITHDRAWN`."""
    return f"consent/{subject}"


def parse_grant(key: str, value: str) -> Grant | None:
    """Return the grant of an entry of the state; None for any other entry and for a revoked one."""
    word, _, rest = key.partition("/")
    if word != "grant" or value == REVOKED:
        return None
    account, subject, action = rest.split("/")
    purpose, expires = value.split("/")
    return Grant(
        account=account,
        subject=subject,
        action=Action(action),
        purpose=purpose,
        expires_ms=None if expires == NEVER else int(expires),
    )


# --- Decisions --------------------------------------------------------------------------------


def _grant_refusal(
    read: Read, account: str, subject: str, action: Action, *, purpose: str, at_ms: int
) -> str:
    """Return why the stored grant does not cover a use; empty when it does."""
    grant = read(grant_key(account, subject, action))
    if grant is None:
        return "no-grant"
    if grant == REVOKED:
        return "revoked"
    bound_purpose, expires = grant.split("/")
    if expires != NEVER and at_ms >= int(expires):
        return "expired"
    if bound_purpose and bound_purpose != purpose:
        return "purpose"
    if read(role_key(account, Role.RESEARCHER)) is None:
        return ""
    return _research_refusal(read, subject, bound_purpose, expires, at_ms)


def _research_refusal(
    read: Read, subject: str, bound_purpose: str, expires: str, at_ms: int
) -> str:
    """Return why a grant that covers a use is not enough for a researcher; empty when it is."""
    if not bound_purpose:
        return "purpose"
    if expires == NEVER or int(expires) - at_ms > MAX_RESEARCH_GRANT_MS:
        return "unbounded"
    return WITHDRAWN if read(consent_key(subject)) == WITHDRAWN else ""


def _overriding(read: Read, account: str, subject: str) -> str:
    """Return the reason that holds whatever was granted; empty when there is none."""
    # 1. Nothing may be done with an erased image, not even by the owner.
    if read(erased_key(subject)) is not None:
        return "erased"
    # 2. Where a contract judges, this log only tells what happened.
    if read(NETWORK_KEY) is not None:
        return "network"
    # 3. The owner may do everything.
    if read(OWNER_KEY) == account:
        return "owner"
    # 4. A pause stops everybody else.
    return "paused" if read(PAUSED_KEY) is not None else ""


def _is_emergency(read: Read, account: str, subject: str, action: Action, at_ms: int) -> bool:
    """Say whether a window is open to an account that still is a clinician's."""
    window = read(window_key(account, subject))
    return (
        window is not None
        and at_ms < int(window)
        and action in _EMERGENCY_ACTIONS
        and holds_any(read, account, CLINICAL_ROLES)
    )


def decide(
    read: Read, account: str, subject: str, action: Action, *, purpose: str, at_ms: int
) -> Decision:
    """Return whether an account may act on an image; what no rule allows is refused.

    Parameters
    ----------
    read
        Gives the values of the state.
    account, subject, action
        Who, on which commitment, what.
    purpose
        Purpose that the account states; empty for none.
    at_ms
        Milliseconds since 1970 UTC.

    Raises
    ------
    InputError
        An argument has another form.
    """
    checked_account(account)
    checked_subject(subject)
    checked_purpose(purpose)
    action = parse_action(action)
    # 1.-4. What holds whatever was granted.
    reason = _overriding(read, account, subject)
    # 5. A grant that covers the use.
    if not reason:
        refusal = _grant_refusal(read, account, subject, action, purpose=purpose, at_ms=at_ms)
        reason = refusal or "granted"
        # 6. An open break-glass window; otherwise what the grant lacks.
        if refusal and _is_emergency(read, account, subject, action, at_ms):
            reason = "break-glass"
    return Decision(allowed=reason in _ALLOWING, reason=reason)


def roles_of(read: Read, account: str) -> tuple[Role, ...]:
    """Return the roles that the account holds, in the order of `Role`."""
    held = [Role.OWNER] if account and read(OWNER_KEY) == account else []
    return (*held, *(role for role in Role if read(role_key(account, role)) is not None))


def holds_any(read: Read, account: str, roles: tuple[Role, ...]) -> bool:
    """Say whether the account holds one of the roles."""
    return any(read(role_key(account, role)) is not None for role in roles)
