"""What this gateway has taken back and the contract does not know yet: it holds here at once."""

from collections.abc import Callable
from dataclasses import dataclass

from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.ethereum.mirror import PAUSE_SCOPE, consent_scope, right_scope, role_scope
from medseal.ledger.events import Event, EventKind
from medseal.ledger.grants import CLINICAL_ROLES, Action, Decision, Role
from medseal.ledger.item import Stage
from medseal.ledger.outbox import Outbox
from medseal.ledger.rights import ALL_ACTIONS, ConsentChange, PauseChange, RoleChange

__all__ = ["Use", "restricted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Who wants to do what with which image."""

    account: str
    subject: str
    action: Action


Roles = Callable[[str], tuple[Role, ...]]


def restricted(
    decision: Decision, use: Use, log: EmbeddedLedger, outbox: Outbox, roles: Roles
) -> Decision:
    """Return a decision of the contract, turned into a refusal where something restricting waits.

    Only ever narrows: what waits and would allow more counts when it has arrived.

    Parameters
    ----------
    decision, use
        What the contract says, and of what.
    log, outbox
        Entries, and those that wait; the outbox has seen the whole log.
    roles
        Asks the contract for the roles of an account; a withdrawal binds researchers alone.
    """
    # 1. What is refused already stays so; nothing binds the owner.
    if not decision.allowed or decision.reason == "owner":
        return decision
    # 2. What waits and may concern this use, the oldest first.
    scopes = (
        PAUSE_SCOPE,
        right_scope(use.subject, use.account),
        consent_scope(use.subject),
        *(role_scope(role, use.account) for role in CLINICAL_ROLES),
    )
    for item in outbox.waiting(scopes, Stage.QUEUED, Stage.SUBMITTED):
        [(_, event)] = log.events(item.place, item.place + 1)
        reason = _refusal(event, decision.reason, use.action)
        if reason and (reason != "withdrawn" or Role.RESEARCHER in roles(use.account)):
            return Decision(allowed=False, reason=reason)
    return decision


def _refusal(event: Event, reason: str, action: Action) -> str:
    """Return why an event ends what is allowed for a reason; empty if it does not."""
    change, is_granted = event.details.get("change"), reason == "granted"
    match event.kind:
        case EventKind.PAUSE if change == PauseChange.PAUSE:
            return "paused"
        case EventKind.REVOKE:
            # A revocation of all closes a break-glass window too.
            covers = (ALL_ACTIONS, str(action)) if is_granted else (ALL_ACTIONS,)
            return "revoked" if event.details["action"] in covers else ""
        case EventKind.ROLE if change == RoleChange.REMOVE and not is_granted:
            return "revoked"
        case EventKind.CONSENT if change == ConsentChange.WITHDRAW and is_granted:
            return "withdrawn"
        case _:
            return ""
