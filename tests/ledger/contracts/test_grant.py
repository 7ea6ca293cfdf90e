"""`grant`: recorded for whoever may record it; what it allows is judged by `decide`."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import (
    CLASSIFY,
    NEVER_MS,
    SHARE,
    VIEW,
    Deployed,
    Reverted,
    purpose,
    terms,
)


@pytest.mark.parametrize("sender", ["owner", "registrar"])
@pytest.mark.parametrize("action", [VIEW, CLASSIFY, SHARE])
def test_owner_and_registrar_record_a_grant(
    staffed: Deployed, parties: Parties, subject: bytes, sender: str, action: int
) -> None:
    word = terms(action, expires_ms=1_800_000_000_000, word="care")
    done = staffed.send("grant", subject, parties.person, word, sender=getattr(parties, sender))
    assert done.event == (
        "Granted",
        {"subject": subject, "account": parties.person, "terms": word},
    )
    assert staffed.call("grantOf", subject, parties.person, action) == (
        True,
        1_800_000_000_000,
        purpose("care"),
    )
    others = {VIEW, CLASSIFY, SHARE} - {action}
    assert all(
        staffed.call("grantOf", subject, parties.person, other) == (False, 0, 0) for other in others
    )


def test_a_grant_replaces_the_one_before(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    contract.send("grant", subject, parties.person, terms(VIEW, word="care"))
    contract.send("grant", subject, parties.person, terms(VIEW, expires_ms=7))
    assert contract.call("grantOf", subject, parties.person, VIEW) == (True, 7, 0)


def test_terms_of_zero_are_a_grant_that_is_over(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    contract.send("grant", subject, parties.person, 0)
    assert contract.call("grantOf", subject, parties.person, VIEW) == (True, 0, 0)
    assert contract.decide(parties.person, subject, VIEW) == "expired"


def test_the_longest_purpose_and_expiry_come_back(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    longest = "z" + "-" * 31
    contract.send("grant", subject, parties.person, terms(SHARE, word=longest))
    assert contract.call("grantOf", subject, parties.person, SHARE) == (
        True,
        NEVER_MS,
        purpose(longest),
    )


def test_a_grant_for_an_erased_image_is_recorded_and_allows_nothing(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    contract.send("erase", subject)
    contract.send("grant", subject, parties.person, terms(VIEW))
    assert contract.call("grantOf", subject, parties.person, VIEW)[0]
    assert contract.decide(parties.person, subject, VIEW) == "erased"


@pytest.mark.parametrize("action", [3, 4, 0x7FFF, 0x8000, 0xFFFF])
def test_terms_without_an_action_are_refused(
    contract: Deployed, parties: Parties, subject: bytes, action: int
) -> None:
    with pytest.raises(Reverted, match="MalformedTerms") as caught:
        contract.send("grant", subject, parties.person, terms(action))
    assert caught.value.values == (terms(action),)
