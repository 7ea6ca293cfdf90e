"""Words of the contract: accounts, roles, terms of grants, and the calls that mirror an event.

Selectors and identifiers stand here as constants, so that a call costs no hashing and no library;
a test compares each with the compiled contract.
"""

import re
from collections.abc import Callable, Mapping

from medseal.errors import InputError
from medseal.ledger.events import Event
from medseal.ledger.grants import Action, Grant, Role, checked_account, parse_action, parse_role

__all__ = [
    "ADDRESS_DIGITS",
    "MAX_GRANT_EXPIRY_MS",
    "NEVER_MS",
    "SELECTOR_BYTES",
    "WORD_BYTES",
    "account_to_address",
    "account_word",
    "action_number",
    "address_of_word",
    "address_to_account",
    "anchor_call",
    "calls_of",
    "changed_by",
    "checked_address",
    "commitment_word",
    "gate_of",
    "is_break_glass",
    "pack_purpose",
    "pack_terms",
    "role_id",
    "unpack_purpose",
    "unpack_terms",
    "word",
]

WORD_BYTES = 32
ADDRESS_DIGITS = 40
SELECTOR_BYTES = 4
# Expiry of a grant without end: the largest number that its 48 bits hold.
NEVER_MS = 2**48 - 1
# 9999-12-31T23:59:59.999Z, the last instant that an event or a grant can name.
MAX_GRANT_EXPIRY_MS = 253_402_300_799_999

_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_COMMITMENT = re.compile(r"sha256:[0-9a-f]{64}")
_PURPOSE = re.compile(r"(?:[a-z][a-z0-9-]{0,31})?")
_PERSON_DIGITS = 32
_PERSON_PREFIX = "0" * (ADDRESS_DIGITS - _PERSON_DIGITS)
_LETTERS = "\0abcdefghijklmnopqrstuvwxyz0123456789-"
_LETTER_BITS = 6
_PURPOSE_BITS = 192
_EXPIRY_BITS = 48
_ACTIONS = tuple(Action)
# Where the third word of a call begins.
_TERMS = SELECTOR_BYTES + 2 * WORD_BYTES
_WINDOW = "window"
_WHOLE = "whole"

# keccak256("medseal.<role>"); the owner is the default administrator of OpenZeppelin.
_ROLE_IDS: Mapping[str, bytes] = {
    name: bytes.fromhex(digits)
    for name, digits in {
        "owner": "00" * 32,
        "registrar": "cc35597e2399f07c96a37cbadae34dddb618ff36df6abe10abf82793bfbd8076",
        "radiologist": "b90505a9f3f4699a33f4c67e0dda550cb02f8973c05981d6fb198c68c0f79534",
        "researcher": "ad2b40da1417bf0009fada70c1b4154295b3ce74819b6cbb201b7f0ae87feb44",
        "consent-service": "2843b416d6b07642517847cd2ba1d81aa4d373f3e8cf413917231c3d2080b937",
        "auditor": "4639f49edf5c9498139a5e20fc9aaaf6c513354026aea9a14b25440747886b3b",
        "emergency": "a9bcd623f3a77a9bc04744e6d74128200795860647366b970ce54aa91ff96522",
    }.items()
}

# First four bytes of keccak256 of the signature.
_ANCHOR = bytes.fromhex("db2c4aca")
_GRANT = bytes.fromhex("f6aa270a")
_REVOKE = bytes.fromhex("3b1bf5f6")
_REVOKE_ALL = bytes.fromhex("25d1da84")
_BREAK_GLASS = bytes.fromhex("3c8736c3")
_RECORD_CONSENT = bytes.fromhex("fde49a61")
_ERASE = bytes.fromhex("028cbb54")
_PAUSE = bytes.fromhex("8456cb59")
_UNPAUSE = bytes.fromhex("3f4ba83a")
_GRANT_ROLE = bytes.fromhex("2f2ff15d")
_REVOKE_ROLE = bytes.fromhex("d547741f")
_BEGIN_TRANSFER = bytes.fromhex("634e93da")
_CANCEL_TRANSFER = bytes.fromhex("d602b9fd")
_ACCEPT_TRANSFER = bytes.fromhex("cefc1429")


# --- Words ------------------------------------------------------------------------------------


def word(value: int) -> bytes:
    """Return a number from 0 to 2**256 - 1 as 32 bytes, big endian."""
    return value.to_bytes(WORD_BYTES, "big")


def checked_address(address: object) -> str:
    """Return an address, ``0x`` and 40 lower-case hexadecimal digits, or raise `InputError`."""
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address):
        raise InputError("an address is 0x and 40 lower-case hexadecimal digits")
    return address


def account_to_address(account: str) -> str:
    """Return the address that stands for an account on the chain.

    Parameters
    ----------
    account
        32 hexadecimal digits of a person, whom eight zeros precede on the chain, or the 40 of the
        address of a gateway's key.

    Returns
    -------
    str
        ``0x`` and 40 lower-case hexadecimal digits.

    Raises
    ------
    InputError
        Another form; also 40 digits that begin with eight zeros and could be a person's.
    """
    return "0x" + checked_account(account).rjust(ADDRESS_DIGITS, "0")


def address_to_account(address: str) -> str:
    """Return the account of an address; the inverse of `account_to_address`."""
    digits = checked_address(address)[2:]
    if digits.startswith(_PERSON_PREFIX):
        return digits[len(_PERSON_PREFIX) :]
    return checked_account(digits)


def account_word(account: str) -> bytes:
    """Return the address of an account as 32 bytes."""
    return bytes.fromhex(checked_account(account).rjust(2 * WORD_BYTES, "0"))


def address_of_word(value: bytes) -> str:
    """Return the address that a word of 32 bytes holds, or raise `InputError`."""
    if len(value) != WORD_BYTES or any(value[: WORD_BYTES - ADDRESS_DIGITS // 2]):
        raise InputError("the word holds no address")
    return "0x" + value.hex()[-ADDRESS_DIGITS:]


def commitment_word(text: object) -> bytes:
    """Return the 32 bytes of a commitment or salted digest written as ``sha256:`` and 64 digits.

    Raises
    ------
    InputError
        Another form.
    """
    if not isinstance(text, str) or not _COMMITMENT.fullmatch(text):
        raise InputError("a commitment is 'sha256:' and 64 lower-case hexadecimal digits")
    return bytes.fromhex(text[7:])


def role_id(role: Role) -> bytes:
    """Return the 32 bytes that name a role in the contract."""
    return _ROLE_IDS[parse_role(role)]


def action_number(action: Action) -> int:
    """Return the number of an action in the contract; raise `InputError` for any other."""
    return _ACTIONS.index(parse_action(action))


# --- Terms of a grant -------------------------------------------------------------------------


def pack_purpose(word: str) -> int:
    """Return the 192 bits of a purpose: six a letter, the first letter lowest; 0 for none.

    Raises
    ------
    InputError
        Not a purpose: letters a to z, digits, hyphens, at most 32, a letter first.
    """
    if not isinstance(word, str) or not _PURPOSE.fullmatch(word):
        raise InputError("a purpose has letters a to z, digits and hyphens, a letter first")
    value = 0
    for letter in reversed(word):
        value = value << _LETTER_BITS | _LETTERS.index(letter)
    return value


def unpack_purpose(value: int) -> str:
    """Return the purpose of 192 bits; exactly what `pack_purpose` writes is accepted.

    Raises
    ------
    InputError
        No purpose has this value; a use can never state it.
    """
    if not 0 <= value < 1 << _PURPOSE_BITS:
        raise InputError("a purpose has 192 bits")
    letters = []
    while value:
        number = value & ((1 << _LETTER_BITS) - 1)
        if not 0 < number < len(_LETTERS):
            raise InputError("the purpose holds what is no letter")
        letters.append(_LETTERS[number])
        value >>= _LETTER_BITS
    purpose = "".join(letters)
    if not _PURPOSE.fullmatch(purpose):
        raise InputError("a purpose begins with a letter")
    return purpose


def pack_terms(grant: Grant) -> int:
    """Return the one word of a grant: purpose, 48 bits of expiry, 16 bits of action."""
    expires_ms = NEVER_MS if grant.expires_ms is None else grant.expires_ms
    upper = action_number(grant.action) << _EXPIRY_BITS | expires_ms
    return upper << _PURPOSE_BITS | pack_purpose(grant.purpose)


def unpack_terms(word: int, account: str, subject: str) -> Grant:
    """Return the grant of one word of terms.

    An expiry after the year 9999, which no use can reach, is no end.

    Raises
    ------
    InputError
        No such action, or a purpose that no use can state.
    """
    number = word >> (_PURPOSE_BITS + _EXPIRY_BITS)
    if not 0 <= number < len(_ACTIONS):
        raise InputError("the terms of the grant have no such action")
    expires_ms = word >> _PURPOSE_BITS & NEVER_MS
    return Grant(
        account=account,
        subject=subject,
        action=_ACTIONS[number],
        purpose=unpack_purpose(word & ((1 << _PURPOSE_BITS) - 1)),
        expires_ms=None if expires_ms > MAX_GRANT_EXPIRY_MS else expires_ms,
    )


# --- Calls ------------------------------------------------------------------------------------


def anchor_call(root: bytes, size: int) -> bytes:
    """Return the call that anchors a root of 32 bytes over `size` entries, from 1 to 2**64 - 1.

    Raises
    ------
    InputError
        The root has another length, or the size is out of range.
    """
    if len(root) != WORD_BYTES or not 0 < size < 1 << 64:
        raise InputError("an anchor is a root of 32 bytes and a size of 64 bits, not 0")
    return _ANCHOR + root + word(size)


def _role_calls(event: Event) -> tuple[bytes, ...]:
    account = account_word(str(event.details.get("account")))
    change = event.details.get("change")
    role = parse_role(event.details.get("role"))
    if role is Role.OWNER:
        calls = {
            "offer": _BEGIN_TRANSFER + account,
            "cancel": _CANCEL_TRANSFER,
            "accept": _ACCEPT_TRANSFER,
        }
    else:
        terms = role_id(role) + account
        calls = {"add": _GRANT_ROLE + terms, "remove": _REVOKE_ROLE + terms}
    return (_chosen(calls, change),)


def _chosen(calls: Mapping[str, bytes], change: object) -> bytes:
    if not isinstance(change, str) or change not in calls:
        raise InputError("the event has no such change")
    return calls[change]


def _grant_calls(event: Event) -> tuple[bytes, ...]:
    expires_ms = event.details.get("expires_ms")
    if isinstance(expires_ms, str):
        raise InputError("an expiry is a whole number of milliseconds")
    grant = Grant(
        account=str(event.details.get("account")),
        subject=event.subject,
        action=parse_action(event.details.get("action")),
        purpose=str(event.details.get("purpose", "")),
        expires_ms=expires_ms,
    )
    head = _GRANT + commitment_word(grant.subject) + account_word(grant.account)
    return (head + word(pack_terms(grant)),)


def _revoke_calls(event: Event) -> tuple[bytes, ...]:
    whose = commitment_word(event.subject) + account_word(str(event.details.get("account")))
    if event.details.get("action") == "all":
        return (_REVOKE_ALL + whose,)
    number = action_number(parse_action(event.details.get("action")))
    return (_REVOKE + whose + word(number),)


def _break_glass_calls(event: Event) -> tuple[bytes, ...]:
    whose = commitment_word(event.subject) + account_word(event.actor)
    return (_BREAK_GLASS + whose + commitment_word(event.details.get("reason")),)


def _consent_calls(event: Event) -> tuple[bytes, ...]:
    image = _RECORD_CONSENT + commitment_word(event.subject)
    calls = {"give": image + word(1), "withdraw": image + word(0)}
    consent = commitment_word(event.details.get("consent"))
    return (_chosen(calls, event.details.get("change")) + consent,)


def _pause_calls(event: Event) -> tuple[bytes, ...]:
    return (_chosen({"pause": _PAUSE, "resume": _UNPAUSE}, event.details.get("change")),)


def _erase_calls(event: Event) -> tuple[bytes, ...]:
    return (_ERASE + commitment_word(event.subject),)


_CALLS: Mapping[str, Callable[[Event], tuple[bytes, ...]]] = {
    "role": _role_calls,
    "grant": _grant_calls,
    "revoke": _revoke_calls,
    "break-glass": _break_glass_calls,
    "consent": _consent_calls,
    "pause": _pause_calls,
    "erase": _erase_calls,
}


def calls_of(event: Event) -> tuple[bytes, ...]:
    """Return the calls that mirror an event in the contract; none for what changes nothing there.

    Raises
    ------
    InputError
        The details are not those of the kind of event.
    """
    calls = _CALLS.get(event.kind)
    return () if calls is None else calls(event)


def is_break_glass(call: bytes) -> bool:
    """Say whether a call opens a window of broken glass."""
    return call.startswith(_BREAK_GLASS)


def gate_of(call: bytes) -> bytes:
    """Return the part of a call that decides whether its sender may make it: the function.

    Of broken glass the clinician too, who must hold a role.
    """
    words = 2 if is_break_glass(call) else 0
    return call[: SELECTOR_BYTES + words * WORD_BYTES]


def changed_by(call: bytes) -> frozenset[object]:
    """Return what a call changes of its scope: single actions, a window; of others all of it.

    Of two calls for one account and image the later one replaces the earlier where both change
    the same.
    """
    if call.startswith(_GRANT):
        # The action stands in the first two bytes of the terms.
        return frozenset({int.from_bytes(call[_TERMS:][:2])})
    if call.startswith(_REVOKE):
        return frozenset({int.from_bytes(call[_TERMS:][:WORD_BYTES])})
    if is_break_glass(call):
        return frozenset({_WINDOW})
    if call.startswith(_REVOKE_ALL):
        return frozenset({_WINDOW, *range(len(_ACTIONS))})
    return frozenset({_WHOLE})
