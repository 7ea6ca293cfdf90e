"""`decide` and `grantOf`: the first reason that fits, with its boundaries."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import (
    CLASSIFY,
    MAX_RESEARCH_GRANT_MS,
    NEVER_MS,
    SHARE,
    VIEW,
    Deployed,
    Reverted,
    purpose,
    role,
    terms,
)

NOW_MS = 1_800_000_000_000


def granted(
    contract: Deployed, account: str, subject: bytes, *, expires_ms: int = NEVER_MS, word: str = ""
) -> None:
    contract.send("grant", subject, account, terms(VIEW, expires_ms=expires_ms, word=word))


def view(
    contract: Deployed, account: str, subject: bytes, *, at_ms: int = NOW_MS, word: str = ""
) -> str:
    return contract.decide(account, subject, VIEW, word=word, at_ms=at_ms)


def test_what_no_rule_allows_is_refused(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    for name in Parties.__slots__:
        expected = "owner" if name == "owner" else "no-grant"
        for action in (VIEW, CLASSIFY, SHARE):
            found = staffed.decide(getattr(parties, name), subject, action, at_ms=NOW_MS)
            assert found == expected, name


@pytest.mark.parametrize("action", [3, 255])
def test_there_are_three_actions(
    contract: Deployed, parties: Parties, subject: bytes, action: int
) -> None:
    for name, values in (
        ("decide", (parties.owner, subject, action, 0, NOW_MS)),
        ("grantOf", (subject, parties.owner, action)),
    ):
        with pytest.raises(Reverted, match="no reason"):
            contract.call(name, *values)


@pytest.mark.parametrize(
    ("at_ms", "reason"),
    [(0, "granted"), (NOW_MS - 1, "granted"), (NOW_MS, "expired"), (2**64 - 1, "expired")],
)
def test_a_grant_is_over_at_its_expiry(
    contract: Deployed, parties: Parties, subject: bytes, at_ms: int, reason: str
) -> None:
    granted(contract, parties.person, subject, expires_ms=NOW_MS)
    assert view(contract, parties.person, subject, at_ms=at_ms) == reason


@pytest.mark.parametrize("at_ms", [NEVER_MS - 1, NEVER_MS, 2**64 - 1])
def test_a_grant_without_end_does_not_end(
    contract: Deployed, parties: Parties, subject: bytes, at_ms: int
) -> None:
    granted(contract, parties.person, subject)
    assert view(contract, parties.person, subject, at_ms=at_ms) == "granted"


@pytest.mark.parametrize(
    ("bound", "stated", "reason"),
    [
        ("", "", "granted"),
        ("", "care", "granted"),
        ("care", "care", "granted"),
        ("care", "", "purpose"),
        ("care", "car", "purpose"),
        ("care", "cares", "purpose"),
        ("z" + "9" * 31, "z" + "9" * 31, "granted"),
        ("z" + "9" * 31, "z" + "9" * 30 + "8", "purpose"),
    ],
)
def test_a_bound_purpose_must_be_stated(
    contract: Deployed, parties: Parties, subject: bytes, bound: str, stated: str, reason: str
) -> None:
    granted(contract, parties.person, subject, word=bound)
    assert view(contract, parties.person, subject, word=stated) == reason


@pytest.mark.parametrize(
    ("expires_ms", "words", "reason"),
    [
        (NOW_MS + 1, ("study", "study"), "granted"),
        (NOW_MS, ("study", "study"), "expired"),
        (NOW_MS + MAX_RESEARCH_GRANT_MS, ("study", "study"), "granted"),
        (NOW_MS + MAX_RESEARCH_GRANT_MS + 1, ("study", "study"), "unbounded"),
        (NEVER_MS, ("study", "study"), "unbounded"),
        (NOW_MS + 1, ("", ""), "purpose"),
        (NOW_MS + 1, ("", "study"), "purpose"),
        (NOW_MS + 1, ("study", ""), "purpose"),
        (NEVER_MS, ("", ""), "purpose"),
    ],
)
def test_a_researcher_needs_a_purpose_and_an_end_within_366_days(
    staffed: Deployed,
    parties: Parties,
    expires_ms: int,
    words: tuple[str, str],
    reason: str,
) -> None:
    (bound, stated), subject = words, staffed.chain.new_subject()
    granted(staffed, parties.researcher, subject, expires_ms=expires_ms, word=bound)
    assert view(staffed, parties.researcher, subject, word=stated) == reason


def test_the_rules_for_researchers_begin_and_end_with_the_role(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    granted(contract, parties.person, subject)
    assert view(contract, parties.person, subject) == "granted"
    contract.send("grantRole", role("researcher"), parties.person)
    assert view(contract, parties.person, subject) == "purpose"
    contract.send("revokeRole", role("researcher"), parties.person)
    assert view(contract, parties.person, subject) == "granted"


def test_refusals_of_a_grant_come_in_their_order(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    researcher = parties.researcher
    staffed.send("recordConsent", subject, False, subject, sender=parties.consent_service)
    assert view(staffed, researcher, subject) == "no-grant"
    granted(staffed, researcher, subject, expires_ms=NOW_MS)
    assert view(staffed, researcher, subject) == "expired"
    granted(staffed, researcher, subject)
    assert view(staffed, researcher, subject) == "purpose"
    granted(staffed, researcher, subject, word="study")
    assert view(staffed, researcher, subject, word="study") == "unbounded"
    granted(staffed, researcher, subject, expires_ms=NOW_MS + 1, word="study")
    assert view(staffed, researcher, subject, word="study") == "withdrawn"
    staffed.send("pause")
    assert view(staffed, researcher, subject, word="study") == "paused"
    assert view(staffed, parties.owner, subject) == "owner"
    staffed.send("erase", subject)
    assert view(staffed, researcher, subject, word="study") == "erased"
    assert view(staffed, parties.owner, subject) == "erased"


def test_a_clinician_who_does_research_may_break_the_glass(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("grantRole", role("researcher"), parties.radiologist)
    staffed.send("breakGlass", subject, parties.radiologist, subject)
    now_ms = staffed.chain.now() * 1000
    granted(staffed, parties.radiologist, subject)
    assert view(staffed, parties.radiologist, subject, at_ms=now_ms) == "break-glass"


def test_a_grant_stands_as_it_was_given(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    assert contract.call("grantOf", subject, parties.person, VIEW) == (False, 0, 0)
    granted(contract, parties.person, subject, expires_ms=NOW_MS, word="care")
    found = contract.call("grantOf", subject, parties.person, VIEW)
    assert found == (True, NOW_MS, purpose("care"))
