"""`breakGlass` and `windowOf`: one hour for a clinician, on record."""

import pytest
from eth_utils import keccak

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import (
    CLASSIFY,
    HOUR_MS,
    SHARE,
    VIEW,
    Deployed,
    Reverted,
    role,
    terms,
)

REASON = keccak(text="a salted digest of the reason")


@pytest.mark.parametrize("clinician", ["radiologist", "emergency"])
@pytest.mark.parametrize("sender", ["the clinician", "owner", "registrar"])
def test_a_clinician_opens_an_image_alone_or_through_a_gateway(
    staffed: Deployed, parties: Parties, subject: bytes, clinician: str, sender: str
) -> None:
    account = getattr(parties, clinician)
    origin = account if sender == "the clinician" else getattr(parties, sender)
    assert staffed.call("windowOf", subject, account) == 0
    done = staffed.send("breakGlass", subject, account, REASON, sender=origin)
    until_ms = done.timestamp * 1000 + HOUR_MS
    assert done.event == (
        "GlassBroken",
        {"subject": subject, "account": account, "untilMs": until_ms, "reason": REASON},
    )
    assert staffed.call("windowOf", subject, account) == until_ms


def test_a_gateway_opens_for_a_person_without_a_key(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("grantRole", role("radiologist"), parties.person)
    staffed.send("breakGlass", subject, parties.person, REASON, sender=parties.registrar)
    assert staffed.decide(parties.person, subject, VIEW) == "break-glass"


def test_the_window_covers_view_and_classify_to_its_last_millisecond(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("breakGlass", subject, parties.emergency, REASON)
    until_ms = staffed.call("windowOf", subject, parties.emergency)
    for action, reasons in (
        (VIEW, ("break-glass", "no-grant")),
        (CLASSIFY, ("break-glass", "no-grant")),
        (SHARE, ("no-grant", "no-grant")),
    ):
        found = [
            staffed.decide(parties.emergency, subject, action, at_ms=at_ms)
            for at_ms in (until_ms - 1, until_ms)
        ]
        assert tuple(found) == reasons


def test_the_window_serves_one_account_and_one_image(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("breakGlass", subject, parties.emergency, REASON)
    assert staffed.decide(parties.radiologist, subject, VIEW) == "no-grant"
    other = staffed.chain.new_subject()
    assert staffed.decide(parties.emergency, other, VIEW) == "no-grant"


def test_whoever_is_no_clinician_any_more_has_no_window(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("breakGlass", subject, parties.emergency, REASON)
    staffed.send("revokeRole", role("emergency"), parties.emergency)
    assert staffed.decide(parties.emergency, subject, VIEW) == "no-grant"


def test_a_grant_goes_before_the_window_and_its_refusal_after(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("breakGlass", subject, parties.emergency, REASON)
    staffed.send("grant", subject, parties.emergency, terms(VIEW, word="care"))
    assert staffed.decide(parties.emergency, subject, VIEW, word="care") == "granted"
    assert staffed.decide(parties.emergency, subject, VIEW) == "break-glass"
    until_ms = staffed.call("windowOf", subject, parties.emergency)
    assert staffed.decide(parties.emergency, subject, VIEW, at_ms=until_ms) == "purpose"


def test_a_second_break_glass_begins_the_hour_anew(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    first = staffed.send("breakGlass", subject, parties.emergency, REASON)
    staffed.chain.next_block_at(first.timestamp + 1800)
    staffed.send("breakGlass", subject, parties.emergency, REASON)
    until_ms = staffed.call("windowOf", subject, parties.emergency)
    assert until_ms == (first.timestamp + 1800) * 1000 + HOUR_MS


@pytest.mark.parametrize("account", ["owner", "registrar", "researcher", "auditor", "stranger"])
def test_a_gateway_cannot_open_for_somebody_else(
    staffed: Deployed, parties: Parties, subject: bytes, account: str
) -> None:
    opened = getattr(parties, account)
    with pytest.raises(Reverted, match="NotClinical") as caught:
        staffed.call("breakGlass", subject, opened, REASON, sender=parties.registrar)
    assert caught.value.values == (opened,)


def test_an_erased_image_stays_closed(staffed: Deployed, parties: Parties, subject: bytes) -> None:
    staffed.send("erase", subject)
    with pytest.raises(Reverted, match="ErasedSubject") as caught:
        staffed.send("breakGlass", subject, parties.emergency, REASON, sender=parties.emergency)
    assert caught.value.values == (subject,)


def test_a_pause_is_named_before_everything_else(
    staffed: Deployed, parties: Parties, subject: bytes
) -> None:
    staffed.send("erase", subject)
    staffed.send("pause")
    for sender in (parties.emergency, parties.stranger):
        with pytest.raises(Reverted, match="EnforcedPause"):
            staffed.send("breakGlass", subject, parties.emergency, REASON, sender=sender)
