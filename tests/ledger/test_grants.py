from typing import Any

import pytest

from medseal.errors import InputError
from medseal.ledger.grants import Action, Grant, decide, grant_key, parse_grant

ACCOUNT, IMAGE = f"{1:032x}", "sha256:" + "aa" * 32


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
