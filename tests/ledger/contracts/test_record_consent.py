"""`recordConsent` and `subjectOf`: what a patient has signed, relayed by a consent service."""

import pytest
from eth_utils import keccak

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import DAY_MS, VIEW, Deployed, Reverted, terms

UNKNOWN, GIVEN, WITHDRAWN = range(3)
SIGNED = keccak(text="a salted digest of what was signed")


def test_a_consent_and_a_withdrawal_follow_each_other(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    assert staffed.call("subjectOf", subject) == (False, UNKNOWN)
    for given, known in ((True, GIVEN), (False, WITHDRAWN), (True, GIVEN)):
        done = staffed.send("recordConsent", subject, given, SIGNED, sender=parties.consent_service)
        assert done.event == (
            "ConsentRecorded",
            {"subject": subject, "given": given, "consent": SIGNED},
        )
        assert staffed.call("subjectOf", subject) == (False, known)


def test_a_withdrawal_ends_research_and_nothing_else(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    now_ms = staffed.chain.now() * 1000
    word = terms(VIEW, expires_ms=now_ms + DAY_MS, word="study")
    for account in (parties.researcher, parties.radiologist):
        staffed.send("grant", subject, account, word)
    assert staffed.decide(parties.researcher, subject, VIEW, word="study") == "granted"
    staffed.send("recordConsent", subject, False, SIGNED, sender=parties.consent_service)
    assert staffed.decide(parties.researcher, subject, VIEW, word="study") == "withdrawn"
    assert staffed.decide(parties.radiologist, subject, VIEW, word="study") == "granted"
    other = staffed.chain.new_subject()
    staffed.send("grant", other, parties.researcher, word)
    assert staffed.decide(parties.researcher, other, VIEW, word="study") == "granted"


def test_a_consent_alone_allows_nothing(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("recordConsent", subject, True, SIGNED, sender=parties.consent_service)
    assert staffed.decide(parties.researcher, subject, VIEW, word="study") == "no-grant"


def test_a_consent_is_recorded_during_a_pause(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("pause")
    staffed.send("recordConsent", subject, False, SIGNED, sender=parties.consent_service)
    assert staffed.call("subjectOf", subject) == (False, WITHDRAWN)


@pytest.mark.parametrize("given", [True, False])
def test_an_erased_image_takes_no_consent(
    staffed: Deployed, parties: Parties, subject: bytes, given: bool
) -> None:
    staffed.send("erase", subject)
    with pytest.raises(Reverted, match="ErasedSubject") as caught:
        staffed.send("recordConsent", subject, given, SIGNED, sender=parties.consent_service)
    assert caught.value.values == (subject,)
    assert staffed.call("subjectOf", subject) == (True, UNKNOWN)
