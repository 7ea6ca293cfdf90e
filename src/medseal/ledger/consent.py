"""Consent: what a patient has signed as EIP-712 data; the ledger sees its commitment alone."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from medseal.digest import Digest, JsonValue, canonical_json, parse_canonical_json
from medseal.errors import ConsentError, InputError
from medseal.ledger.commitment import SALT_BYTES
from medseal.ledger.ethereum.stack import recursion_limit_kept
from medseal.ledger.grants import checked_purpose, checked_subject
from medseal.ledger.rights import ConsentChange

__all__ = [
    "MAX_CONSENT_BYTES",
    "NO_NETWORK",
    "Consent",
    "ConsentDomain",
    "SignedConsent",
    "checked_nonce",
    "checked_signer",
    "checked_time_ms",
    "consent_commitment",
    "new_patient_key",
    "parse_fields",
    "patient_address",
    "sign_consent",
    "verify_consent",
]

# First line of every file; docs/spec/consent.md.
_VERSION = b"medseal-consent/v1\n"
_COMMITMENT_DOMAIN = b"medseal/consent-commitment/v1\x00"
MAX_CONSENT_BYTES = 1024
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_NONCE = re.compile(r"[0-9a-f]{64}")
_SIGNATURE = re.compile(r"[0-9a-f]{130}")
_MAX_AT_MS = 253_402_300_799_999
_KEY_BYTES = 32
# Order of secp256k1. With s in the lower half a statement has one signature, not two (EIP-2).
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_TYPES = {
    "Consent": [
        {"name": "subject", "type": "bytes32"},
        {"name": "given", "type": "bool"},
        {"name": "purpose", "type": "string"},
        {"name": "issuedMs", "type": "uint64"},
        {"name": "nonce", "type": "bytes32"},
    ],
}


def _match(pattern: re.Pattern[str], value: object, message: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise InputError(message)
    return value


def checked_signer(value: object) -> str:
    """Return the address of a patient's key; raise `InputError` for anything else."""
    return _match(_ADDRESS, value, "a signer is known by the lower-case address of the key")


def checked_nonce(value: object) -> str:
    """Return the nonce of a statement; raise `InputError` for anything else."""
    return _match(_NONCE, value, "the nonce of a consent is 64 hexadecimal digits")


def checked_time_ms(value: object) -> int:
    """Return milliseconds since 1970; raise `InputError` for anything else."""
    if type(value) is not int or not 0 <= value <= _MAX_AT_MS:
        raise InputError("issued_ms counts milliseconds since 1970, up to the year 9999")
    return value


def parse_fields(data: bytes, version: bytes, limit: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the fields of a version line and canonical JSON."""
    if len(data) > limit:
        raise ConsentError(f"a file of this kind has at most {limit} bytes")
    if not data.startswith(version):
        raise ConsentError("the file is of another kind or version")
    try:
        value = parse_canonical_json(data[len(version) :])
    except InputError as error:
        raise ConsentError(f"malformed consent: {error}") from None
    if not isinstance(value, dict) or value.keys() != set(names):
        raise ConsentError("the consent lacks a field or has one too many")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentDomain:
    """Where a statement counts: the contract that judges, or `NO_NETWORK`.

    Attributes
    ----------
    chain_id
        Number of the chain; 0 without a network.
    contract
        Address, ``0x`` and 40 lower-case hexadecimal digits; zeros without a network.
    """

    chain_id: int
    contract: str

    def __post_init__(self) -> None:
        if type(self.chain_id) is not int or not 0 <= self.chain_id < 2**53:
            raise InputError("a chain id is a whole number of 53 bits")
        _match(_ADDRESS, self.contract, "a contract is named by its lower-case address")


# A ledger in one file; the salted commitment of the image ties a statement to that ledger.
NO_NETWORK = ConsentDomain(chain_id=0, contract="0x" + "0" * 40)


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What a patient states about research with one image.

    Attributes
    ----------
    subject
        Commitment of the image, ``sha256:`` and 64 hexadecimal digits.
    change
        Whether the consent is given or withdrawn.
    purpose
        Code from a published list; empty for research of any kind.
    issued_ms
        When it was signed, by the patient's clock, in milliseconds since 1970 UTC.
    nonce
        64 hexadecimal digits, random.

    Raises
    ------
    InputError
        A field has another form.
    """

    subject: str
    change: ConsentChange
    purpose: str = ""
    issued_ms: int
    nonce: str = field(default_factory=lambda: secrets.token_hex(32))

    def __post_init__(self) -> None:
        checked_subject(self.subject)
        checked_purpose(self.purpose)
        if self.change not in list(ConsentChange):
            raise InputError("a consent is given or withdrawn")
        object.__setattr__(self, "change", ConsentChange(self.change))
        checked_time_ms(self.issued_ms)
        checked_nonce(self.nonce)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedConsent:
    """A statement and its signature; `verify_consent` decides whether it holds.

    Attributes
    ----------
    consent
        What was signed; not to be used before it is verified.
    domain
        Where it counts.
    signature
        65 bytes: r, s in the lower half of the order, and 27 or 28.

    Raises
    ------
    InputError
        The signature has another form.
    """

    consent: Consent
    domain: ConsentDomain
    signature: bytes

    def __post_init__(self) -> None:
        r, s = (int.from_bytes(self.signature[start : start + 32]) for start in (0, 32))
        last = self.signature[64:]
        if last not in (b"\x1b", b"\x1c") or not 0 < r < _ORDER or not 0 < s <= _ORDER // 2:
            raise InputError("the signature of a consent has another form")

    def to_bytes(self) -> bytes:
        """Return the file: a version line and canonical JSON."""
        said = self.consent
        fields: dict[str, JsonValue] = {
            "chain_id": self.domain.chain_id,
            "change": str(said.change),
            "contract": self.domain.contract,
            "issued_ms": said.issued_ms,
            "nonce": said.nonce,
            "purpose": said.purpose,
            "signature": self.signature.hex(),
            "subject": said.subject,
        }
        return _VERSION + canonical_json(fields)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the parts of a file; nothing in it is verified yet.

        Raises
        ------
        ConsentError
            Not a file in exactly the form that `to_bytes` writes.
        """
        names = ("chain_id", "change", "contract", "issued_ms", "nonce", "purpose")
        fields = parse_fields(data, _VERSION, MAX_CONSENT_BYTES, (*names, "signature", "subject"))
        try:
            said = ("change", "issued_ms", "nonce", "purpose", "subject")
            digits = _match(_SIGNATURE, fields["signature"], "a signature is 130 digits")
            return cls(
                consent=Consent(**{name: fields[name] for name in said}),
                domain=ConsentDomain(chain_id=fields["chain_id"], contract=fields["contract"]),
                signature=bytes.fromhex(digits),
            )
        except InputError as error:
            raise ConsentError(f"malformed consent: {error}") from None


def _signable(consent: Consent, domain: ConsentDomain) -> Any:
    """Return the statement as EIP-712 typed data."""
    with recursion_limit_kept():
        from eth_account.messages import encode_typed_data  # noqa: PLC0415 - extra `network`

    return encode_typed_data(
        domain_data={
            "name": "medseal consent",
            "version": "1",
            "chainId": domain.chain_id,
            "verifyingContract": domain.contract,
        },
        message_types=_TYPES,
        message_data={
            "subject": bytes.fromhex(consent.subject.removeprefix("sha256:")),
            "given": consent.change is ConsentChange.GIVE,
            "purpose": consent.purpose,
            "issuedMs": consent.issued_ms,
            "nonce": bytes.fromhex(consent.nonce),
        },
    )


def _typed_digest(consent: Consent, domain: ConsentDomain) -> bytes:
    """Return keccak256(0x19 || version || domain separator || struct hash)."""
    from eth_utils.crypto import keccak  # noqa: PLC0415 - extra `network`

    typed = _signable(consent, domain)
    digest: bytes = keccak(b"\x19" + typed.version + typed.header + typed.body)
    return digest


def new_patient_key() -> bytes:
    """Return a key for the relation to one patient: 32 random bytes, never used on a chain."""
    return (secrets.randbelow(_ORDER - 1) + 1).to_bytes(_KEY_BYTES)


def _account(key: bytes) -> Any:
    with recursion_limit_kept():
        from eth_account import Account  # noqa: PLC0415 - extra `network`

    if len(key) != _KEY_BYTES or not 0 < int.from_bytes(key) < _ORDER:
        # Without the cause, which could repeat the key.
        raise InputError("a patient's key is 32 bytes, a number below the order of the curve")
    return Account.from_key(key)


def patient_address(key: bytes) -> str:
    """Return the address by which a consent service knows a key; it never reaches a ledger.

    Raises
    ------
    InputError
        Not a key.
    """
    address: str = _account(key).address
    return address.lower()


def sign_consent(consent: Consent, domain: ConsentDomain, key: bytes) -> SignedConsent:
    """Return a statement with the patient's signature.

    Parameters
    ----------
    consent
        What is stated.
    domain
        Where it counts.
    key
        32 bytes of the key made for this one patient.

    Raises
    ------
    InputError
        Not a key.
    """
    signed = _account(key).sign_message(_signable(consent, domain))
    return SignedConsent(consent=consent, domain=domain, signature=bytes(signed.signature))


def verify_consent(signed: SignedConsent | bytes, signer: str, domain: ConsentDomain) -> Consent:
    """Return what a patient has signed.

    Parameters
    ----------
    signed
        The statement or the bytes of its file.
    signer
        Address that the consent service keeps for this patient, ``0x`` and 40 lower-case digits.
    domain
        Where the statement has to count.

    Raises
    ------
    ConsentError
        Malformed, for another ledger, or not signed with the key of this patient.
    InputError
        `signer` is no address.
    """
    with recursion_limit_kept():
        from eth_account import Account  # noqa: PLC0415 - extra `network`
        from eth_keys.exceptions import BadSignature  # noqa: PLC0415 - extra `network`

    checked_signer(signer)
    # 1. Structure.
    if not isinstance(signed, SignedConsent):
        signed = SignedConsent.parse(signed)
    # 2. For this ledger.
    if signed.domain != domain:
        raise ConsentError("the consent was signed for another contract or chain")
    # 3. By this patient.
    typed = _signable(signed.consent, signed.domain)
    try:
        found: str = Account.recover_message(typed, signature=signed.signature)
    except BadSignature:
        raise ConsentError("the signature of the consent leads to no key") from None
    if not hmac.compare_digest(found.lower(), signer):
        raise ConsentError("the consent was not signed with the key of this patient")
    # 4. Only now use it.
    return signed.consent


def consent_commitment(signed: SignedConsent, salt: bytes) -> Digest:
    """Return the commitment to a signed statement, all that reaches a ledger.

    SHA-256(domain || salt || EIP-712 digest || signature); all parts have a fixed length.

    Parameters
    ----------
    signed
        The statement; verify it first.
    salt
        32 random bytes of its own, kept beside the statement; see `medseal.ledger.new_salt`.

    Raises
    ------
    InputError
        The salt has another length.
    """
    if len(salt) != SALT_BYTES:
        raise InputError(f"a commitment salt has {SALT_BYTES} bytes, not {len(salt)}")
    digest = _typed_digest(signed.consent, signed.domain)
    return Digest(hashlib.sha256(_COMMITMENT_DOMAIN + salt + digest + signed.signature).digest())
