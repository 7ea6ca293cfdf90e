"""Every custom error of the compiled contract has its typed error here."""

import pytest
from eth_utils.crypto import keccak

from medseal.errors import (
    AccessRefusedError,
    AlreadyAnchoredError,
    InputError,
    MedsealError,
    RevertedError,
)
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.reverts import refusal_of

REASONS = {
    "AccessControlUnauthorizedAccount": "not-owner",
    "NotRegistrar": "not-registrar",
    "NotClinical": "not-clinical",
    "NotConsentService": "not-consent-service",
    "ErasedSubject": "erased",
    "EnforcedPause": "paused",
    "ExpectedPause": "not-paused",
    "AccessControlInvalidDefaultAdmin": "not-offered",
    "AccessControlEnforcedDefaultAdminDelay": "too-early",
}


def refusal(name: str) -> MedsealError:
    """Return the typed error for a custom error of the contract, with zeros as its arguments."""
    (entry,) = [one for one in artifact().abi if (one["type"], one.get("name")) == ("error", name)]
    types = [one["type"] for one in entry["inputs"]]
    data = keccak(text=f"{name}({','.join(types)})")[:4] + bytes(32 * len(types))
    return refusal_of(RevertedError("refused", data=data))


ERRORS = sorted(one["name"] for one in artifact().abi if one["type"] == "error")


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_of_the_contract_is_typed(name: str) -> None:
    error = refusal(name)
    if name in REASONS:
        assert isinstance(error, AccessRefusedError)
        assert error.reason == REASONS[name]
    else:
        expected = AlreadyAnchoredError if name == "AlreadyAnchored" else InputError
        assert type(error) is expected
    assert "\n" not in str(error)
    assert str(error)


def test_the_reasons_are_those_of_the_contract() -> None:
    assert set(REASONS) < set(ERRORS)


@pytest.mark.parametrize("data", [b"", b"\x08\xc3\x79\xa0" + bytes(64), b"\1\2\3", b"\1\2\3\4"])
def test_another_reason_stays_what_it_is(data: bytes) -> None:
    error = RevertedError("refused", data=data)
    assert refusal_of(error) is error
