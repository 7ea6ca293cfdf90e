import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st

from medseal import errors
from medseal.digest import Digest
from medseal.errors import ConsentError, InputError
from medseal.ledger.consent import (
    MAX_CONSENT_BYTES,
    NO_NETWORK,
    Consent,
    ConsentDomain,
    SignedConsent,
    consent_commitment,
    new_patient_key,
    patient_address,
    sign_consent,
    verify_consent,
)
from medseal.ledger.rights import ConsentChange

VECTORS = Path(__file__).parents[1] / "vectors" / "consent"
IMAGE = "sha256:" + "aa" * 32
DOMAIN = ConsentDomain(chain_id=1337, contract="0x" + "7e" * 20)
KEY = bytes(31) + b"\x07"
T = 1_700_000_000_000

consents = st.builds(
    Consent,
    subject=st.binary(min_size=32, max_size=32).map(lambda value: f"sha256:{value.hex()}"),
    change=st.sampled_from(ConsentChange),
    purpose=st.just("") | st.from_regex(r"\A[a-z][a-z0-9-]{0,31}\Z"),
    issued_ms=st.integers(0, 253_402_300_799_999),
    nonce=st.binary(min_size=32, max_size=32).map(bytes.hex),
)
domains = st.builds(
    ConsentDomain,
    chain_id=st.integers(0, 2**53 - 1),
    contract=st.binary(min_size=20, max_size=20).map(lambda value: f"0x{value.hex()}"),
)


def make(**changes: Any) -> Consent:
    fields = {"subject": IMAGE, "change": "withdraw", "purpose": "study-7", "issued_ms": T}
    return Consent(**(fields | changes))


def typed_digest(consent: Consent, domain: ConsentDomain) -> bytes:
    """EIP-712 by hand: nothing of eth_account, nothing of the package but the fields."""

    def word(value: int) -> bytes:
        return value.to_bytes(32, "big")

    separator = keccak(
        keccak(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        )
        + keccak(b"medseal consent")
        + keccak(b"1")
        + word(domain.chain_id)
        + word(int(domain.contract, 16))
    )
    struct = keccak(
        keccak(b"Consent(bytes32 subject,bool given,string purpose,uint64 issuedMs,bytes32 nonce)")
        + bytes.fromhex(consent.subject[7:])
        + word(int(consent.change == "give"))
        + keccak(consent.purpose.encode())
        + word(consent.issued_ms)
        + bytes.fromhex(consent.nonce)
    )
    return bytes(keccak(b"\x19\x01" + separator + struct))


@pytest.mark.parametrize("path", sorted(VECTORS.glob("*.json")), ids=lambda path: path.stem)
def test_vectors(path: Path) -> None:
    vector = json.loads(path.read_text())
    data = vector["file"].encode()
    domain = ConsentDomain(chain_id=vector["chain_id"], contract=vector["contract"])
    if vector["expect"] != "success":
        with pytest.raises(getattr(errors, vector["expect"]), match=vector["message"]):
            verify_consent(data, vector["signer"], domain)
        return
    consent = verify_consent(data, vector["signer"], domain)
    assert typed_digest(consent, domain).hex() == vector["digest"]
    signed = SignedConsent.parse(data)
    assert signed.to_bytes() == data
    salt = bytes.fromhex(vector["salt"])
    assert str(consent_commitment(signed, salt)) == vector["commitment"]
    # Signatures are deterministic (RFC 6979): two implementations give the same bytes.
    assert sign_consent(consent, domain, KEY) == signed


def test_there_are_vectors() -> None:
    assert len(list(VECTORS.glob("valid_*.json"))) >= 4
    assert len(list(VECTORS.glob("*.json"))) >= 25


@given(consents, domains, st.binary(min_size=32, max_size=32))
def test_what_is_signed_is_verified_and_committed_to(
    consent: Consent, domain: ConsentDomain, salt: bytes
) -> None:
    signed = sign_consent(consent, domain, KEY)
    data = signed.to_bytes()
    assert len(data) <= MAX_CONSENT_BYTES
    assert SignedConsent.parse(data) == signed
    assert verify_consent(data, patient_address(KEY), domain) == consent
    preimage = (
        b"medseal/consent-commitment/v1\x00"
        + salt
        + typed_digest(consent, domain)
        + signed.signature
    )
    assert consent_commitment(signed, salt) == Digest.plain(preimage)


# Of another form, and of the right form: r, s in the lower half, 27 or 28.
signatures = st.binary(max_size=80) | st.builds(
    lambda r, s, last: r + bytes([s[0] & 0x7E]) + s[1:] + last,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=32, max_size=32),
    st.sampled_from([b"\x1b", b"\x1c"]),
)


@given(consents, signatures)
def test_no_other_signature_verifies(consent: Consent, signature: bytes) -> None:
    address = patient_address(KEY)
    with pytest.raises((ConsentError, InputError), match=r"signature|not signed|leads to no key"):
        verify_consent(
            SignedConsent(consent=consent, domain=DOMAIN, signature=signature), address, DOMAIN
        )


def test_a_statement_counts_in_one_place_and_for_one_key() -> None:
    signed, address = sign_consent(make(), DOMAIN, KEY), patient_address(KEY)
    for domain in (
        NO_NETWORK,
        replace(DOMAIN, chain_id=1),
        replace(DOMAIN, contract="0x" + "0" * 40),
    ):
        with pytest.raises(ConsentError, match="another contract or chain"):
            verify_consent(signed, address, domain)
        # Nor does it help to relabel it.
        with pytest.raises(ConsentError, match="not signed with the key"):
            verify_consent(replace(signed, domain=domain), address, domain)
    with pytest.raises(ConsentError, match="not signed with the key"):
        verify_consent(signed, patient_address(new_patient_key()), DOMAIN)
    with pytest.raises(InputError, match="lower-case address"):
        verify_consent(signed, address.upper(), DOMAIN)


def test_a_commitment_tells_nothing_without_its_salt() -> None:
    signed = sign_consent(make(), DOMAIN, KEY)
    made = {consent_commitment(signed, bytes([number]) * 32) for number in range(8)}
    assert len(made) == 8
    other = sign_consent(make(), DOMAIN, KEY)
    assert consent_commitment(other, bytes(32)) != consent_commitment(signed, bytes(32))
    with pytest.raises(InputError, match="32 bytes"):
        consent_commitment(signed, bytes(31))


def test_keys_are_fresh_and_are_never_repeated_in_an_error() -> None:
    assert len({new_patient_key() for _ in range(20)}) == 20
    assert patient_address(KEY) == json.loads((VECTORS / "valid_give.json").read_text())["signer"]
    for key in (b"", bytes(32), b"\xff" * 32, KEY + b"\0"):
        with pytest.raises(InputError, match="a patient's key is 32 bytes") as caught:
            sign_consent(make(), DOMAIN, key)
        assert caught.value.__cause__ is None
        assert not key or key.hex() not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": ""}, "commitment"),
        ({"subject": None}, "commitment"),
        ({"change": "perhaps"}, "given or withdrawn"),
        ({"change": None}, "given or withdrawn"),
        ({"purpose": "two words"}, "a purpose has"),
        ({"purpose": "Doe^Jane"}, "a purpose has"),
        ({"issued_ms": -1}, "milliseconds"),
        ({"issued_ms": 1.0}, "milliseconds"),
        ({"issued_ms": True}, "milliseconds"),
        ({"issued_ms": 253_402_300_800_000}, "milliseconds"),
        ({"nonce": "0b" * 31}, "64 hexadecimal"),
        ({"nonce": "0B" * 32}, "64 hexadecimal"),
    ],
)
def test_what_is_no_statement_is_refused(changes: dict[str, Any], message: str) -> None:
    assert make().change is ConsentChange.WITHDRAW
    with pytest.raises(InputError, match=message):
        make(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chain_id": -1}, "53 bits"),
        ({"chain_id": 2**53}, "53 bits"),
        ({"chain_id": True}, "53 bits"),
        ({"contract": "7e" * 20}, "lower-case address"),
        ({"contract": "0x" + "7E" * 20}, "lower-case address"),
        ({"contract": None}, "lower-case address"),
    ],
)
def test_what_is_no_place_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ConsentDomain(**({"chain_id": 1, "contract": "0x" + "7e" * 20} | changes))


@given(st.binary(max_size=300))
def test_garbage_never_escapes_the_tree_of_errors(data: bytes) -> None:
    with pytest.raises(ConsentError, match=r"consent|kind"):
        SignedConsent.parse(b"medseal-consent/v1\n" + data)


def test_the_ledger_loads_no_library_of_a_network() -> None:
    code = (
        "import sys, medseal.ledger, medseal.ledger.consent\n"
        "print({'eth_account', 'eth_utils', 'eth_keys', 'web3'} & set(sys.modules))"
    )
    shown = subprocess.run(  # noqa: S603 - this Python
        [sys.executable, "-c", code], capture_output=True, check=True, text=True
    )
    assert shown.stdout == "set()\n"
