"""`erase`: all rights to an image end for ever, for everybody."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import CLASSIFY, SHARE, VIEW, Deployed, Reverted, terms


def test_nobody_may_anything_with_an_erased_image(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("grant", subject, parties.person, terms(VIEW))
    staffed.send("breakGlass", subject, parties.emergency, subject)
    assert staffed.send("erase", subject).event == ("SubjectErased", {"subject": subject})
    assert staffed.call("subjectOf", subject) == (True, 0)
    for account in (parties.owner, parties.person, parties.emergency, parties.stranger):
        for action in (VIEW, CLASSIFY, SHARE):
            assert staffed.decide(account, subject, action) == "erased"


def test_what_is_known_of_the_consent_stays(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("recordConsent", subject, False, subject, sender=parties.consent_service)
    staffed.send("erase", subject)
    assert staffed.call("subjectOf", subject) == (True, 2)


def test_an_image_is_erased_once(contract: Deployed, subject: bytes) -> None:
    contract.send("erase", subject)
    with pytest.raises(Reverted, match="ErasedSubject") as caught:
        contract.send("erase", subject)
    assert caught.value.values == (subject,)


def test_an_image_can_be_erased_during_a_pause(contract: Deployed, subject: bytes) -> None:
    contract.send("pause")
    contract.send("erase", subject)
    assert contract.call("subjectOf", subject) == (True, 0)
