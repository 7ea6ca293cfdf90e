"""`revoke`: takes one action back and leaves the others."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import CLASSIFY, SHARE, VIEW, Deployed, terms


@pytest.mark.parametrize("sender", ["owner", "registrar"])
def test_owner_and_registrar_take_a_grant_back(
    staffed: Deployed, parties: Parties, subject: bytes, sender: str
) -> None:
    for action in (VIEW, CLASSIFY, SHARE):
        staffed.send("grant", subject, parties.person, terms(action, word="care"))
    done = staffed.send("revoke", subject, parties.person, VIEW, sender=getattr(parties, sender))
    assert done.event == (
        "Revoked",
        {"subject": subject, "account": parties.person, "action": VIEW},
    )
    assert staffed.call("grantOf", subject, parties.person, VIEW) == (False, 0, 0)
    assert staffed.decide(parties.person, subject, VIEW, word="care") == "no-grant"
    assert staffed.decide(parties.person, subject, CLASSIFY, word="care") == "granted"
    assert staffed.decide(parties.person, subject, SHARE, word="care") == "granted"


def test_what_was_never_granted_can_be_revoked(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    assert contract.send("revoke", subject, parties.person, SHARE).event[0] == "Revoked"
    assert contract.decide(parties.person, subject, SHARE) == "no-grant"


def test_a_revocation_reaches_one_account_and_one_image(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    other = contract.chain.new_subject()
    for image in (subject, other):
        for account in (parties.person, parties.heir):
            contract.send("grant", image, account, terms(VIEW))
    contract.send("revoke", subject, parties.person, VIEW)
    assert contract.decide(parties.heir, subject, VIEW) == "granted"
    assert contract.decide(parties.person, other, VIEW) == "granted"


def test_a_grant_after_a_revocation_stands(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    contract.send("grant", subject, parties.person, terms(VIEW))
    contract.send("revoke", subject, parties.person, VIEW)
    contract.send("grant", subject, parties.person, terms(VIEW))
    assert contract.decide(parties.person, subject, VIEW) == "granted"


def test_a_revocation_on_an_erased_image_is_recorded(
    contract: Deployed, parties: Parties, subject: bytes
) -> None:
    contract.send("grant", subject, parties.person, terms(VIEW))
    contract.send("erase", subject)
    contract.send("revoke", subject, parties.person, VIEW)
    assert contract.call("grantOf", subject, parties.person, VIEW) == (False, 0, 0)


def test_a_revocation_leaves_the_window_open(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("breakGlass", subject, parties.emergency, subject)
    staffed.send("revoke", subject, parties.emergency, VIEW)
    assert staffed.decide(parties.emergency, subject, VIEW) == "break-glass"
