"""`pause`, `unpause` and `paused`: every use refused but the owner's."""

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import VIEW, Deployed, Reverted, role, terms


def test_a_pause_refuses_every_use_but_the_owner_s(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("grant", subject, parties.person, terms(VIEW))
    staffed.send("breakGlass", subject, parties.emergency, subject)
    assert staffed.send("pause").event == ("Paused", {"account": parties.owner})
    assert staffed.call("paused")
    assert staffed.decide(parties.owner, subject, VIEW) == "owner"
    for account in (parties.person, parties.emergency, parties.stranger):
        assert staffed.decide(account, subject, VIEW) == "paused"
    assert staffed.send("unpause").event == ("Unpaused", {"account": parties.owner})
    assert not staffed.call("paused")
    assert staffed.decide(parties.person, subject, VIEW) == "granted"
    assert staffed.decide(parties.emergency, subject, VIEW) == "break-glass"
    assert staffed.decide(parties.stranger, subject, VIEW) == "no-grant"


def test_rights_can_be_changed_during_a_pause(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("pause")
    staffed.send("grant", subject, parties.person, terms(VIEW), sender=parties.registrar)
    staffed.send("revoke", subject, parties.emergency, VIEW, sender=parties.registrar)
    staffed.send("revokeAll", subject, parties.emergency, sender=parties.registrar)
    staffed.send("revokeRole", role("emergency"), parties.emergency)
    staffed.send("unpause")
    assert staffed.decide(parties.person, subject, VIEW) == "granted"


def test_a_pause_begins_once_and_ends_once(contract: Deployed) -> None:
    with pytest.raises(Reverted, match="ExpectedPause"):
        contract.send("unpause")
    contract.send("pause")
    with pytest.raises(Reverted, match="EnforcedPause"):
        contract.send("pause")


def test_the_flag_disturbs_no_anchor(contract: Deployed, subject: bytes) -> None:
    # Flag and counter stand in one word.
    contract.send("anchor", subject, 1)
    contract.send("pause")
    assert contract.call("anchorCount") == 1
    contract.send("unpause")
    assert contract.send("anchor", contract.chain.new_subject(), 2).event[1]["sequence"] == 2
