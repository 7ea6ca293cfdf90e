"""Each constructor gives an event of its kind that the rules know, and that survives its leaf."""

import pytest

from medseal.errors import InputError
from medseal.ledger.events import Event
from medseal.ledger.grants import Action, Grant, Role
from medseal.ledger.rights import (
    ConsentChange,
    PauseChange,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    network_event,
    pause_event,
    revoke_event,
    role_event,
)

OWNER, DOCTOR, GATEWAY = f"{1:032x}", f"{2:032x}", "9a" * 20
IMAGE, DIGEST, CONTRACT = "sha256:" + "aa" * 32, "sha256:" + "bb" * 32, "0x" + "7e" * 20


@pytest.mark.parametrize(
    ("event", "kind", "details"),
    [
        (genesis_event(OWNER), "genesis", {}),
        (
            role_event(DOCTOR, Role.RADIOLOGIST, RoleChange.ADD, actor=OWNER),
            "role",
            {"account": DOCTOR, "role": "radiologist", "change": "add"},
        ),
        (
            grant_event(Grant(account=DOCTOR, subject=IMAGE, action=Action.VIEW), actor=OWNER),
            "grant",
            {"account": DOCTOR, "action": "view"},
        ),
        (
            revoke_event(DOCTOR, IMAGE, Action.SHARE, actor=OWNER),
            "revoke",
            {"account": DOCTOR, "action": "share"},
        ),
        (
            revoke_event(DOCTOR, IMAGE, actor=OWNER),
            "revoke",
            {"account": DOCTOR, "action": "all"},
        ),
        (break_glass_event(IMAGE, DIGEST, actor=DOCTOR), "break-glass", {"reason": DIGEST}),
        (erase_event(IMAGE, actor=OWNER), "erase", {}),
        (
            consent_event(IMAGE, ConsentChange.WITHDRAW, DIGEST, actor=GATEWAY),
            "consent",
            {"change": "withdraw", "consent": DIGEST},
        ),
        (pause_event(PauseChange.RESUME, actor=OWNER), "pause", {"change": "resume"}),
        (
            network_event(1337, CONTRACT, GATEWAY, actor=OWNER),
            "network",
            {"chain_id": 1337, "contract": CONTRACT, "account": GATEWAY},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_event_says_what_was_asked(
    event: Event, kind: str, details: dict[str, str | int]
) -> None:
    assert event.kind == kind
    assert event.details == details
    has_subject = kind in ("grant", "revoke", "break-glass", "erase", "consent")
    assert event.subject == (IMAGE if has_subject else "")
    assert Event.parse(event.leaf()) == event


def test_a_grant_says_its_purpose_and_end() -> None:
    grant = Grant(account=DOCTOR, subject=IMAGE, action=Action.VIEW, purpose="study", expires_ms=9)
    details = grant_event(grant, actor=OWNER, at_ms=1).details
    assert details == {"account": DOCTOR, "action": "view", "purpose": "study", "expires_ms": 9}


def test_who_is_named_must_be_an_account() -> None:
    with pytest.raises(InputError, match="an account is"):
        genesis_event("jane")
    with pytest.raises(InputError, match="an account is"):
        role_event("jane", Role.AUDITOR, RoleChange.ADD, actor=OWNER)
    with pytest.raises(InputError, match="an account is"):
        revoke_event("jane", IMAGE, actor=OWNER)
    with pytest.raises(InputError, match="an account is"):
        network_event(1, CONTRACT, "jane", actor=OWNER)
