"""Keys of a fingerprint: one for each image and purpose, and the pair that signs."""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from medseal.errors import FingerprintError

__all__ = [
    "KEY_BYTES",
    "SIGNATURE_BYTES",
    "SIGNER_BYTES",
    "TAG_BYTES",
    "check_key",
    "image_key",
    "record_tag",
    "sign",
    "signer_of",
    "sub_key",
    "verify_signature",
]

KEY_BYTES = 32
"""Bytes of a fingerprint key and of every key derived from it."""

SIGNER_BYTES = 32
"""Bytes of the public key that signs."""

SIGNATURE_BYTES = 64
TAG_BYTES = 16
_KEY_PERSON = b"medseal-fp-key2"
_SUB_KEY_PERSON = b"medseal-fp-sub2"
_TAG_PERSON = b"medseal-fp-tag2"
_SIGN_PERSON = b"medseal-fp-sign"


def check_key(key: bytes) -> None:
    """Refuse what is no fingerprint key.

    Raises
    ------
    FingerprintError
        Not 32 bytes.
    """
    if not isinstance(key, bytes) or len(key) != KEY_BYTES:
        raise FingerprintError(f"a fingerprint key has {KEY_BYTES} bytes")


def image_key(key: bytes, salt: bytes) -> bytes:
    """Return the key of one image: 32 bytes; the salt is that of its record."""
    check_key(key)
    return hashlib.blake2b(salt, key=key, digest_size=KEY_BYTES, person=_KEY_PERSON).digest()


def sub_key(key_of_image: bytes, purpose: bytes) -> bytes:
    """Return a key for one purpose from the key of an image: 32 bytes."""
    return hashlib.blake2b(
        purpose, key=key_of_image, digest_size=KEY_BYTES, person=_SUB_KEY_PERSON
    ).digest()


def record_tag(data: bytes, key_of_image: bytes) -> bytes:
    """Return the MAC over a record: 16 bytes."""
    return hashlib.blake2b(
        data, key=key_of_image, digest_size=TAG_BYTES, person=_TAG_PERSON
    ).digest()


def _signing_key(key: bytes) -> Ed25519PrivateKey:
    check_key(key)
    seed = hashlib.blake2b(key=key, digest_size=KEY_BYTES, person=_SIGN_PERSON).digest()
    return Ed25519PrivateKey.from_private_bytes(seed)


def signer_of(key: bytes) -> bytes:
    """Return the public key that signs the records made with a fingerprint key: 32 bytes.

    Raises
    ------
    FingerprintError
        The key has not 32 bytes.
    """
    return _signing_key(key).public_key().public_bytes_raw()


def sign(data: bytes, key: bytes) -> bytes:
    """Return the signature under the pair of a fingerprint key: 64 bytes; RFC 8032, Ed25519."""
    return _signing_key(key).sign(data)


def verify_signature(data: bytes, signature: bytes, signer: bytes) -> None:
    """Refuse data that the signer did not sign.

    Raises
    ------
    FingerprintError
        The signature does not fit, or the signer is no public key.
    """
    try:
        Ed25519PublicKey.from_public_bytes(signer).verify(signature, data)
    except (InvalidSignature, ValueError):
        message = "the fingerprint is damaged: its signature does not fit"
        raise FingerprintError(message) from None
