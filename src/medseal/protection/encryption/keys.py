"""Recipients and identities: who can unwrap a file key, and the keys derived from it.

X25519 (RFC 7748) for people and machines, scrypt (RFC 7914) for a passphrase, HKDF-SHA256
(RFC 5869) for every derived key, AES-256-GCM for each wrap. Secrets come from the operating
system and never show in a `repr`. No security claim rests on a learned method.
"""

import hmac
import secrets
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from medseal.errors import (
    HeaderFormatError,
    InputError,
    NoMatchingIdentityError,
    WrongPassphraseError,
)
from medseal.protection.encryption import bech32
from medseal.protection.encryption.header import (
    MAX_SCRYPT_LOG_N,
    MIN_SCRYPT_LOG_N,
    POINT_BYTES,
    SALT_BYTES,
    Header,
    ScryptWrap,
    Wrap,
    X25519Wrap,
    is_usable_point,
)

__all__ = [
    "DEFAULT_SCRYPT_LOG_N",
    "MAX_PASSPHRASE_CHARACTERS",
    "Identity",
    "PassphraseIdentity",
    "PassphraseRecipient",
    "Recipient",
    "header_mac",
    "payload_key",
]

# 64 MiB and about 0.15 s on one core of 2024: slow for a guesser, bearable for an owner.
DEFAULT_SCRYPT_LOG_N = 16
MAX_PASSPHRASE_CHARACTERS = 1024

_KEY_BYTES = 32
_SCRYPT_R = 8
_SCRYPT_P = 1
_RECIPIENT_PREFIX = "medseal"
_IDENTITY_PREFIX = "medseal-secret-"
_X25519_LABEL = b"medseal/package/v1/x25519"
_SCRYPT_LABEL = b"medseal/package/v1/scrypt"
_HEADER_LABEL = b"medseal/package/v1/header"
_PAYLOAD_LABEL = b"medseal/package/v1/payload"
# Each wrap key seals one file key and nothing else, so its nonce may be constant.
_WRAP_NONCE = bytes(12)


def _derive(secret: bytes, *, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256."""
    return HKDF(SHA256(), _KEY_BYTES, salt, info).derive(secret)


def header_mac(file_key: bytes, header: bytes) -> bytes:
    """Return the HMAC-SHA256 of an encoded header, 32 bytes."""
    return hmac.digest(_derive(file_key, salt=b"", info=_HEADER_LABEL), header, "sha256")


def payload_key(file_key: bytes, header: Header) -> bytes:
    """Return the AES-256 key of the payload, 32 bytes.

    It binds everything in the header but the wraps, so that wraps can be exchanged and nothing
    else can.
    """
    info = _PAYLOAD_LABEL + header.core_bytes()
    return _derive(file_key, salt=header.payload_nonce, info=info)


def _x25519_wrap_key(private: X25519PrivateKey, peer: bytes, *, salt: bytes) -> bytes:
    """Return the key that seals a file key between an ephemeral key and a recipient."""
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(peer))
    except ValueError:
        # OpenSSL's own check for the all-zero secret, behind `is_usable_point`.
        raise HeaderFormatError("an X25519 exchange gave the all-zero secret") from None
    return _derive(shared, salt=salt, info=_X25519_LABEL)


@dataclass(frozen=True, slots=True, repr=False)
class Recipient:
    """Somebody for whom a package can be sealed: an X25519 public key.

    Attributes
    ----------
    public_key
        32 bytes, canonical and not of low order.
    """

    public_key: bytes

    def __post_init__(self) -> None:
        if len(self.public_key) != POINT_BYTES or not is_usable_point(self.public_key):
            raise InputError("this is not a usable X25519 public key; ask for the recipient again")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the recipient written as ``medseal1...``.

        Raises
        ------
        InputError
            The text is no recipient or has a typing error.
        """
        return cls(bech32.decode(text, prefix=_RECIPIENT_PREFIX, length_bytes=POINT_BYTES))

    def wrap(self, file_key: bytes) -> X25519Wrap:
        """Return the file key sealed for this recipient, different at each call."""
        ephemeral = X25519PrivateKey.generate()
        public = ephemeral.public_key().public_bytes_raw()
        key = _x25519_wrap_key(ephemeral, self.public_key, salt=public + self.public_key)
        sealed = AESGCM(key).encrypt(_WRAP_NONCE, file_key, None)
        return X25519Wrap(ephemeral=public, sealed_key=sealed)

    def __str__(self) -> str:
        return bech32.encode(_RECIPIENT_PREFIX, self.public_key)

    def __repr__(self) -> str:
        return f"Recipient.parse({str(self)!r})"


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Identity:
    """The secret half of a recipient.

    Attributes
    ----------
    secret_key
        32 bytes; never shown by `repr`.
    recipient
        The public half.
    """

    secret_key: bytes
    recipient: Recipient = field(init=False)
    _private: X25519PrivateKey = field(init=False)

    def __post_init__(self) -> None:
        if len(self.secret_key) != POINT_BYTES:
            raise InputError(f"an identity has {POINT_BYTES} secret bytes")
        private = X25519PrivateKey.from_private_bytes(self.secret_key)
        object.__setattr__(self, "_private", private)
        object.__setattr__(self, "recipient", Recipient(private.public_key().public_bytes_raw()))

    @classmethod
    def generate(cls) -> Self:
        """Return a new identity from the operating system's randomness."""
        return cls(secrets.token_bytes(POINT_BYTES))

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Return the identity written as ``MEDSEAL-SECRET-1...``.

        Raises
        ------
        InputError
            The text is no identity or has a typing error; the message does not repeat it.
        """
        # The upper case keeps a secret from being taken for a recipient at a glance.
        # ASCII only: the Kelvin sign would otherwise be a second spelling of K.
        if not text.isascii() or text != text.upper():
            raise InputError("the text of an identity is written in capital letters")
        lower = text.lower()
        return cls(bech32.decode(lower, prefix=_IDENTITY_PREFIX, length_bytes=POINT_BYTES))

    def to_text(self) -> str:
        """Return the secret as ``MEDSEAL-SECRET-1...``; keep it out of logs."""
        return bech32.encode(_IDENTITY_PREFIX, self.secret_key).upper()

    def unwrap(self, wraps: Sequence[Wrap]) -> bytes:
        """Return the file key from the wrap that was made for this identity.

        Wraps do not name their recipient, so each is tried.

        Raises
        ------
        NoMatchingIdentityError
            None of the wraps opens.
        """
        for wrap in wraps:
            if not isinstance(wrap, X25519Wrap):
                continue
            salt = wrap.ephemeral + self.recipient.public_key
            key = _x25519_wrap_key(self._private, wrap.ephemeral, salt=salt)
            try:
                return AESGCM(key).decrypt(_WRAP_NONCE, wrap.sealed_key, None)
            except InvalidTag:
                continue
        raise NoMatchingIdentityError(
            "the package was not sealed for this identity; ask its owner to add you as recipient"
        )

    def __repr__(self) -> str:
        return f"Identity(recipient={str(self.recipient)!r})"


def _passphrase_bytes(passphrase: str) -> bytes:
    """Return a passphrase as NFC in UTF-8, the same from every keyboard.

    Raises
    ------
    InputError
        Empty, longer than 1024 characters, or with a control character such as the end of line
        that a file left behind.
    """
    if not 1 <= len(passphrase) <= MAX_PASSPHRASE_CHARACTERS:
        raise InputError(f"a passphrase has 1 to {MAX_PASSPHRASE_CHARACTERS} characters")
    # RFC 8265, 4.2.2 (OpaqueString): control characters and lone surrogates are refused.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in passphrase):
        raise InputError("a passphrase must not hold control characters, such as an end of line")
    return unicodedata.normalize("NFC", passphrase).encode()


def _scrypt_wrap_key(passphrase: str, *, salt: bytes, log_n: int) -> bytes:
    """Return the key that seals a file key under a passphrase."""
    scrypt = Scrypt(_SCRYPT_LABEL + salt, _KEY_BYTES, 1 << log_n, _SCRYPT_R, _SCRYPT_P)
    return scrypt.derive(_passphrase_bytes(passphrase))


@dataclass(frozen=True, slots=True)
class PassphraseRecipient:
    """Seals a package under a passphrase.

    Attributes
    ----------
    passphrase
        1 to 1024 characters without control characters; never shown by `repr`.
    log_n
        Binary logarithm of the scrypt work factor, 10 to 18; each step doubles time and memory.
    """

    passphrase: str = field(repr=False)
    log_n: int = field(default=DEFAULT_SCRYPT_LOG_N, kw_only=True)

    def __post_init__(self) -> None:
        _passphrase_bytes(self.passphrase)
        if not MIN_SCRYPT_LOG_N <= self.log_n <= MAX_SCRYPT_LOG_N:
            raise InputError(f"log_n must lie between {MIN_SCRYPT_LOG_N} and {MAX_SCRYPT_LOG_N}")

    def wrap(self, file_key: bytes) -> ScryptWrap:
        """Return the file key sealed under the passphrase with a fresh salt."""
        salt = secrets.token_bytes(SALT_BYTES)
        key = _scrypt_wrap_key(self.passphrase, salt=salt, log_n=self.log_n)
        sealed = AESGCM(key).encrypt(_WRAP_NONCE, file_key, None)
        return ScryptWrap(salt=salt, log_n=self.log_n, sealed_key=sealed)


@dataclass(frozen=True, slots=True)
class PassphraseIdentity:
    """Opens a package that was sealed under a passphrase.

    Attributes
    ----------
    passphrase
        As for `PassphraseRecipient`; never shown by `repr`.
    """

    passphrase: str = field(repr=False)

    def __post_init__(self) -> None:
        _passphrase_bytes(self.passphrase)

    def unwrap(self, wraps: Sequence[Wrap]) -> bytes:
        """Return the file key from the passphrase wrap, which stands alone.

        Raises
        ------
        NoMatchingIdentityError
            The package was sealed for X25519 recipients.
        WrongPassphraseError
            The passphrase does not open the wrap.
        """
        wrap = wraps[0]
        if not isinstance(wrap, ScryptWrap):
            raise NoMatchingIdentityError(
                "the package was sealed for a recipient, not under a passphrase; use an identity"
            )
        key = _scrypt_wrap_key(self.passphrase, salt=wrap.salt, log_n=wrap.log_n)
        try:
            return AESGCM(key).decrypt(_WRAP_NONCE, wrap.sealed_key, None)
        except InvalidTag:
            raise WrongPassphraseError("the passphrase is wrong; type it again") from None
