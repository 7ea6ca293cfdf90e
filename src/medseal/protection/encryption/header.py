"""Header of a sealed package: strict binary layout with bounded sizes, one spelling only.

The layout stands in docs/spec/sealed-package.md. This module knows the bytes and no key; a parsed
header is not to be trusted before `medseal.protection.encryption.keys.header_mac` was compared.
No security claim rests on a learned method.
"""

import struct
from dataclasses import dataclass
from typing import ClassVar, Self

from medseal.errors import HeaderFormatError, TruncatedPackageError

__all__ = [
    "DEFAULT_CHUNK_BYTES_LOG2",
    "FILE_KEY_BYTES",
    "MAC_BYTES",
    "MAGIC",
    "MAX_ASSOCIATED_DATA_BYTES",
    "MAX_CHUNK_BYTES_LOG2",
    "MAX_PLAINTEXT_BYTES",
    "MAX_SCRYPT_LOG_N",
    "MAX_WRAPS",
    "MIN_CHUNK_BYTES_LOG2",
    "MIN_SCRYPT_LOG_N",
    "PAYLOAD_NONCE_BYTES",
    "POINT_BYTES",
    "SALT_BYTES",
    "SUITE",
    "TAG_BYTES",
    "VERSION",
    "Header",
    "ScryptWrap",
    "Wrap",
    "X25519Wrap",
    "is_usable_point",
]

MAGIC = b"medseal-package\x00"
VERSION = 1
# X25519 or scrypt, HKDF-SHA256, HMAC-SHA256, AES-256-GCM in the STREAM construction.
SUITE = 1

FILE_KEY_BYTES = 32
MAC_BYTES = 32
TAG_BYTES = 16
SEALED_KEY_BYTES = FILE_KEY_BYTES + TAG_BYTES
PAYLOAD_NONCE_BYTES = 16
POINT_BYTES = 32
SALT_BYTES = 16

MAX_ASSOCIATED_DATA_BYTES = 4096
MAX_PLAINTEXT_BYTES = 2**36  # 64 GiB: far from the 2**32 chunks where nonces would run out
MIN_CHUNK_BYTES_LOG2 = 10  # 1 KiB
MAX_CHUNK_BYTES_LOG2 = 20  # 1 MiB
DEFAULT_CHUNK_BYTES_LOG2 = 20  # 1 MiB: the fastest of the sizes measured
MAX_WRAPS = 64
# scrypt needs 1 KiB * 2**log_n: from 1 MiB to 256 MiB, so that a hostile package cannot ask for
# more memory or more than about a second.
MIN_SCRYPT_LOG_N = 10
MAX_SCRYPT_LOG_N = 18

# magic, version, suite, log2 of the chunk size, payload nonce, plaintext length, associated
# data length; big endian without padding
_FIXED = struct.Struct(f">{len(MAGIC)}sBBB{PAYLOAD_NONCE_BYTES}sQH")

_FIELD_PRIME = 2**255 - 19
# The u-coordinates of order 2, 4 and 8 on Curve25519 and its twist: with them every exchange
# gives the all-zero secret (RFC 7748, 6.1).
_LOW_ORDER_POINTS = frozenset(
    {
        0,
        1,
        _FIELD_PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)


def is_usable_point(data: bytes) -> bool:
    """Tell whether 32 bytes are a canonical X25519 public key that is not of low order."""
    number = int.from_bytes(data, "little")
    return number < _FIELD_PRIME and number not in _LOW_ORDER_POINTS


def _require(condition: bool, message: str) -> None:
    """Raise `HeaderFormatError` unless the condition holds."""
    if not condition:
        raise HeaderFormatError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class X25519Wrap:
    """The file key, sealed for the holder of one X25519 secret.

    Attributes
    ----------
    ephemeral
        Public half of a key pair made for this wrap alone, 32 bytes.
    sealed_key
        File key under AES-256-GCM, 48 bytes.
    """

    ephemeral: bytes
    sealed_key: bytes
    TYPE: ClassVar[int] = 1

    def __post_init__(self) -> None:
        _require(
            len(self.ephemeral) == POINT_BYTES and len(self.sealed_key) == SEALED_KEY_BYTES,
            "an X25519 wrap has the wrong size",
        )
        _require(
            is_usable_point(self.ephemeral),
            "an X25519 wrap holds a low-order or non-canonical point; the package is hostile",
        )

    def to_bytes(self) -> bytes:
        """Return the wrap as it stands in the header."""
        return bytes((self.TYPE,)) + self.ephemeral + self.sealed_key


@dataclass(frozen=True, slots=True, kw_only=True)
class ScryptWrap:
    """The file key, sealed under a passphrase.

    Attributes
    ----------
    salt
        16 random bytes made for this wrap alone.
    log_n
        Binary logarithm of the scrypt work factor N, 10 to 18.
    sealed_key
        File key under AES-256-GCM, 48 bytes.
    """

    salt: bytes
    log_n: int
    sealed_key: bytes
    TYPE: ClassVar[int] = 2

    def __post_init__(self) -> None:
        _require(
            len(self.salt) == SALT_BYTES and len(self.sealed_key) == SEALED_KEY_BYTES,
            "a passphrase wrap has the wrong size",
        )
        _require(
            MIN_SCRYPT_LOG_N <= self.log_n <= MAX_SCRYPT_LOG_N,
            f"the scrypt work factor 2**{self.log_n} is not between 2**{MIN_SCRYPT_LOG_N} and "
            f"2**{MAX_SCRYPT_LOG_N}",
        )

    def to_bytes(self) -> bytes:
        """Return the wrap as it stands in the header."""
        return bytes((self.TYPE,)) + self.salt + bytes((self.log_n,)) + self.sealed_key


Wrap = X25519Wrap | ScryptWrap


class _Reader:
    """A cursor over untrusted bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.offset = 0

    def take(self, count: int) -> bytes:
        """Return the next `count` bytes, or raise `TruncatedPackageError`."""
        end = self.offset + count
        if end > len(self.data):
            raise TruncatedPackageError("the package ends inside its header; copy it again")
        taken = self.data[self.offset : end]
        self.offset = end
        return taken

    def take_number(self) -> int:
        """Return the next byte as a number."""
        return self.take(1)[0]


def _read_wrap(reader: _Reader) -> Wrap:
    """Return the next wrap; its type alone decides its size."""
    kind = reader.take_number()
    if kind == X25519Wrap.TYPE:
        return X25519Wrap(
            ephemeral=reader.take(POINT_BYTES), sealed_key=reader.take(SEALED_KEY_BYTES)
        )
    if kind == ScryptWrap.TYPE:
        return ScryptWrap(
            salt=reader.take(SALT_BYTES),
            log_n=reader.take_number(),
            sealed_key=reader.take(SEALED_KEY_BYTES),
        )
    raise HeaderFormatError(f"the package has a wrap of unknown type {kind}")


def _read_start(reader: _Reader) -> None:
    """Check magic, version and suite, and leave the reader at the start."""
    start = reader.data[: len(MAGIC)]
    _require(MAGIC.startswith(start), "this is not a sealed package: its first bytes differ")
    version, suite = reader.take(len(MAGIC) + 2)[-2:]
    _require(version == VERSION, f"package version {version} is unknown; update medseal")
    _require(suite == SUITE, f"cipher suite {suite} is unknown; update medseal")
    reader.offset = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """All of the header but its MAC.

    Attributes
    ----------
    chunk_bytes_log2
        Binary logarithm of the plaintext bytes in each chunk but the last, 10 to 20.
    payload_nonce
        16 random bytes, the salt of the payload key.
    plaintext_bytes
        Length of the whole plaintext, 0 to 2**36.
    associated_data
        At most 4096 bytes that everybody can read and nobody can change.
    wraps
        1 to 64; a passphrase wrap stands alone, so that whoever knows the passphrase knows that
        only such a person can have made the package.
    """

    chunk_bytes_log2: int
    payload_nonce: bytes
    plaintext_bytes: int
    associated_data: bytes
    wraps: tuple[Wrap, ...]

    def __post_init__(self) -> None:
        _require(
            MIN_CHUNK_BYTES_LOG2 <= self.chunk_bytes_log2 <= MAX_CHUNK_BYTES_LOG2,
            f"the chunk size 2**{self.chunk_bytes_log2} is not between 2**{MIN_CHUNK_BYTES_LOG2} "
            f"and 2**{MAX_CHUNK_BYTES_LOG2}",
        )
        _require(
            len(self.payload_nonce) == PAYLOAD_NONCE_BYTES,
            f"the payload nonce must have {PAYLOAD_NONCE_BYTES} bytes",
        )
        _require(
            0 <= self.plaintext_bytes <= MAX_PLAINTEXT_BYTES,
            f"the stated plaintext length exceeds {MAX_PLAINTEXT_BYTES} bytes",
        )
        _require(
            len(self.associated_data) <= MAX_ASSOCIATED_DATA_BYTES,
            f"the associated data exceed {MAX_ASSOCIATED_DATA_BYTES} bytes",
        )
        _require(
            1 <= len(self.wraps) <= MAX_WRAPS,
            f"the package has {len(self.wraps)} wraps; between 1 and {MAX_WRAPS} are allowed",
        )
        _require(
            len(self.wraps) == 1 or not any(isinstance(wrap, ScryptWrap) for wrap in self.wraps),
            "a passphrase wrap must be the only wrap",
        )

    @property
    def chunk_bytes(self) -> int:
        """Plaintext bytes in each chunk but the last."""
        return 1 << self.chunk_bytes_log2

    def core_bytes(self) -> bytes:
        """Return the part that never changes in the life of a payload: all but the wraps."""
        return (
            _FIXED.pack(
                MAGIC,
                VERSION,
                SUITE,
                self.chunk_bytes_log2,
                self.payload_nonce,
                self.plaintext_bytes,
                len(self.associated_data),
            )
            + self.associated_data
        )

    def to_bytes(self) -> bytes:
        """Return the header without its MAC."""
        wraps = b"".join(wrap.to_bytes() for wrap in self.wraps)
        return self.core_bytes() + bytes((len(self.wraps),)) + wraps

    @classmethod
    def parse(cls, data: bytes) -> tuple[Self, int]:
        """Return the header at the start of `data` and its length in bytes without the MAC.

        Raises
        ------
        HeaderFormatError
            A field lies outside its limits, or the version, suite or wrap type is unknown.
        TruncatedPackageError
            The data end inside the header.
        """
        reader = _Reader(data)
        _read_start(reader)
        fixed = _FIXED.unpack(reader.take(_FIXED.size))
        chunk_bytes_log2, payload_nonce, plaintext_bytes, associated_bytes = fixed[3:]
        # Before reading on: a length beyond its limit is malformed, not truncated.
        _require(
            associated_bytes <= MAX_ASSOCIATED_DATA_BYTES,
            f"the associated data exceed {MAX_ASSOCIATED_DATA_BYTES} bytes",
        )
        associated_data = reader.take(associated_bytes)
        count = reader.take_number()
        header = cls(
            chunk_bytes_log2=chunk_bytes_log2,
            payload_nonce=payload_nonce,
            plaintext_bytes=plaintext_bytes,
            associated_data=associated_data,
            wraps=tuple(_read_wrap(reader) for _ in range(count)),
        )
        return header, reader.offset
