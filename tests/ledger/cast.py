"""The accounts and images of the tests of the access rules, and short ways to ask about them."""

from typing import Any

from medseal.ledger.grants import Action, Grant, Role
from medseal.ledger.rights import RoleChange, genesis_event, role_event
from medseal.ledger.rules import AccessState

OWNER, DOCTOR, RESEARCHER, REGISTRAR, STRANGER = (f"{n:032x}" for n in range(1, 6))
CONSENT_SERVICE, GATEWAY, CONTRACT = "c0" * 20, "9a" * 20, "0x" + "7e" * 20
SIGNED = "sha256:" + "dd" * 32
IMAGE, OTHER_IMAGE = "sha256:" + "aa" * 32, "sha256:" + "bb" * 32
REASON = "sha256:" + "cc" * 32
T = 1_700_000_000_000
HOUR = 3_600_000


def begun() -> AccessState:
    """Return the state of a log with its owner and one account of each role."""
    made = AccessState()
    made.apply(genesis_event(OWNER, at_ms=T))
    for account, role in (
        (DOCTOR, Role.RADIOLOGIST),
        (RESEARCHER, Role.RESEARCHER),
        (REGISTRAR, Role.REGISTRAR),
        (CONSENT_SERVICE, Role.CONSENT_SERVICE),
    ):
        made.apply(role_event(account, role, RoleChange.ADD, actor=OWNER, at_ms=T))
    return made


def view(account: str, **changes: Any) -> Grant:
    """Return a grant to view the image, changed as asked."""
    return Grant(**({"account": account, "subject": IMAGE, "action": Action.VIEW} | changes))


def reason(state: AccessState, account: str, action: Action = Action.VIEW, **words: Any) -> str:
    """Return why the state allows or refuses a use of the image."""
    decision = state.may(account, IMAGE, action, **({"at_ms": T + 1} | words))
    assert decision.allowed == bool(decision)
    assert decision.allowed == (decision.reason in ("owner", "granted", "break-glass"))
    return decision.reason
