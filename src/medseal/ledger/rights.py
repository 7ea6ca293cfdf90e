"""Events that change rights: what each one says, and how it is made."""

from enum import StrEnum

from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import Action, Grant, Role, checked_account

__all__ = [
    "ALL_ACTIONS",
    "ConsentChange",
    "PauseChange",
    "RoleChange",
    "break_glass_event",
    "consent_event",
    "erase_event",
    "genesis_event",
    "grant_event",
    "network_event",
    "pause_event",
    "revoke_event",
    "role_event",
]

# In a revocation, in place of one action; it closes a break-glass window too.
ALL_ACTIONS = "all"


class RoleChange(StrEnum):
    """What a role event does; the owner's role alone is offered and accepted."""

    ADD = "add"
    REMOVE = "remove"
    OFFER = "offer"
    CANCEL = "cancel"
    ACCEPT = "accept"


class ConsentChange(StrEnum):
    """What a patient has signed."""

    GIVE = "give"
    WITHDRAW = "withdraw"


class PauseChange(StrEnum):
    """What a pause event does."""

    PAUSE = "pause"
    RESUME = "resume"


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


def consent_event(
    subject: str, change: ConsentChange, consent: str, *, actor: str, at_ms: int | None = None
) -> Event:
    """Return the event that relays what a patient has signed.

    Parameters
    ----------
    subject
        Commitment of the image.
    change
        Whether the consent to research with it is given or withdrawn.
    consent
        Commitment of the signed statement, ``sha256:`` and 64 hexadecimal digits; see
        `medseal.ledger.consent`.
    actor
        Account of the consent service.
    at_ms
        Milliseconds since 1970 UTC; now unless given.
    """
    details = {"change": str(change), "consent": consent}
    return Event.new(EventKind.CONSENT, at_ms=at_ms, actor=actor, subject=subject, details=details)


def pause_event(change: PauseChange, *, actor: str, at_ms: int | None = None) -> Event:
    """Return the event that stops every use but the owner's, or lets it go on."""
    return Event.new(EventKind.PAUSE, at_ms=at_ms, actor=actor, details={"change": str(change)})


def network_event(
    chain_id: int, contract: str, account: str, *, actor: str, at_ms: int | None = None
) -> Event:
    """Return the event from which on a contract judges the rights of this log.

    Parameters
    ----------
    chain_id
        Number of the chain, from 1.
    contract
        Address of the contract, ``0x`` and 40 lower-case hexadecimal digits.
    account
        Account of the gateway, 40 digits: the owner of the log from here on.
    actor
        The owner of the log until now.
    at_ms
        Milliseconds since 1970 UTC; now unless given.
    """
    details: dict[str, str | int] = {
        "chain_id": chain_id,
        "contract": contract,
        "account": checked_account(account),
    }
    return Event.new(EventKind.NETWORK, at_ms=at_ms, actor=actor, details=details)
