"""`revokeAll`: takes every action back and closes the window."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import CLASSIFY, SHARE, VIEW, Deployed, terms


@pytest.mark.parametrize("sender", ["owner", "registrar"])
def test_owner_and_registrar_take_everything_back(
    staffed: Deployed, parties: Parties, subject: bytes, sender: str
) -> None:
    staffed.send("breakGlass", subject, parties.emergency, subject)
    for action in (VIEW, CLASSIFY, SHARE):
        staffed.send("grant", subject, parties.emergency, terms(action))
    done = staffed.send("revokeAll", subject, parties.emergency, sender=getattr(parties, sender))
    assert done.event == ("RevokedAll", {"subject": subject, "account": parties.emergency})
    assert staffed.call("windowOf", subject, parties.emergency) == 0
    for action in (VIEW, CLASSIFY, SHARE):
        assert staffed.call("grantOf", subject, parties.emergency, action) == (False, 0, 0)
        assert staffed.decide(parties.emergency, subject, action) == "no-grant"


def test_other_accounts_and_images_keep_their_rights(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    other = staffed.chain.new_subject()
    staffed.send("grant", subject, parties.person, terms(VIEW))
    staffed.send("grant", other, parties.emergency, terms(VIEW))
    staffed.send("breakGlass", subject, parties.radiologist, subject)
    staffed.send("revokeAll", subject, parties.emergency)
    assert staffed.decide(parties.person, subject, VIEW) == "granted"
    assert staffed.decide(parties.emergency, other, VIEW) == "granted"
    assert staffed.decide(parties.radiologist, subject, VIEW) == "break-glass"
