"""Sealed packages: seal for recipients, open after full verification, rewrap without pixels.

The format stands in docs/spec/sealed-package.md. Confidentiality and integrity rest on X25519,
scrypt, HKDF, HMAC-SHA256 and AES-256-GCM alone: no security claim rests on a learned method.
"""

import hmac
import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Self

from medseal.errors import (
    HeaderAuthenticationError,
    HeaderFormatError,
    InputError,
    TruncatedPackageError,
)
from medseal.protection.encryption.header import (
    DEFAULT_CHUNK_BYTES_LOG2,
    FILE_KEY_BYTES,
    MAC_BYTES,
    MAX_ASSOCIATED_DATA_BYTES,
    MAX_CHUNK_BYTES_LOG2,
    MAX_PLAINTEXT_BYTES,
    MAX_WRAPS,
    MIN_CHUNK_BYTES_LOG2,
    PAYLOAD_NONCE_BYTES,
    Header,
    Wrap,
)
from medseal.protection.encryption.keys import (
    Identity,
    PassphraseIdentity,
    PassphraseRecipient,
    Recipient,
    header_mac,
    payload_key,
)
from medseal.protection.encryption.stream import open_payload, seal_payload, sealed_size

__all__ = ["SealedPackage", "open", "rewrap", "seal"]


@dataclass(frozen=True, slots=True, repr=False)
class SealedPackage:
    """A package whose layout is sound; only `open` tells whether it is genuine.

    Attributes
    ----------
    encoded
        The whole package.
    header
        Parsed, not yet authenticated.
    """

    encoded: bytes
    header: Header = field(init=False, compare=False)
    _mac_offset: int = field(init=False, compare=False)

    def __post_init__(self) -> None:
        header, mac_offset = Header.parse(self.encoded)
        size = mac_offset + MAC_BYTES
        size += sealed_size(header.plaintext_bytes, chunk_bytes=header.chunk_bytes)
        if len(self.encoded) < size:
            raise TruncatedPackageError(
                f"the package has {len(self.encoded)} of {size} bytes; copy it again"
            )
        if len(self.encoded) > size:
            raise HeaderFormatError(
                f"the package has {len(self.encoded) - size} bytes after its end"
            )
        object.__setattr__(self, "header", header)
        object.__setattr__(self, "_mac_offset", mac_offset)

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview) -> Self:
        """Return the package with these bytes, which `to_bytes` gives back.

        Raises
        ------
        HeaderFormatError
            The layout does not follow the specification.
        TruncatedPackageError
            Bytes are missing.
        """
        return cls(bytes(data))

    def to_bytes(self) -> bytes:
        """Return the whole package."""
        return self.encoded

    @property
    def associated_data(self) -> bytes:
        """What was sealed in the open; to be trusted only after `open`."""
        return self.header.associated_data

    @property
    def plaintext_bytes(self) -> int:
        """Length of the plaintext; to be trusted only after `open`."""
        return self.header.plaintext_bytes

    @property
    def header_bytes(self) -> bytes:
        """The header without its MAC."""
        return self.encoded[: self._mac_offset]

    @property
    def mac(self) -> bytes:
        """The MAC over the header, 32 bytes."""
        return self.encoded[self._mac_offset : self._mac_offset + MAC_BYTES]

    @property
    def payload(self) -> memoryview:
        """The sealed chunks, without a copy."""
        return memoryview(self.encoded)[self._mac_offset + MAC_BYTES :]

    def __repr__(self) -> str:
        return (
            f"SealedPackage({len(self.encoded)} bytes, {len(self.header.wraps)} wraps, "
            f"plaintext of {self.plaintext_bytes} bytes)"
        )


def _flat_view(data: bytes | bytearray | memoryview) -> memoryview:
    """Return the bytes of a contiguous buffer of any shape, without a copy."""
    view = memoryview(data)
    if view.nbytes == 0:
        return memoryview(b"")
    if not view.c_contiguous:
        raise InputError("the data to seal must lie in one piece; copy the array first")
    return view.cast("B")


def _wrap(
    file_key: bytes, recipients: Sequence[Recipient | PassphraseRecipient]
) -> tuple[Wrap, ...]:
    """Return one wrap of the file key for each different recipient."""
    unique = list(dict.fromkeys(recipients))
    if not 1 <= len(unique) <= MAX_WRAPS:
        raise InputError(f"a package has 1 to {MAX_WRAPS} recipients, not {len(unique)}")
    if len(unique) > 1 and any(isinstance(one, PassphraseRecipient) for one in unique):
        raise InputError("a passphrase must be the only recipient of its package")
    return tuple(recipient.wrap(file_key) for recipient in unique)


def seal(
    data: bytes | bytearray | memoryview,
    recipients: Sequence[Recipient | PassphraseRecipient],
    *,
    associated_data: bytes = b"",
    chunk_bytes_log2: int = DEFAULT_CHUNK_BYTES_LOG2,
) -> SealedPackage:
    """Return `data` sealed under a fresh file key for all recipients.

    Parameters
    ----------
    data
        At most 64 GiB, C-contiguous; an array's shape is not kept.
    recipients
        1 to 64 X25519 recipients, or one passphrase; the same recipient twice counts once.
    associated_data
        At most 4096 bytes that stay readable and cannot be changed.
    chunk_bytes_log2
        Binary logarithm of the chunk size, 10 to 20; smaller chunks cost time and space.

    Raises
    ------
    InputError
        An argument lies outside these limits.
    """
    plaintext = _flat_view(data)
    if plaintext.nbytes > MAX_PLAINTEXT_BYTES:
        raise InputError(f"a package holds at most {MAX_PLAINTEXT_BYTES} bytes")
    if len(associated_data) > MAX_ASSOCIATED_DATA_BYTES:
        raise InputError(f"associated data have at most {MAX_ASSOCIATED_DATA_BYTES} bytes")
    if not MIN_CHUNK_BYTES_LOG2 <= chunk_bytes_log2 <= MAX_CHUNK_BYTES_LOG2:
        raise InputError(
            f"chunk_bytes_log2 must lie between {MIN_CHUNK_BYTES_LOG2} and {MAX_CHUNK_BYTES_LOG2}"
        )
    file_key = secrets.token_bytes(FILE_KEY_BYTES)
    header = Header(
        chunk_bytes_log2=chunk_bytes_log2,
        payload_nonce=secrets.token_bytes(PAYLOAD_NONCE_BYTES),
        plaintext_bytes=plaintext.nbytes,
        associated_data=bytes(associated_data),
        wraps=_wrap(file_key, recipients),
    )
    start = header.to_bytes()
    start += header_mac(file_key, start)
    size = len(start) + sealed_size(plaintext.nbytes, chunk_bytes=header.chunk_bytes)
    # BytesIO hands its buffer over as bytes: the ciphertext is written once, in its final place.
    buffer = io.BytesIO(bytes(size))
    with buffer.getbuffer() as room:
        room[: len(start)] = start
        key = payload_key(file_key, header)
        seal_payload(key, plaintext, room[len(start) :], chunk_bytes=header.chunk_bytes)
    return SealedPackage(buffer.getvalue())


def _file_key(package: SealedPackage, identity: Identity | PassphraseIdentity) -> bytes:
    """Return the file key after the header has been authenticated with it."""
    file_key = identity.unwrap(package.header.wraps)
    if not hmac.compare_digest(header_mac(file_key, package.header_bytes), package.mac):
        raise HeaderAuthenticationError("the header of the package was changed; fetch it again")
    return file_key


def open(package: SealedPackage, identity: Identity | PassphraseIdentity) -> bytes:
    """Return the plaintext, or raise before a single byte of it leaves.

    1. The layout is sound (`SealedPackage` cannot exist otherwise).
    2. A wrap opens for the identity and gives the file key.
    3. The MAC covers the whole header, associated data included.
    4. Each chunk is authentic and stands in its place.

    Raises
    ------
    NoMatchingIdentityError, WrongPassphraseError
        Step 2 fails.
    HeaderAuthenticationError
        Step 3 fails.
    PayloadAuthenticationError
        Step 4 fails.
    """
    file_key = _file_key(package, identity)  # steps 2 and 3
    return open_payload(  # step 4
        payload_key(file_key, package.header),
        package.payload,
        plaintext_bytes=package.header.plaintext_bytes,
        chunk_bytes=package.header.chunk_bytes,
    )


def rewrap(
    package: SealedPackage,
    identity: Identity | PassphraseIdentity,
    recipients: Sequence[Recipient | PassphraseRecipient],
) -> SealedPackage:
    """Return the package with other recipients and the very same payload bytes.

    Former recipients lose access to the new package only: whoever kept the old one, or its file
    key, can still open it. Seal the plaintext again where that matters.

    Raises
    ------
    NoMatchingIdentityError, WrongPassphraseError, HeaderAuthenticationError
        As for `open`; the payload itself is not looked at.
    InputError
        As for `seal`.
    """
    file_key = _file_key(package, identity)
    start = replace(package.header, wraps=_wrap(file_key, recipients)).to_bytes()
    return SealedPackage(b"".join((start, header_mac(file_key, start), package.payload)))
