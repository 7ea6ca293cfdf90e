"""Receipts: one file that proves an entry of the log offline, with the log's public key alone."""

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from medseal.digest import Digest, canonical_json, parse_canonical_json
from medseal.errors import (
    CheckpointError,
    DigestMismatchError,
    InputError,
    LedgerError,
    ReceiptError,
)
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.commitment import SALT_BYTES, check_commitment
from medseal.ledger.events import LEAF_VERSION, MAX_LEAF_BYTES, Event
from medseal.ledger.merkle import HASH_BYTES, MAX_PATH_HASHES, leaf_hash, verify_inclusion
from medseal.ledger.note import MAX_NOTE_BYTES, VerifyingKey, decode_base64

__all__ = ["MAX_RECEIPT_BYTES", "RECEIPT_VERSION", "Anchor", "Opening", "Receipt", "verify"]

# First line of every receipt; docs/spec/receipt.md.
RECEIPT_VERSION = "medseal-receipt/v1"
# The longest head (leaf, opening, anchor, path) stays below 16 KiB; a checkpoint follows.
MAX_RECEIPT_BYTES = 16_384 + MAX_NOTE_BYTES
_DIGEST_LINE_BYTES = len(b"digest sha256:\n") + 2 * HASH_BYTES
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_HEX32 = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"0x[0-9a-f]{40}")
_HASH = re.compile(r"0x[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens the commitment of an event; it lets anybody test a guess at the image.

    Attributes
    ----------
    salt
        32 bytes.
    values
        Digest of the stored values.
    metadata
        Digest of the canonical metadata.
    """

    salt: bytes
    values: Digest
    metadata: Digest

    def __post_init__(self) -> None:
        if len(self.salt) != SALT_BYTES:
            raise InputError(f"a commitment salt has {SALT_BYTES} bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Where a contract holds the root and size of the receipt's checkpoint.

    Only a node of that chain can confirm it; offline it is a pointer, and trusted for nothing.

    Attributes
    ----------
    chain_id, block_number
        Whole numbers.
    contract
        Address, ``0x`` and 40 hexadecimal digits.
    transaction, block_hash
        ``0x`` and 64 hexadecimal digits.
    """

    chain_id: int
    contract: str
    transaction: str
    block_number: int
    block_hash: str

    def __post_init__(self) -> None:
        numbers = (self.chain_id, self.block_number)
        if any(type(number) is not int or not 0 <= number < 2**53 for number in numbers):
            raise InputError("chain id and block number are whole numbers of 53 bits")
        texts = (
            (_ADDRESS, self.contract),
            (_HASH, self.transaction),
            (_HASH, self.block_hash),
        )
        for pattern, text in texts:
            if not isinstance(text, str) or not pattern.fullmatch(text):
                raise InputError("an anchor has lower-case hexadecimal addresses and hashes")

    def to_json(self) -> bytes:
        """Return canonical JSON."""
        return canonical_json({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the anchor of canonical JSON; raise `ReceiptError` for another form."""
        try:
            value = parse_canonical_json(data)
            if not isinstance(value, dict) or value.keys() != set(cls.__slots__):
                raise ReceiptError("the anchor lacks a field or has one too many")
            return cls(**value)
        except InputError as error:
            raise ReceiptError(f"malformed anchor: {error}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A proof that an event is in the log; `verify` decides whether it holds.

    Attributes
    ----------
    leaf
        Bytes of the event.
    index
        Place in the log, from 0.
    path
        Inclusion path, hashes of 32 bytes from the leaf upward.
    checkpoint
        Signed head of a log that holds the leaf.
    opening
        Opening of the commitment; None in a receipt that may be shown to others.
    anchor
        Where a contract holds the checkpoint; None when it is not anchored.

    Raises
    ------
    ReceiptError
        The parts cannot belong together.
    """

    leaf: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: Checkpoint
    opening: Opening | None = None
    anchor: Anchor | None = None

    def __post_init__(self) -> None:
        if len(self.leaf) > MAX_LEAF_BYTES or not self.leaf.startswith(LEAF_VERSION):
            raise ReceiptError("the entry is too long or of another version")
        if not self.leaf.isascii() or self.leaf.count(b"\n") != 1:
            raise ReceiptError("the entry is not a version line and one line of ASCII")
        if not 0 <= self.index < self.checkpoint.size:
            raise ReceiptError("the checkpoint is older than the entry")
        if len(self.path) > MAX_PATH_HASHES or not set(map(len, self.path)) <= {HASH_BYTES}:
            raise ReceiptError("the inclusion path is malformed")

    @property
    def size(self) -> int:
        """Number of leaves of the tree that the path leads to."""
        return self.checkpoint.size

    @property
    def leaf_hash(self) -> Digest:
        """Hash that names the entry in this and every other proof."""
        return Digest(leaf_hash(self.leaf))

    def without_opening(self) -> Self:
        """Return the receipt for third parties: it proves the event and tells no digest."""
        return replace(self, opening=None)

    def with_opening(self, opening: Opening) -> Self:
        """Return the receipt with the opening of its commitment, for whom the image is known.

        Raises
        ------
        DigestMismatchError
            The opening is that of another commitment.
        ReceiptError
            The event names no commitment.
        """
        _check_opening(Event.parse(self.leaf), opening)
        return replace(self, opening=opening)

    def check_values(self, values: Digest) -> None:
        """Return if the sealed image has these stored values; call it after `verify`.

        Raises
        ------
        DigestMismatchError
            The event speaks of an image with other stored values.
        ReceiptError
            The receipt holds no opening, so it cannot tell.
        """
        if self.opening is None:
            raise ReceiptError("the receipt holds no opening: ask the owner for the full one")
        _check_opening(Event.parse(self.leaf), self.opening)
        if not hmac.compare_digest(self.opening.values.value, values.value):
            raise DigestMismatchError(
                "the image has other stored values than the receipt",
                expected=str(self.opening.values),
                actual=str(values),
            )

    def to_bytes(self) -> bytes:
        """Return the receipt file: text, its last line guards against accidental damage."""
        version, _, content = self.leaf.decode().partition("\n")
        lines = [RECEIPT_VERSION, f"leaf {version} {content}"]
        if self.opening is not None:
            opened = self.opening
            lines.append(f"opening {opened.salt.hex()} {opened.values} {opened.metadata}")
        if self.anchor is not None:
            lines.append(f"anchor {self.anchor.to_json().decode()}")
        lines.append(f"index {self.index}")
        lines.extend(f"path {base64.b64encode(value).decode()}" for value in self.path)
        body = "\n".join(lines).encode() + b"\n\n" + self.checkpoint.to_bytes()
        return body + _digest_line(body)

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the parts of a receipt file; nothing in it is verified yet.

        Raises
        ------
        ReceiptError
            Not a receipt in exactly the form that `to_bytes` writes.
        CheckpointError
            Its checkpoint is malformed.
        """
        # 1. The digest line covers everything before it.
        if not data.startswith(f"{RECEIPT_VERSION}\n".encode()):
            raise ReceiptError("not a receipt of version 1")
        if len(data) > MAX_RECEIPT_BYTES:
            raise ReceiptError(f"a receipt has at most {MAX_RECEIPT_BYTES} bytes")
        body, last = data[:-_DIGEST_LINE_BYTES], data[-_DIGEST_LINE_BYTES:]
        if last != _digest_line(body):
            raise ReceiptError("the receipt is damaged: a byte was lost or changed")
        # 2. Head and checkpoint are divided by the first empty line.
        head, blank, note = body.partition(b"\n\n")
        if not blank:
            raise ReceiptError("the receipt ends before its checkpoint")
        receipt = cls(**_parse_head(head), checkpoint=Checkpoint.parse(note))
        # 3. There is one way only to write it.
        if receipt.to_bytes() != data:
            raise ReceiptError("the receipt is not in its canonical form")
        return receipt


def _digest_line(body: bytes) -> bytes:
    return f"digest {Digest(hashlib.sha256(body).digest())}\n".encode()


def _parse_head(head: bytes) -> dict[str, Any]:
    """Return the fields before the checkpoint; the order is settled by writing them again."""
    try:
        lines = head.decode("ascii").split("\n")[1:]
    except UnicodeDecodeError:
        raise ReceiptError("the receipt is no ASCII text") from None
    fields: dict[str, Any] = {"path": ()}
    path: list[bytes] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "path" and len(path) < MAX_PATH_HASHES:
            path.append(_parse_hash(rest))
        elif word in _HEAD_LINES and word not in fields:
            fields[word] = _HEAD_LINES[word](rest)
        else:
            raise ReceiptError("the receipt holds a line that version 1 does not know")
    if not fields.keys() >= {"leaf", "index"}:
        raise ReceiptError("the receipt lacks its leaf or its index")
    return fields | {"path": tuple(path)}


def _parse_hash(text: str) -> bytes:
    try:
        return decode_base64(text)
    except CheckpointError as error:
        raise ReceiptError(f"malformed path: {error}") from None


def _parse_leaf(text: str) -> bytes:
    version, _, content = text.partition(" ")
    return f"{version}\n{content}".encode()


def _parse_index(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ReceiptError("the index is a decimal without leading zeros")
    return int(text)


def _parse_opening(text: str) -> Opening:
    parts = text.split(" ")
    if len(parts) != 3 or not _HEX32.fullmatch(parts[0]):  # noqa: PLR2004 - salt and two digests
        raise ReceiptError("the opening is a salt and two digests")
    try:
        return Opening(
            salt=bytes.fromhex(parts[0]),
            values=Digest.parse(parts[1]),
            metadata=Digest.parse(parts[2]),
        )
    except InputError as error:
        raise ReceiptError(f"malformed opening: {error}") from None


_HEAD_LINES = {
    "leaf": _parse_leaf,
    "opening": _parse_opening,
    "anchor": lambda text: Anchor.parse(text.encode()),
    "index": _parse_index,
}


def _check_opening(event: Event, opening: Opening) -> None:
    if not event.subject:
        raise ReceiptError("the event names no commitment that could be opened")
    expected = Digest.parse(event.subject)
    check_commitment(expected, opening.salt, opening.values, opening.metadata)


def verify(
    receipt: Receipt | bytes,
    vkey: VerifyingKey,
    *,
    witnesses: Sequence[VerifyingKey] = (),
) -> Event:
    """Return the event that a receipt proves; needs no network and no copy of the log.

    Parameters
    ----------
    receipt
        The receipt or the bytes of its file.
    vkey
        Public key of the log, from a source that is trusted.
    witnesses
        Keys of witnesses that must all have cosigned the checkpoint.

    Raises
    ------
    ReceiptError
        Malformed, damaged, or an opening that does not fit the event.
    CheckpointError
        Another log, or a signature is missing or does not fit.
    InclusionError
        The entry is not in the log that was signed.
    """
    # 1. Structure.
    if not isinstance(receipt, Receipt):
        receipt = Receipt.parse(receipt)
    # 2. Signatures under the head of the log.
    receipt.checkpoint.verify(vkey, witnesses=witnesses)
    # 3. The leaf is in that log.
    verify_inclusion(
        leaf_hash(receipt.leaf),
        receipt.index,
        receipt.checkpoint.size,
        receipt.path,
        receipt.checkpoint.root,
    )
    # 4. Only now read the leaf.
    try:
        event = Event.parse(receipt.leaf)
    except LedgerError as error:
        raise ReceiptError(f"the receipt holds no valid event: {error}") from None
    # 5. The opening fits the commitment in it.
    if receipt.opening is not None:
        try:
            _check_opening(event, receipt.opening)
        except DigestMismatchError:
            raise ReceiptError("the opening does not fit the commitment of the event") from None
    return event
