"""Write the vectors of the consent; shares no code with the package, nor with eth_account.

Run ``python tests/vectors/consent/generate.py``. Keys, nonces and times are fixed and signatures
follow RFC 6979, so a run that changes a file shows a change of the format.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

from coincurve import PrivateKey
from eth_hash.auto import keccak

VECTORS = Path(__file__).parent
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
VERSION = "medseal-consent/v1\n"
KEY, OTHER_KEY = bytes(31) + b"\x07", bytes(31) + b"\x08"
CHAIN_ID, CONTRACT = 1337, "7e" * 20
SUBJECT, NONCE = "aa" * 32, "0b" * 32
T = 1_700_000_000_000


def word(value: int) -> bytes:
    return value.to_bytes(32, "big")


def typed_digest(fields: dict[str, Any]) -> bytes:
    """EIP-712, written out."""
    domain = keccak(
        keccak(
            b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        )
        + keccak(b"medseal consent")
        + keccak(b"1")
        + word(fields["chain_id"])
        + word(int(fields["contract"], 16))
    )
    struct = keccak(
        keccak(b"Consent(bytes32 subject,bool given,string purpose,uint64 issuedMs,bytes32 nonce)")
        + bytes.fromhex(fields["subject"][7:])
        + word(int(fields["change"] == "give"))
        + keccak(fields["purpose"].encode())
        + word(fields["issued_ms"])
        + bytes.fromhex(fields["nonce"])
    )
    return bytes(keccak(b"\x19\x01" + domain + struct))


def signature(fields: dict[str, Any], key: bytes = KEY) -> bytes:
    signed = PrivateKey(key).sign_recoverable(typed_digest(fields), hasher=None)
    return signed[:64] + bytes([27 + signed[64]])


def address(key: bytes) -> str:
    return "0x" + keccak(PrivateKey(key).public_key.format(compressed=False)[1:])[-20:].hex()


def statement(**changes: Any) -> dict[str, Any]:
    fields = {
        "chain_id": CHAIN_ID,
        "change": "withdraw",
        "contract": "0x" + CONTRACT,
        "issued_ms": T,
        "nonce": NONCE,
        "purpose": "study-7",
        "subject": "sha256:" + SUBJECT,
    }
    return {**fields, **changes}


def file_of(fields: dict[str, Any], signed: bytes | None = None) -> str:
    digits = (signature(fields) if signed is None else signed).hex()
    content = {**fields, "signature": digits}
    return VERSION + json.dumps(content, sort_keys=True, separators=(",", ":"))


def write(name: str, **vector: Any) -> None:
    common = {"signer": address(KEY), "chain_id": CHAIN_ID, "contract": "0x" + CONTRACT}
    text = json.dumps(common | vector, indent=2) + "\n"
    (VECTORS / f"{name}.json").write_text(text)


def write_valid() -> None:
    for name, fields in (
        ("valid_withdraw", statement()),
        ("valid_give", statement(change="give")),
        ("valid_any_purpose", statement(purpose="")),
        (
            "valid_without_network",
            statement(chain_id=0, contract="0x" + "0" * 40, issued_ms=253_402_300_799_999),
        ),
    ):
        digest, signed, salt = typed_digest(fields), signature(fields), bytes(range(32))
        parts = b"medseal/consent-commitment/v1\x00" + salt + digest + signed
        domain = {"chain_id": fields["chain_id"], "contract": fields["contract"]}
        write(
            name,
            **domain,
            expect="success",
            file=file_of(fields),
            digest=digest.hex(),
            salt=salt.hex(),
            commitment=f"sha256:{hashlib.sha256(parts).hexdigest()}",
        )


def write_invalid() -> None:
    good = statement()
    signed, text = signature(good), file_of(good)
    s = int.from_bytes(signed[32:64], "big")
    upper = signed[:32] + word(ORDER - s) + bytes([27 + 28 - signed[64]])
    own_key, nowhere = "not signed with the key of this patient", "leads to no key"
    bad: dict[str, tuple[str, str]] = {
        "other_key": (file_of(good, signature(good, OTHER_KEY)), own_key),
        "given_instead": (file_of(statement(change="give"), signed), own_key),
        "other_image": (file_of(statement(subject="sha256:" + "ab" * 32), signed), own_key),
        "other_purpose": (file_of(statement(purpose="study-8"), signed), own_key),
        "other_time": (file_of(statement(issued_ms=T + 1), signed), own_key),
        "other_nonce": (file_of(statement(nonce="0c" * 32), signed), own_key),
        "point_off_the_curve": (file_of(good, word(5) + signed[32:]), nowhere),
        "other_chain": (file_of(statement(chain_id=1)), "another contract or chain"),
        "other_contract": (
            file_of(statement(contract="0x" + "7f" * 20)),
            "another contract or chain",
        ),
        "upper_half": (file_of(good, upper), "signature of a consent has another form"),
        "recovery_number_0": (
            file_of(good, signed[:64] + bytes([signed[64] - 27])),
            "signature of a consent has another form",
        ),
        "signature_zero": (
            file_of(good, bytes(64) + b"\x1b"),
            "signature of a consent has another form",
        ),
        "signature_short": (file_of(good, signed[:64]), "130 digits"),
        "signature_prefixed": (
            text.replace('"signature":"', '"signature":"0x'),
            "130 digits",
        ),
        "other_version": (text.replace("/v1", "/v2"), "another kind or version"),
        "white_space": (text.replace('":', '": ', 1), "malformed"),
        "trailing_newline": (text + "\n", "malformed"),
        "field_missing": (text.replace('"purpose":"study-7",', ""), "lacks a field"),
        "field_added": (text.replace('"subject"', '"signer":"","subject"'), "one too many"),
        "too_long": (text + " " * 1024, "at most 1024"),
        "free_text": (text.replace("study-7", "for Jane Doe"), "a purpose has"),
        "change_unknown": (text.replace("withdraw", "pause"), "given or withdrawn"),
        "time_as_text": (text.replace(f'"issued_ms":{T}', f'"issued_ms":"{T}"'), "milliseconds"),
        "address_in_capitals": (text.replace("0x7e", "0x7E"), "lower-case address"),
        "not_a_mapping": (VERSION + "[]", "lacks a field"),
    }
    for name, (data, message) in bad.items():
        write(name, expect="ConsentError", message=message, file=data)


if __name__ == "__main__":
    write_valid()
    write_invalid()
