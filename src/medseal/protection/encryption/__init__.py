"""Encryption: sealed packages and the keystore; no security claim rests on a learned method."""

from medseal.protection.encryption.header import Header, ScryptWrap, X25519Wrap
from medseal.protection.encryption.keys import (
    Identity,
    PassphraseIdentity,
    PassphraseRecipient,
    Recipient,
)
from medseal.protection.encryption.keystore import Keystore
from medseal.protection.encryption.package import SealedPackage, open, rewrap, seal

__all__ = [
    "Header",
    "Identity",
    "Keystore",
    "PassphraseIdentity",
    "PassphraseRecipient",
    "Recipient",
    "ScryptWrap",
    "SealedPackage",
    "X25519Wrap",
    "open",
    "rewrap",
    "seal",
]
