"""Salted commitments: the only trace of an image that reaches the ledger."""

import hashlib
import hmac
import secrets

from medseal.digest import Digest
from medseal.errors import DigestMismatchError, InputError

__all__ = ["COMMITMENT_VERSION", "SALT_BYTES", "check_commitment", "commit", "new_salt"]

SALT_BYTES = 32
COMMITMENT_VERSION = 1
_PREFIX = bytes([0x00, COMMITMENT_VERSION])


def new_salt() -> bytes:
    """Return 32 random bytes; who deletes them makes the commitment meaningless for ever."""
    return secrets.token_bytes(SALT_BYTES)


def commit(salt: bytes, values: Digest, metadata: Digest) -> Digest:
    """Return the commitment to an image: SHA-256(0x00, version, salt, values, metadata).

    All parts have a fixed length, so the concatenation has one reading only. Without the salt the
    result says nothing about the image, not even to somebody who has the image.

    Parameters
    ----------
    salt
        32 random bytes, one salt an image.
    values
        Digest of the stored values.
    metadata
        Digest of the canonical metadata.

    Raises
    ------
    InputError
        The salt has another length.
    """
    if len(salt) != SALT_BYTES:
        raise InputError(f"a commitment salt has {SALT_BYTES} bytes, not {len(salt)}")
    return Digest(hashlib.sha256(_PREFIX + salt + values.value + metadata.value).digest())


def check_commitment(expected: Digest, salt: bytes, values: Digest, metadata: Digest) -> None:
    """Return if the opening fits the commitment; the comparison takes constant time.

    Raises
    ------
    DigestMismatchError
        Salt, values and metadata do not give `expected`.
    InputError
        The salt has another length than 32 bytes.
    """
    actual = commit(salt, values, metadata)
    if not hmac.compare_digest(actual.value, expected.value):
        raise DigestMismatchError(
            "the opening does not fit the commitment: another image, salt or metadata",
            expected=str(expected),
            actual=str(actual),
        )
