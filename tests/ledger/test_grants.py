from typing import Any

import pytest

from medseal.errors import AccessRefusedError, InputError
from medseal.ledger.grants import (
    MAX_RESEARCH_GRANT_MS,
    Action,
    Grant,
    Role,
    decide,
    grant_key,
    parse_grant,
)
from medseal.ledger.rights import (
    ConsentChange,
    RoleChange,
    consent_event,
    grant_event,
    role_event,
)
from medseal.ledger.rules import AccessState
from tests.ledger.cast import (
    CONSENT_SERVICE,
    DOCTOR,
    HOUR,
    IMAGE,
    OTHER_IMAGE,
    OWNER,
    REGISTRAR,
    RESEARCHER,
    SIGNED,
    STRANGER,
    T,
    reason,
    view,
)

ACCOUNT = OWNER


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"account": "jane"}, "32 hexadecimal"),
        ({"account": None}, "32 hexadecimal"),
        ({"account": "0" * 8 + "a" * 32}, "40 of an address"),
        ({"account": "a" * 36}, "40 of an address"),
        ({"account": "A" * 40}, "40 of an address"),
        ({"subject": ""}, "commitment"),
        ({"action": "own"}, "view, classify or share"),
        ({"purpose": "Care"}, "a purpose has"),
        ({"purpose": "a/b"}, "a purpose has"),
        ({"purpose": "x" * 33}, "a purpose has"),
        ({"expires_ms": -1}, "year 9999"),
        ({"expires_ms": 1.0}, "year 9999"),
        ({"expires_ms": True}, "year 9999"),
    ],
)
def test_what_is_no_grant_is_refused(changes: dict[str, Any], message: str) -> None:
    fields: dict[str, Any] = {"account": ACCOUNT, "subject": IMAGE, "action": "view"}
    assert Grant(**fields).action is Action.VIEW
    with pytest.raises(InputError, match=message):
        Grant(**(fields | changes))


@pytest.mark.parametrize("account", ["0" * 32, "0" * 31 + "1", "a" * 40, "0000000" + "1" * 33])
def test_people_and_gateways_have_accounts(account: str) -> None:
    grant = Grant(account=account, subject=IMAGE, action=Action.VIEW)
    assert parse_grant(grant_key(account, IMAGE, Action.VIEW), "/never") == grant


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"account": "jane"}, "32 hexadecimal"),
        ({"subject": "aa"}, "commitment"),
        ({"action": "own"}, "view, classify or share"),
        ({"purpose": "two words"}, "a purpose has"),
    ],
)
def test_a_question_in_another_form_is_no_refusal(words: dict[str, Any], message: str) -> None:
    asked = {"account": ACCOUNT, "subject": IMAGE, "action": Action.VIEW, "purpose": ""} | words
    with pytest.raises(InputError, match=message):
        decide(lambda _: None, at_ms=1, **asked)


@pytest.mark.parametrize(("purpose", "expires_ms"), [("", None), ("care", 5), ("", 5)])
def test_a_stored_grant_is_read_back(purpose: str, expires_ms: int | None) -> None:
    key = grant_key(ACCOUNT, IMAGE, Action.SHARE)
    end = "never" if expires_ms is None else expires_ms
    assert parse_grant(key, f"{purpose}/{end}") == Grant(
        account=ACCOUNT,
        subject=IMAGE,
        action=Action.SHARE,
        purpose=purpose,
        expires_ms=expires_ms,
    )
    assert parse_grant(key, "revoked") is None
    assert parse_grant("owner", ACCOUNT) is None


# --- Decisions ----------------------------------------------------------------------------------


def test_the_owner_may_everything_and_nobody_else_anything(state: AccessState) -> None:
    for action in Action:
        assert reason(state, OWNER, action) == "owner"
        for account in (DOCTOR, RESEARCHER, REGISTRAR, STRANGER):
            assert reason(state, account, action) == "no-grant"


def test_a_refusal_raises_with_its_reason(state: AccessState) -> None:
    state.may(OWNER, IMAGE, Action.VIEW, at_ms=T).require()
    with pytest.raises(AccessRefusedError, match="no-grant") as caught:
        state.may(DOCTOR, IMAGE, Action.VIEW, at_ms=T).require()
    assert caught.value.reason == "no-grant"


def test_a_grant_covers_one_account_image_and_action(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=REGISTRAR, at_ms=T))
    assert reason(state, DOCTOR) == "granted"
    assert reason(state, DOCTOR, purpose="teaching") == "granted"
    assert reason(state, DOCTOR, Action.SHARE) == "no-grant"
    assert reason(state, STRANGER) == "no-grant"
    assert state.may(DOCTOR, OTHER_IMAGE, Action.VIEW, at_ms=T).reason == "no-grant"


def test_a_grant_ends_at_the_exact_millisecond(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR, expires_ms=T + HOUR), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR, at_ms=T + HOUR - 1) == "granted"
    assert reason(state, DOCTOR, at_ms=T + HOUR) == "expired"


def test_a_grant_that_has_ended_already_allows_nothing(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(grant_event(view(DOCTOR, expires_ms=T), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR, at_ms=T) == "expired"


def test_a_new_grant_replaces_the_old_one(state: AccessState) -> None:
    state.apply(grant_event(view(DOCTOR), actor=OWNER, at_ms=T))
    state.apply(grant_event(view(DOCTOR, purpose="care", expires_ms=T + 9), actor=OWNER, at_ms=T))
    assert reason(state, DOCTOR) == "purpose"
    assert reason(state, DOCTOR, purpose="care") == "granted"
    assert reason(state, DOCTOR, purpose="care", at_ms=T + 9) == "expired"


def test_a_researcher_needs_purpose_and_bounded_expiry(state: AccessState) -> None:
    good = {"purpose": "stroke-study", "expires_ms": T + 1 + MAX_RESEARCH_GRANT_MS}
    for changes, word in (
        ({"purpose": ""}, "purpose"),
        ({"expires_ms": None}, "unbounded"),
        ({"expires_ms": T + 2 + MAX_RESEARCH_GRANT_MS}, "unbounded"),
    ):
        # Recorded, and of no use: the decision alone judges.
        state.apply(grant_event(view(RESEARCHER, **(good | changes)), actor=OWNER, at_ms=T))
        assert reason(state, RESEARCHER, purpose="stroke-study") == word
    state.apply(grant_event(view(RESEARCHER, **good), actor=OWNER, at_ms=T))
    assert reason(state, RESEARCHER, purpose="stroke-study") == "granted"
    assert reason(state, RESEARCHER) == "purpose"
    assert reason(state, RESEARCHER, purpose="other-study") == "purpose"


def test_a_withdrawn_consent_ends_research_and_nothing_else(state: AccessState) -> None:
    end = T + MAX_RESEARCH_GRANT_MS
    for account in (RESEARCHER, DOCTOR):
        given = view(account, purpose="study", expires_ms=end)
        state.apply(grant_event(given, actor=OWNER, at_ms=T))
    state.apply(grant_event(view(RESEARCHER, action=Action.SHARE), actor=OWNER, at_ms=T))

    def signed(change: ConsentChange) -> None:
        state.apply(consent_event(IMAGE, change, SIGNED, actor=CONSENT_SERVICE, at_ms=T))

    assert reason(state, RESEARCHER, purpose="study") == "granted"
    signed(ConsentChange.WITHDRAW)
    assert reason(state, RESEARCHER, purpose="study") == "withdrawn"
    # A grant that is not enough in itself keeps its own reason.
    assert reason(state, RESEARCHER, purpose="other") == "purpose"
    assert reason(state, RESEARCHER, Action.SHARE) == "purpose"
    assert reason(state, RESEARCHER, purpose="study", at_ms=end) == "expired"
    assert reason(state, DOCTOR, purpose="study") == "granted"
    assert reason(state, OWNER) == "owner"
    other = grant_event(
        view(RESEARCHER, subject=OTHER_IMAGE, purpose="study", expires_ms=end), actor=OWNER, at_ms=T
    )
    state.apply(other)
    assert state.may(RESEARCHER, OTHER_IMAGE, Action.VIEW, purpose="study", at_ms=T).allowed
    signed(ConsentChange.GIVE)
    assert reason(state, RESEARCHER, purpose="study") == "granted"


def test_older_grants_do_not_widen_a_later_researcher(state: AccessState) -> None:
    state.apply(grant_event(view(STRANGER), actor=OWNER, at_ms=T))
    assert reason(state, STRANGER, purpose="study") == "granted"
    state.apply(role_event(STRANGER, Role.RESEARCHER, RoleChange.ADD, actor=OWNER, at_ms=T))
    assert reason(state, STRANGER, purpose="study") == "purpose"
    state.apply(role_event(STRANGER, Role.RESEARCHER, RoleChange.REMOVE, actor=OWNER, at_ms=T))
    state.apply(grant_event(view(STRANGER, purpose="study"), actor=OWNER, at_ms=T))
    state.apply(role_event(STRANGER, Role.RESEARCHER, RoleChange.ADD, actor=OWNER, at_ms=T))
    assert reason(state, STRANGER, purpose="study") == "unbounded"
