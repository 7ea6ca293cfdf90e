"""What the contract says when it refuses, in the words of the embedded rules."""

from collections.abc import Mapping

from eth_utils.crypto import keccak

from medseal.errors import (
    AccessRefusedError,
    AlreadyAnchoredError,
    InputError,
    MedsealError,
    RevertedError,
)
from medseal.ledger.ethereum.codec import SELECTOR_BYTES

__all__ = ["refusal_of"]

# Custom error: reason, and what to say.
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "AccessControlUnauthorizedAccount(address,bytes32)": (
        "not-owner",
        "only the owner may do this",
    ),
    "NotRegistrar(address)": ("not-registrar", "only the owner or a registrar may do this"),
    "NotClinical(address)": (
        "not-clinical",
        "only a radiologist or emergency account may break the glass",
    ),
    "NotConsentService(address)": (
        "not-consent-service",
        "only a consent service may relay a consent",
    ),
    "ErasedSubject(bytes32)": (
        "erased",
        "the image was erased: its rights cannot change any more",
    ),
    "EnforcedPause()": ("paused", "the contract is paused: ask its owner"),
    "ExpectedPause()": ("not-paused", "the contract is not paused"),
    "AccessControlInvalidDefaultAdmin(address)": (
        "not-offered",
        "the ownership was not offered to this account",
    ),
    "AccessControlEnforcedDefaultAdminDelay(uint48)": (
        "too-early",
        "an offer of the ownership can be accepted after a day",
    ),
}
# What no event of a valid log leads to.
_MALFORMED: Mapping[str, str] = {
    "AccessControlBadConfirmation()": "a role is given up by its holder",
    "AccessControlEnforcedDefaultAdminRules()": "the owner's role is offered, not given",
    "EmptyLog()": "a log without entries has nothing to anchor",
    "MalformedTerms(uint256)": "the terms of the grant have no such action",
    "NotSupported()": "the contract does not do this",
    "SafeCastOverflowedUintDowncast(uint8,uint256)": "a number is too large for the contract",
    "UnknownRole(bytes32)": "the contract knows no such role",
}
_ALREADY_ANCHORED = "AlreadyAnchored(bytes32)"
# Signature of each custom error of the contract by its first four bytes.
_ERRORS: Mapping[bytes, str] = {
    keccak(text=name)[:SELECTOR_BYTES]: name
    for name in (*_REFUSALS, *_MALFORMED, _ALREADY_ANCHORED)
}


def refusal_of(error: RevertedError) -> MedsealError:
    """Return the typed error for what a contract gave as its reason.

    Returns
    -------
    MedsealError
        `AccessRefusedError` with the reason of the embedded rules, `AlreadyAnchoredError`,
        `InputError` for a malformed call, or the error itself where the reason is unknown.
    """
    name = _ERRORS.get(error.data[:SELECTOR_BYTES], "")
    if name in _REFUSALS:
        reason, message = _REFUSALS[name]
        return AccessRefusedError(message, reason=reason)
    if name in _MALFORMED:
        return InputError(_MALFORMED[name])
    if name == _ALREADY_ANCHORED:
        return AlreadyAnchoredError("the contract holds this root already")
    return error
