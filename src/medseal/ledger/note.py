"""C2SP signed notes: text under Ed25519 signatures, with keys in their text forms."""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from medseal.errors import CheckpointError, InputError

__all__ = [
    "COSIGNATURE_V1",
    "ED25519",
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "NoteSignature",
    "SignedNote",
    "Signer",
    "SigningKey",
    "VerifyingKey",
    "decode_base64",
]

# Signature types of c2sp.org/signed-note.
ED25519 = 0x01
COSIGNATURE_V1 = 0x04

MAX_NOTE_BYTES = 65_536
# The specification demands at least 16.
MAX_SIGNATURES = 64
MAX_NAME_CHARS = 64
_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_SIGNATURE_BYTES = 64
_TIMESTAMP_BYTES = 8
_MAX_TIMESTAMP_S = 2**63 - 1
_PREFIX = "— "
_SECRET_PREFIX = "PRIVATE+KEY+"  # noqa: S105 - the public marker of the text form, no secret


def decode_base64(text: str) -> bytes:
    """Return the bytes of standard base 64 with padding; any other spelling is refused.

    Raises
    ------
    CheckpointError
        Another alphabet, white space, missing padding or unused bits that are not zero.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise CheckpointError("malformed base 64") from None
    if base64.b64encode(data).decode() != text:
        raise CheckpointError("base 64 is not in its canonical form")
    return data


def _is_key_name(name: str) -> bool:
    """Say whether the name may stand in a signature line: no space, no plus, no control."""
    return bool(name) and not any(c == "+" or c.isspace() or c < " " for c in name)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyingKey:
    """A public key with its name; `str` gives the vkey text form.

    Attributes
    ----------
    name
        Schema-less URL of the log or witness, at most 64 characters, no space and no plus. It
        appears in every checkpoint, so it names no person.
    public_key
        32 bytes, RFC 8032.
    algorithm
        `ED25519` for a log, `COSIGNATURE_V1` for a witness.

    Raises
    ------
    InputError
        A field has another form.
    """

    name: str
    public_key: bytes
    algorithm: int = ED25519

    def __post_init__(self) -> None:
        if not _is_key_name(self.name) or len(self.name) > MAX_NAME_CHARS:
            raise InputError("a key name has 1 to 64 characters, no space and no plus")
        if len(self.public_key) != _KEY_BYTES:
            raise InputError(f"an Ed25519 public key has {_KEY_BYTES} bytes")
        if self.algorithm not in (ED25519, COSIGNATURE_V1):
            raise InputError("unknown signature type")

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, signature type, public key)."""
        data = self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public_key
        return hashlib.sha256(data).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        material = base64.b64encode(bytes([self.algorithm]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a vkey text form.

        Raises
        ------
        InputError
            Not a vkey, a key id that does not fit, or an unknown signature type.
        """
        name, material = _split_key(text)
        key = cls(name=name, algorithm=material[0], public_key=material[1:])
        if str(key) != text:
            raise InputError("the id of the verifying key does not fit its name and material")
        return key

    def verify(self, text: bytes, signature: bytes) -> None:
        """Return if a signature line of this key holds for the text of a note.

        Parameters
        ----------
        text
            Text of the note with its last newline.
        signature
            The bytes after the key id: 64, or 8 of time and 64 for a witness.

        Raises
        ------
        CheckpointError
            The signature does not fit.
        """
        message = text
        if self.algorithm == COSIGNATURE_V1:
            timestamp_s = int.from_bytes(signature[:_TIMESTAMP_BYTES], "big")
            message = cosigned_message(text, timestamp_s)
            signature = signature[_TIMESTAMP_BYTES:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise CheckpointError(f"the signature of '{self.name}' does not fit") from None


def _split_key(text: str) -> tuple[str, bytes]:
    """Return name and material (type byte and 32 bytes) of a key in text form."""
    name, _, rest = text.partition("+")
    _, _, material = rest.partition("+")
    try:
        data = decode_base64(material)
    except CheckpointError:
        data = b""
    if len(data) != 1 + _KEY_BYTES:
        raise InputError("a key is written as name, key id and base 64, joined by plus signs")
    return name, data


def cosigned_message(text: bytes, timestamp_s: int) -> bytes:
    """Return what a witness signs (c2sp.org/tlog-cosignature, Ed25519).

    Raises
    ------
    CheckpointError
        The time, in seconds since 1970, exceeds 63 bits.
    """
    if not 0 <= timestamp_s <= _MAX_TIMESTAMP_S:
        raise CheckpointError("the time of a cosignature exceeds 63 bits")
    return f"cosignature/v1\ntime {timestamp_s}\n".encode() + text


class Signer(Protocol):
    """What signs checkpoints: a key in memory, or a device that keeps its key to itself."""

    @property
    def vkey(self) -> VerifyingKey:
        """The public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of a message."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """An Ed25519 private key in memory; its text form is a secret, `repr` does not show it.

    Attributes
    ----------
    name, algorithm
        As in `VerifyingKey`.
    seed
        32 secret bytes, RFC 8032.
    """

    name: str
    seed: bytes = field(repr=False)
    algorithm: int = ED25519
    vkey: VerifyingKey = field(init=False, repr=False, compare=False)
    _private: Ed25519PrivateKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.seed) != _KEY_BYTES:
            raise InputError(f"an Ed25519 seed has {_KEY_BYTES} bytes")
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        public = private.public_key().public_bytes_raw()
        vkey = VerifyingKey(name=self.name, public_key=public, algorithm=self.algorithm)
        object.__setattr__(self, "_private", private)
        object.__setattr__(self, "vkey", vkey)

    @classmethod
    def generate(cls, name: str, *, algorithm: int = ED25519) -> Self:
        """Return a new key for a log, or with `COSIGNATURE_V1` for a witness."""
        seed = Ed25519PrivateKey.generate().private_bytes_raw()
        return cls(name=name, seed=seed, algorithm=algorithm)

    def to_text(self) -> str:
        """Return the secret text form ``PRIVATE+KEY+name+id+base64``."""
        material = base64.b64encode(bytes([self.algorithm]) + self.seed).decode()
        return f"{_SECRET_PREFIX}{self.name}+{self.vkey.key_id.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a secret text form.

        Raises
        ------
        InputError
            Not a signing key, or a key id that does not fit.
        """
        if not text.startswith(_SECRET_PREFIX):
            raise InputError("not the text form of a signing key")
        name, material = _split_key(text.removeprefix(_SECRET_PREFIX))
        key = cls(name=name, algorithm=material[0], seed=material[1:])
        if key.to_text() != text:
            raise InputError("the id of the signing key does not fit its name and material")
        return key

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature of a message."""
        return self._private.sign(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteSignature:
    """One signature line.

    Attributes
    ----------
    name
        Key name.
    key_id
        4 bytes.
    value
        At least one byte; its form depends on the key.
    """

    name: str
    key_id: bytes
    value: bytes

    def __str__(self) -> str:
        return f"{_PREFIX}{self.name} {base64.b64encode(self.key_id + self.value).decode()}"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the signature of a line without its newline.

        Raises
        ------
        CheckpointError
            Another form.
        """
        name, space, encoded = line.removeprefix(_PREFIX).partition(" ")
        if not line.startswith(_PREFIX) or not space or not _is_key_name(name):
            raise CheckpointError("malformed signature line")
        data = decode_base64(encoded)
        if len(data) <= _KEY_ID_BYTES:
            raise CheckpointError("a signature line is too short")
        return cls(name=name, key_id=data[:_KEY_ID_BYTES], value=data[_KEY_ID_BYTES:])

    @classmethod
    def make(cls, text: bytes, signer: Signer, *, timestamp_s: int | None = None) -> Self:
        """Return the signature of a signer under the text of a note.

        Parameters
        ----------
        text
            Text of the note with its last newline.
        signer
            Key of a log or of a witness.
        timestamp_s
            Seconds since 1970; needed for a witness and only there.

        Raises
        ------
        InputError
            The time is missing or not wanted.
        """
        vkey = signer.vkey
        if (vkey.algorithm == COSIGNATURE_V1) != (timestamp_s is not None):
            raise InputError("a witness key signs with a time, a log key without")
        if timestamp_s is None:
            value = signer.sign(text)
        else:
            value = timestamp_s.to_bytes(_TIMESTAMP_BYTES, "big")
            value += signer.sign(cosigned_message(text, timestamp_s))
        return cls(name=vkey.name, key_id=vkey.key_id, value=value)

    @property
    def timestamp_s(self) -> int | None:
        """Seconds since 1970 that a cosignature states; None for a signature without time."""
        if len(self.value) != _TIMESTAMP_BYTES + _SIGNATURE_BYTES:
            return None
        return int.from_bytes(self.value[:_TIMESTAMP_BYTES], "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedNote:
    """A text and its signature lines.

    Attributes
    ----------
    text
        UTF-8, ends with a newline, no other control characters.
    signatures
        At least one.
    """

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def to_bytes(self) -> bytes:
        """Return the note as it is stored and sent."""
        lines = "".join(f"{signature}\n" for signature in self.signatures)
        return self.text + b"\n" + lines.encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the note; nothing in it is verified yet.

        Raises
        ------
        CheckpointError
            Not a signed note, too long, or with too many signatures.
        """
        if len(data) > MAX_NOTE_BYTES:
            raise CheckpointError(f"a note has at most {MAX_NOTE_BYTES} bytes")
        try:
            note = data.decode()
        except UnicodeDecodeError:
            raise CheckpointError("a note is not valid UTF-8") from None
        if any(c < " " and c != "\n" for c in note):
            raise CheckpointError("a note holds a control character")
        text, blank, block = note.rpartition("\n\n")
        if not blank or not text or not block.endswith("\n"):
            raise CheckpointError("a note is a text, an empty line and signature lines")
        lines = block[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise CheckpointError(f"a note has at most {MAX_SIGNATURES} signatures")
        signatures = tuple(NoteSignature.parse(line) for line in lines)
        return cls(text=f"{text}\n".encode(), signatures=signatures)

    def verify(self, keys: Sequence[VerifyingKey]) -> frozenset[VerifyingKey]:
        """Return which of the keys signed; lines of other keys are ignored.

        Raises
        ------
        CheckpointError
            A line of one of the keys does not hold, or there is none.
        """
        known = {(key.name, key.key_id): key for key in keys}
        signed = set()
        for signature in self.signatures:
            key = known.get((signature.name, signature.key_id))
            if key is not None:
                key.verify(self.text, signature.value)
                signed.add(key)
        if not signed:
            raise CheckpointError("no signature of a known key: give the key of this log")
        return frozenset(signed)
