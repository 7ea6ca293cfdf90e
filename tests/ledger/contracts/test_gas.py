"""Gas of each operation stays under its ceiling on every node."""

from collections.abc import Callable

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import CLASSIFY, SHARE, VIEW, Deployed, role, terms

# Asked for; the other ceilings in `RUNS` lie just above what was measured.
ANCHOR, GRANT, REVOKE = 62_000, 50_000, 27_100
# A root, a size and an account of which no byte is zero: zero bytes are cheaper to send.
ROOTS = [bytes([number]) * 32 for number in range(1, 200)]
SIZE = 2**64 - 2
GATEWAY = "0x" + "ab" * 20
PERSON = "0x00000000" + "ab" * 16
IMAGE, REASON = bytes([0xC3]) * 32, bytes([0xA5]) * 32
# An expiry and a purpose of which no byte is zero; the longest purpose.
EXPIRES_MS = 0x01A3_F7C2_B1D5
LONGEST = "z" + "9" * 31

Run = Callable[[Deployed, Parties], int]


def granting(word: int, *, account: str = GATEWAY, sender: str = "registrar") -> Run:
    def run(contract: Deployed, parties: Parties) -> int:
        done = contract.send("grant", IMAGE, account, word, sender=getattr(parties, sender))
        return done.gas_used

    return run


def anchoring(before: int, *, sender: str = "registrar") -> Run:
    def run(contract: Deployed, parties: Parties) -> int:
        origin = getattr(parties, sender)
        for root in ROOTS[:before]:
            contract.send("anchor", root, SIZE, sender=origin)
        return contract.send("anchor", ROOTS[before], SIZE, sender=origin).gas_used

    return run


def revoking(contract: Deployed, parties: Parties) -> int:
    contract.send("grant", IMAGE, GATEWAY, terms(SHARE, expires_ms=EXPIRES_MS, word=LONGEST))
    done = contract.send("revoke", IMAGE, GATEWAY, SHARE, sender=parties.registrar)
    return done.gas_used


def revoking_nothing(contract: Deployed, parties: Parties) -> int:
    return contract.send("revoke", IMAGE, GATEWAY, SHARE, sender=parties.registrar).gas_used


def revoking_all(contract: Deployed, parties: Parties) -> int:
    for action in (VIEW, CLASSIFY, SHARE):
        contract.send("grant", IMAGE, parties.radiologist, terms(action))
    contract.send("breakGlass", IMAGE, parties.radiologist, REASON)
    done = contract.send("revokeAll", IMAGE, parties.radiologist, sender=parties.registrar)
    return done.gas_used


def breaking_glass(contract: Deployed, parties: Parties) -> int:
    done = contract.send("breakGlass", IMAGE, parties.radiologist, REASON, sender=parties.registrar)
    return done.gas_used


def consenting(contract: Deployed, parties: Parties) -> int:
    done = contract.send("recordConsent", IMAGE, True, REASON, sender=parties.consent_service)
    return done.gas_used


RUNS: dict[str, tuple[int, Run]] = {
    "anchor, the first": (ANCHOR, anchoring(0)),
    "anchor, the second": (ANCHOR, anchoring(1)),
    "anchor, a later one": (ANCHOR, anchoring(20)),
    "anchor by the owner": (ANCHOR, anchoring(1, sender="owner")),
    "grant to a person": (GRANT, granting(terms(VIEW), account=PERSON)),
    "grant to a gateway": (GRANT, granting(terms(VIEW))),
    "grant with a purpose": (GRANT, granting(terms(CLASSIFY, word="care"))),
    "grant with an expiry": (GRANT, granting(terms(SHARE, expires_ms=EXPIRES_MS))),
    "grant with the longest purpose and an expiry": (
        GRANT,
        granting(terms(SHARE, expires_ms=EXPIRES_MS, word=LONGEST)),
    ),
    "grant by the owner": (
        GRANT,
        granting(terms(SHARE, expires_ms=EXPIRES_MS, word=LONGEST), sender="owner"),
    ),
    "revoke": (REVOKE, revoking),
    "revoke what was not granted": (29_200, revoking_nothing),
    "revokeAll": (37_300, revoking_all),
    "breakGlass": (56_200, breaking_glass),
    "recordConsent": (49_700, consenting),
    "erase": (47_700, lambda contract, _: contract.send("erase", IMAGE).gas_used),
    "pause": (30_100, lambda contract, _: contract.send("pause").gas_used),
    "grantRole": (
        73_700,
        lambda contract, _: contract.send("grantRole", role("registrar"), GATEWAY).gas_used,
    ),
}


@pytest.mark.parametrize("title", RUNS)
def test_an_operation_stays_under_its_ceiling(
    staffed: Deployed, parties: Parties, title: str
) -> None:
    ceiling, run = RUNS[title]
    assert run(staffed, parties) <= ceiling


def test_a_grant_of_every_purpose_costs_no_more_than_asked(contract: Deployed) -> None:
    # Purposes of each length, each to an account that has no grant yet.
    for length in range(33):
        account = "0x" + f"{0xAB00 + length:04x}" * 10
        word = terms(SHARE, expires_ms=EXPIRES_MS, word=LONGEST[:length])
        assert contract.send("grant", IMAGE, account, word).gas_used <= GRANT


def test_the_contract_is_deployed_within_its_ceiling(contract: Deployed) -> None:
    assert int(contract.deployment["gasUsed"], 16) <= 1_920_000
