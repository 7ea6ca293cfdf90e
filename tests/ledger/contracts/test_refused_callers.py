"""Every function that changes something refuses whoever may not call it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.ledger.contracts.conftest import Parties
from tests.ledger.contracts.harness import VIEW, Build, Deployed, Reverted, role, terms

PARTIES = frozenset(Parties.__slots__) - {"person"}
IMAGE = bytes(range(32))
Values = Callable[[Parties, str], tuple[Any, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Who may call a function, with which values, and what all others are told."""

    allowed: frozenset[str]
    error: str
    values: Values = lambda _parties, _sender: ()


OWNER = frozenset({"owner"})
REGISTRARS = frozenset({"owner", "registrar"})
UNAUTHORISED = "AccessControlUnauthorizedAccount"
CASES = {
    "anchor": Case(allowed=REGISTRARS, error="NotRegistrar", values=lambda *_: (IMAGE, 1)),
    "grant": Case(
        allowed=REGISTRARS,
        error="NotRegistrar",
        values=lambda parties, _: (IMAGE, parties.person, terms(VIEW)),
    ),
    "revoke": Case(
        allowed=REGISTRARS,
        error="NotRegistrar",
        values=lambda parties, _: (IMAGE, parties.person, VIEW),
    ),
    "revokeAll": Case(
        allowed=REGISTRARS,
        error="NotRegistrar",
        values=lambda parties, _: (IMAGE, parties.person),
    ),
    "breakGlass": Case(
        allowed=REGISTRARS | {"radiologist"},
        error="NotRegistrar",
        values=lambda parties, _: (IMAGE, parties.radiologist, IMAGE),
    ),
    "breakGlass for oneself": Case(
        allowed=frozenset({"radiologist", "emergency"}),
        error="NotClinical",
        values=lambda _, sender: (IMAGE, sender, IMAGE),
    ),
    "recordConsent": Case(
        allowed=frozenset({"consent_service"}),
        error="NotConsentService",
        values=lambda *_: (IMAGE, True, IMAGE),
    ),
    "erase": Case(allowed=OWNER, error=UNAUTHORISED, values=lambda *_: (IMAGE,)),
    "pause": Case(allowed=OWNER, error=UNAUTHORISED),
    "unpause": Case(allowed=OWNER, error=UNAUTHORISED),
    "grantRole": Case(
        allowed=OWNER,
        error=UNAUTHORISED,
        values=lambda _, sender: (role("registrar"), sender),
    ),
    "revokeRole": Case(
        allowed=OWNER,
        error=UNAUTHORISED,
        values=lambda parties, _: (role("registrar"), parties.registrar),
    ),
    "renounceRole": Case(
        allowed=frozenset(),
        error="NotSupported",
        values=lambda _, sender: (role("registrar"), sender),
    ),
    "beginDefaultAdminTransfer": Case(
        allowed=OWNER, error=UNAUTHORISED, values=lambda _, sender: (sender,)
    ),
    "cancelDefaultAdminTransfer": Case(allowed=OWNER, error=UNAUTHORISED),
    "acceptDefaultAdminTransfer": Case(
        allowed=frozenset(), error="AccessControlInvalidDefaultAdmin"
    ),
    "changeDefaultAdminDelay": Case(
        allowed=frozenset(), error="NotSupported", values=lambda *_: (0,)
    ),
    "rollbackDefaultAdminDelay": Case(allowed=OWNER, error=UNAUTHORISED),
}


def test_every_function_that_changes_something_is_listed() -> None:
    changing = {
        name
        for name, one in Build.committed().functions.items()
        if one.item["stateMutability"] != "view"
    }
    assert changing == {title.partition(" ")[0] for title in CASES}


@pytest.mark.parametrize("title", CASES)
def test_only_those_who_may_are_let_through(
    staffed: Deployed, parties: Parties, title: str
) -> None:
    case, name = CASES[title], title.partition(" ")[0]
    if name == "unpause":
        staffed.send("pause")
    for party in sorted(PARTIES):
        sender = getattr(parties, party)
        values = case.values(parties, sender)
        if party in case.allowed:
            staffed.call_nothing(name, *values, sender=sender)
            continue
        with pytest.raises(Reverted, match=case.error) as caught:
            staffed.send(name, *values, sender=sender)
        if caught.value.values:
            assert caught.value.values[0] == sender, party


def test_no_function_takes_money(contract: Deployed, parties: Parties) -> None:
    for item in contract.chain.build.abi:
        assert item.get("stateMutability") != "payable"
    call = {
        "from": parties.owner,
        "to": contract.address,
        "data": contract.chain.build.functions["pause"].calldata(()),
    }
    assert contract.chain.call(call) == b""
    with pytest.raises(Reverted, match="no reason"):
        contract.chain.call({**call, "value": "0x1"})


def test_what_is_no_function_is_refused(contract: Deployed, parties: Parties) -> None:
    for data in ("0x", "0x00000000", "0xdeadbeef"):
        with pytest.raises(Reverted, match="no reason"):
            contract.chain.call({"from": parties.owner, "to": contract.address, "data": data})
