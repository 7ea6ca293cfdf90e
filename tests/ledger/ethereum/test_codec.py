"""Words of the contract against its compiled interface, and there and back."""

import string
from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import InputError
from medseal.ledger import (
    Action,
    Event,
    EventKind,
    Grant,
    Role,
    RoleChange,
    break_glass_event,
    consent_event,
    erase_event,
    genesis_event,
    grant_event,
    pause_event,
    revoke_event,
    role_event,
)
from medseal.ledger.ethereum.artifact import artifact
from medseal.ledger.ethereum.codec import (
    MAX_GRANT_EXPIRY_MS,
    NEVER_MS,
    account_to_address,
    account_word,
    action_number,
    address_of_word,
    address_to_account,
    anchor_call,
    calls_of,
    changed_by,
    checked_address,
    commitment_word,
    gate_of,
    is_break_glass,
    pack_purpose,
    pack_terms,
    role_id,
    unpack_purpose,
    unpack_terms,
    word,
)

PERSON = "ab" * 16
GATEWAY = "cd" * 20
IMAGE = "sha256:" + "5a" * 32
DIGEST = "sha256:" + "77" * 32

letters = string.ascii_lowercase + string.digits + "-"
purposes = st.one_of(
    st.just(""),
    st.builds(
        str.__add__,
        st.sampled_from(string.ascii_lowercase),
        st.text(alphabet=letters, max_size=31),
    ),
)
accounts = st.one_of(
    st.text(alphabet="0123456789abcdef", min_size=32, max_size=32),
    st.text(alphabet="0123456789abcdef", min_size=40, max_size=40).filter(
        lambda digits: not digits.startswith("0" * 8)
    ),
)
grants = st.builds(
    Grant,
    account=accounts,
    subject=st.just(IMAGE),
    action=st.sampled_from(Action),
    purpose=purposes,
    expires_ms=st.one_of(st.none(), st.integers(0, MAX_GRANT_EXPIRY_MS)),
)


def abi_call(name: str, *values: object) -> bytes:
    """Return a call as the ABI of the compiled contract has it."""
    (entry,) = [one for one in artifact().abi if one.get("name") == name]
    types = [one["type"] for one in entry["inputs"]]
    return keccak(text=f"{name}({','.join(types)})")[:4] + encode(types, values)


# --- Accounts and words -----------------------------------------------------------------------


@given(accounts)
def test_an_account_and_its_address_lead_to_each_other(account: str) -> None:
    address = account_to_address(account)
    assert checked_address(address) == address
    assert address_to_account(address) == account
    assert address_of_word(account_word(account)) == address


def test_a_person_is_preceded_by_eight_zeros() -> None:
    assert account_to_address(PERSON) == "0x" + "0" * 8 + PERSON
    assert account_to_address(GATEWAY) == "0x" + GATEWAY


@pytest.mark.parametrize(
    "account", ["", "ab", "AB" * 16, "0x" + GATEWAY, "0" * 8 + PERSON, "g" * 40]
)
def test_other_accounts_are_refused(account: str) -> None:
    with pytest.raises(InputError, match="an account is 32"):
        account_to_address(account)


@pytest.mark.parametrize("address", ["", GATEWAY, "0x" + "AB" * 20, "0x" + "ab" * 21, None, b"0x"])
def test_other_addresses_are_refused(address: object) -> None:
    with pytest.raises(InputError, match="an address is 0x and 40"):
        checked_address(address)


@pytest.mark.parametrize("value", [b"\1" * 32, b"", b"\0" * 11 + b"\1" * 20])
def test_a_word_that_holds_more_than_an_address_is_refused(value: bytes) -> None:
    with pytest.raises(InputError, match="holds no address"):
        address_of_word(value)


@pytest.mark.parametrize("text", ["", "5a" * 32, "sha256:5A" + "5a" * 31, None, 7])
def test_other_commitments_are_refused(text: object) -> None:
    with pytest.raises(InputError, match="a commitment is 'sha256:'"):
        commitment_word(text)


def test_roles_are_named_as_in_the_contract() -> None:
    assert role_id(Role.OWNER) == bytes(32)
    for role in set(Role) - {Role.OWNER}:
        assert role_id(role) == keccak(text=f"medseal.{role}")


def test_actions_are_numbered_as_in_the_contract() -> None:
    assert [action_number(action) for action in ("view", "classify", "share")] == [0, 1, 2]


# --- Terms ------------------------------------------------------------------------------------


@given(purposes)
def test_a_purpose_comes_back(purpose: str) -> None:
    value = pack_purpose(purpose)
    assert 0 <= value < 1 << 192
    assert unpack_purpose(value) == purpose


def test_the_first_letter_of_a_purpose_stands_lowest() -> None:
    assert pack_purpose("a9-") == 1 | 36 << 6 | 37 << 12
    assert pack_purpose("z0") == 26 | 27 << 6
    assert pack_purpose("") == 0


@pytest.mark.parametrize("purpose", ["A", "1a", "-a", "a b", "a" * 33, "a_b", None, "a\n"])
def test_other_purposes_are_refused(purpose: str) -> None:
    with pytest.raises(InputError, match="a purpose has letters a to z"):
        pack_purpose(purpose)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (-1, "192 bits"),
        (1 << 192, "192 bits"),
        (38, "no letter"),
        (1 | 1 << 12, "no letter"),
        (27, "begins with a letter"),
        (37, "begins with a letter"),
    ],
)
def test_values_that_no_purpose_has_are_refused(value: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        unpack_purpose(value)


@given(st.integers(0, (1 << 192) - 1))
def test_a_purpose_has_one_value(value: int) -> None:
    try:
        purpose = unpack_purpose(value)
    except InputError:
        return
    assert pack_purpose(purpose) == value


@given(grants)
def test_the_terms_of_a_grant_come_back(grant: Grant) -> None:
    terms = pack_terms(grant)
    assert terms >> 240 == action_number(grant.action)
    expected = NEVER_MS if grant.expires_ms is None else grant.expires_ms
    assert terms >> 192 & NEVER_MS == expected
    assert unpack_terms(terms, grant.account, grant.subject) == grant


def test_an_end_after_the_year_9999_is_none() -> None:
    grant = unpack_terms((MAX_GRANT_EXPIRY_MS + 1) << 192, PERSON, IMAGE)
    assert grant.expires_ms is None
    assert unpack_terms(MAX_GRANT_EXPIRY_MS << 192, PERSON, IMAGE).expires_ms == MAX_GRANT_EXPIRY_MS


@pytest.mark.parametrize("terms", [3 << 240, 0xFFFF << 240])
def test_terms_with_another_action_are_refused(terms: int) -> None:
    with pytest.raises(InputError, match="no such action"):
        unpack_terms(terms, PERSON, IMAGE)


# --- Calls ------------------------------------------------------------------------------------


def test_an_anchor_is_called_as_the_interface_has_it() -> None:
    root = bytes(range(32))
    assert anchor_call(root, 2**64 - 1) == abi_call("anchor", root, 2**64 - 1)


@pytest.mark.parametrize(
    ("root", "size"), [(b"", 1), (b"1" * 33, 1), (b"1" * 32, 0), (b"1" * 32, 2**64)]
)
def test_an_anchor_without_root_or_size_is_refused(root: bytes, size: int) -> None:
    with pytest.raises(InputError, match="a root of 32 bytes and a size"):
        anchor_call(root, size)


IMAGE_BYTES, DIGEST_BYTES = bytes.fromhex(IMAGE[7:]), bytes.fromhex(DIGEST[7:])
GATEWAY_ADDRESS, PERSON_ADDRESS = "0x" + GATEWAY, "0x" + "0" * 8 + PERSON
GRANT = Grant(account=PERSON, subject=IMAGE, action=Action.SHARE, purpose="care", expires_ms=5)


@pytest.mark.parametrize(
    ("event", "call"),
    [
        (
            role_event(PERSON, Role.RADIOLOGIST, RoleChange.ADD, actor=GATEWAY),
            ("grantRole", keccak(text="medseal.radiologist"), PERSON_ADDRESS),
        ),
        (
            role_event(GATEWAY, Role.REGISTRAR, RoleChange.REMOVE, actor=GATEWAY),
            ("revokeRole", keccak(text="medseal.registrar"), GATEWAY_ADDRESS),
        ),
        (
            role_event(GATEWAY, Role.OWNER, RoleChange.OFFER, actor=GATEWAY),
            ("beginDefaultAdminTransfer", GATEWAY_ADDRESS),
        ),
        (
            role_event(GATEWAY, Role.OWNER, RoleChange.CANCEL, actor=GATEWAY),
            ("cancelDefaultAdminTransfer",),
        ),
        (
            role_event(GATEWAY, Role.OWNER, RoleChange.ACCEPT, actor=GATEWAY),
            ("acceptDefaultAdminTransfer",),
        ),
        (
            grant_event(GRANT, actor=GATEWAY),
            ("grant", IMAGE_BYTES, PERSON_ADDRESS, pack_terms(GRANT)),
        ),
        (
            revoke_event(PERSON, IMAGE, Action.CLASSIFY, actor=GATEWAY),
            ("revoke", IMAGE_BYTES, PERSON_ADDRESS, 1),
        ),
        (
            revoke_event(PERSON, IMAGE, actor=GATEWAY),
            ("revokeAll", IMAGE_BYTES, PERSON_ADDRESS),
        ),
        (
            break_glass_event(IMAGE, DIGEST, actor=PERSON),
            ("breakGlass", IMAGE_BYTES, PERSON_ADDRESS, DIGEST_BYTES),
        ),
        (
            consent_event(IMAGE, "give", DIGEST, actor=GATEWAY),
            ("recordConsent", IMAGE_BYTES, True, DIGEST_BYTES),
        ),
        (
            consent_event(IMAGE, "withdraw", DIGEST, actor=GATEWAY),
            ("recordConsent", IMAGE_BYTES, False, DIGEST_BYTES),
        ),
        (pause_event("pause", actor=GATEWAY), ("pause",)),
        (pause_event("resume", actor=GATEWAY), ("unpause",)),
        (erase_event(IMAGE, actor=GATEWAY), ("erase", IMAGE_BYTES)),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_event_is_mirrored_as_the_interface_has_it(
    event: Event, call: tuple[object, ...]
) -> None:
    assert calls_of(event) == (abi_call(*call),)


def one_call(event: Event) -> bytes:
    (call,) = calls_of(event)
    return call


def test_calls_change_what_they_say_of_a_right() -> None:
    window = changed_by(one_call(break_glass_event(IMAGE, DIGEST, actor=PERSON)))
    parts = {
        action: changed_by(one_call(grant_event(replace(GRANT, action=action), actor=GATEWAY)))
        for action in Action
    }
    for action, part in parts.items():
        assert part == changed_by(one_call(revoke_event(PERSON, IMAGE, action, actor=GATEWAY)))
    every = [window, *parts.values()]
    assert all(len(part) == 1 for part in every)
    assert len(frozenset().union(*every)) == 4
    taken = changed_by(one_call(revoke_event(PERSON, IMAGE, actor=GATEWAY)))
    assert taken == frozenset().union(*every)


def test_of_everything_else_a_call_changes_all() -> None:
    role, pause, consent = (
        changed_by(one_call(event))
        for event in (
            role_event(PERSON, Role.RADIOLOGIST, RoleChange.ADD, actor=GATEWAY),
            pause_event("pause", actor=GATEWAY),
            consent_event(IMAGE, "give", DIGEST, actor=GATEWAY),
        )
    )
    assert role == pause == consent
    assert len(role) == 1


def test_the_gate_of_a_call_is_its_function_and_of_broken_glass_the_clinician_too() -> None:
    other = "sha256:" + "5b" * 32
    gates = {gate_of(one_call(grant_event(GRANT, actor=GATEWAY)))}
    gates.add(gate_of(one_call(grant_event(replace(GRANT, subject=other), actor=GATEWAY))))
    assert [len(gate) for gate in gates] == [4]
    broken = [one_call(break_glass_event(IMAGE, DIGEST, actor=who)) for who in (PERSON, GATEWAY)]
    assert len({gate_of(call) for call in broken}) == 2
    assert all(is_break_glass(call) for call in broken)
    assert not is_break_glass(one_call(grant_event(GRANT, actor=GATEWAY)))


def test_events_that_change_no_right_are_not_mirrored() -> None:
    assert calls_of(genesis_event(GATEWAY)) == ()
    changing = {"role", "grant", "revoke", "break-glass", "consent", "pause", "erase"}
    for kind in set(EventKind) - changing:
        assert calls_of(Event.new(kind, actor=GATEWAY, subject=IMAGE)) == ()


@pytest.mark.parametrize(
    ("kind", "details", "message"),
    [
        (EventKind.ROLE, {"account": PERSON, "role": "king", "change": "add"}, "unknown role"),
        (
            EventKind.ROLE,
            {"account": PERSON, "role": "auditor", "change": "offer"},
            "no such change",
        ),
        (EventKind.ROLE, {"account": PERSON, "role": "owner", "change": "add"}, "no such change"),
        (EventKind.ROLE, {"role": "auditor", "change": "add"}, "an account is 32"),
        (EventKind.GRANT, {"account": PERSON, "action": "all"}, "an action is view"),
        (
            EventKind.GRANT,
            {"account": PERSON, "action": "view", "expires_ms": "5"},
            "whole number of milliseconds",
        ),
        (EventKind.REVOKE, {"account": PERSON}, "an action is view"),
        (EventKind.BREAK_GLASS, {"reason": "fire"}, "a commitment is"),
        (EventKind.CONSENT, {"change": "perhaps", "consent": DIGEST}, "no such change"),
        (EventKind.CONSENT, {"change": "give"}, "a commitment is"),
        (EventKind.PAUSE, {"change": 1}, "no such change"),
    ],
)
def test_an_event_with_other_details_is_refused(
    kind: EventKind, details: dict[str, str | int], message: str
) -> None:
    event = Event.new(kind, actor=GATEWAY, subject=IMAGE, details=details)
    with pytest.raises(InputError, match=message):
        calls_of(event)


@pytest.mark.parametrize("kind", [EventKind.GRANT, EventKind.REVOKE, EventKind.ERASE])
def test_an_event_without_its_image_is_refused(kind: EventKind) -> None:
    event = Event.new(kind, actor=GATEWAY, details={"account": PERSON, "action": "view"})
    with pytest.raises(InputError, match="commitment"):
        calls_of(event)


def test_a_word_is_big_endian() -> None:
    assert word(258) == bytes(30) + b"\1\2"
