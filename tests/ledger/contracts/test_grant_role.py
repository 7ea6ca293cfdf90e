"""`grantRole`, `revokeRole`, `hasRole` and `renounceRole`: the owner gives and takes roles."""

from contextlib import suppress

import pytest
from eth_utils import keccak

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import ADMIN_ROLE, VIEW, Deployed, Reverted, role, terms

ROLES = ("registrar", "radiologist", "researcher", "consent-service", "auditor", "emergency")


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_given_and_taken_back(contract: Deployed, parties: Parties, name: str) -> None:
    identifier = role(name)
    assert contract.call("getRoleAdmin", identifier) == ADMIN_ROLE
    assert not contract.call("hasRole", identifier, parties.person)
    values = {"role": identifier, "account": parties.person, "sender": parties.owner}
    done = contract.send("grantRole", identifier, parties.person)
    assert done.event == ("RoleGranted", values)
    assert contract.call("hasRole", identifier, parties.person)
    # Once more: nothing changes, so nothing is told.
    assert contract.send("grantRole", identifier, parties.person).events == ()
    done = contract.send("revokeRole", identifier, parties.person)
    assert done.event == ("RoleRevoked", values)
    assert not contract.call("hasRole", identifier, parties.person)
    assert contract.send("revokeRole", identifier, parties.person).events == ()


def powers(contract: Deployed, account: str, subject: bytes) -> set[str]:
    """Return what an account with these roles can do, from what the contract lets it do."""
    calls = {
        "registrar": ("revoke", (subject, account, VIEW)),
        "clinician": ("breakGlass", (subject, account, subject)),
        "consent-service": ("recordConsent", (subject, True, subject)),
    }
    found = set()
    for name, (function, values) in calls.items():
        with suppress(Reverted):
            contract.call_nothing(function, *values, sender=account)
            found.add(name)
    # A researcher is told by what a grant without a purpose no longer allows.
    if contract.decide(account, subject, VIEW) == "purpose":
        found.add("researcher")
    return found


@pytest.mark.parametrize("taken", ROLES)
def test_taking_one_role_leaves_the_others(
    contract: Deployed, parties: Parties, subject: bytes, taken: str
) -> None:
    contract.send("grant", subject, parties.stranger, terms(VIEW))
    for name in ROLES:
        contract.send("grantRole", role(name), parties.stranger)
    everything = {"registrar", "clinician", "consent-service", "researcher"}
    assert powers(contract, parties.stranger, subject) == everything
    contract.send("revokeRole", role(taken), parties.stranger)
    for name in ROLES:
        assert contract.call("hasRole", role(name), parties.stranger) is (name != taken)
    # Radiologist and emergency account each are clinicians.
    assert powers(contract, parties.stranger, subject) == everything - {taken}


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("registrar", "grant"),
        ("radiologist", "breakGlass"),
        ("emergency", "breakGlass"),
        ("consent-service", "recordConsent"),
    ],
)
def test_a_role_opens_its_function_and_closes_it(
    contract: Deployed, parties: Parties, subject: bytes, name: str, function: str
) -> None:
    values = {
        "grant": (subject, parties.person, terms(VIEW)),
        "breakGlass": (subject, parties.stranger, subject),
        "recordConsent": (subject, True, subject),
    }[function]
    for _ in range(2):
        with pytest.raises(Reverted, match=r"Not(Registrar|Clinical|ConsentService)"):
            contract.call(function, *values, sender=parties.stranger)
        contract.send("grantRole", role(name), parties.stranger)
        contract.send(function, *values, sender=parties.stranger)
        contract.send("revokeRole", role(name), parties.stranger)


@pytest.mark.parametrize("function", ["grantRole", "revokeRole"])
@pytest.mark.parametrize("identifier", [keccak(text="medseal.owner"), keccak(text="medseal.other")])
def test_there_are_no_other_roles(
    contract: Deployed, parties: Parties, function: str, identifier: bytes
) -> None:
    with pytest.raises(Reverted, match="UnknownRole") as caught:
        contract.send(function, identifier, parties.person)
    assert caught.value.values == (identifier,)


@pytest.mark.parametrize("function", ["grantRole", "revokeRole"])
def test_the_owner_is_no_role_to_give(contract: Deployed, parties: Parties, function: str) -> None:
    for account in (parties.owner, parties.person):
        with pytest.raises(Reverted, match="AccessControlEnforcedDefaultAdminRules"):
            contract.send(function, ADMIN_ROLE, account)


def test_nobody_lays_a_role_down(staffed: Deployed, parties: Parties) -> None:
    for identifier, account in (
        (role("registrar"), parties.registrar),
        (ADMIN_ROLE, parties.owner),
    ):
        with pytest.raises(Reverted, match="NotSupported"):
            staffed.send("renounceRole", identifier, account, sender=account)
        assert staffed.call("hasRole", identifier, account)


def test_the_interfaces_are_those_of_openzeppelin(contract: Deployed) -> None:
    # ERC-165, IAccessControl, IAccessControlDefaultAdminRules; then one that is none.
    for identifier, expected in (
        ("01ffc9a7", True),
        ("7965db0b", True),
        ("31498786", True),
        ("ffffffff", False),
    ):
        assert contract.call("supportsInterface", bytes.fromhex(identifier)) is expected
