"""C2SP tlog checkpoints: a signed tree head, and the cosignatures of witnesses."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

from medseal.errors import CheckpointError
from medseal.ledger.merkle import HASH_BYTES
from medseal.ledger.note import (
    NoteSignature,
    SignedNote,
    Signer,
    VerifyingKey,
    decode_base64,
)

__all__ = ["MAX_TREE_SIZE", "Checkpoint", "verify_checkpoint"]

MAX_TREE_SIZE = 2**63 - 1
_BODY_LINES = 3
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The head of a log at one size, with its signatures.

    Attributes
    ----------
    origin
        Name of the log, one line.
    size
        Number of leaves.
    root
        32 bytes.
    extensions
        Further lines, opaque; this package writes none.
    signatures
        Signature lines, in order; empty only before the first signature.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()
    signatures: tuple[NoteSignature, ...] = ()

    def __post_init__(self) -> None:
        lines = (self.origin, *self.extensions)
        if any(not line or any(c < " " for c in line) for line in lines):
            raise CheckpointError("a line of a checkpoint is empty or holds a control character")
        if not 0 <= self.size <= MAX_TREE_SIZE or len(self.root) != HASH_BYTES:
            raise CheckpointError("a checkpoint has a size of 63 bits and a root of 32 bytes")

    def body(self) -> bytes:
        """Return the signed text: origin, size, root and extensions, a line each."""
        root = base64.b64encode(self.root).decode()
        lines = (self.origin, str(self.size), root, *self.extensions)
        return "".join(f"{line}\n" for line in lines).encode()

    def to_bytes(self) -> bytes:
        """Return the signed note."""
        return SignedNote(text=self.body(), signatures=self.signatures).to_bytes()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the checkpoint without verifying it: for display, never for trust.

        Raises
        ------
        CheckpointError
            Not a checkpoint in exactly the form that `to_bytes` writes.
        """
        return cls._from_note(SignedNote.parse(data))

    @classmethod
    def _from_note(cls, note: SignedNote) -> Self:
        lines = note.text.decode()[:-1].split("\n")
        if len(lines) < _BODY_LINES:
            raise CheckpointError("a checkpoint has an origin, a size and a root")
        origin, size, root, *extensions = lines
        if not _SIZE.fullmatch(size):
            raise CheckpointError("the size of a checkpoint is a decimal without leading zeros")
        return cls(
            origin=origin,
            size=int(size),
            root=decode_base64(root),
            extensions=tuple(extensions),
            signatures=note.signatures,
        )

    def sign(self, signer: Signer, *, timestamp_s: int | None = None) -> Self:
        """Return the checkpoint with one more signature; a witness key needs the time."""
        line = NoteSignature.make(self.body(), signer, timestamp_s=timestamp_s)
        return replace(self, signatures=(*self.signatures, line))

    def verify(self, vkey: VerifyingKey, *, witnesses: Sequence[VerifyingKey] = ()) -> None:
        """Return if the log and every given witness signed this head.

        Lines of other keys are ignored, as c2sp.org/signed-note demands.

        Raises
        ------
        CheckpointError
            Another log, or a signature is missing or does not fit.
        """
        note = SignedNote(text=self.body(), signatures=self.signatures)
        _verify_note(note, vkey, witnesses)
        if self.origin != vkey.name:
            raise CheckpointError("the checkpoint is of another log than the key")


def _verify_note(note: SignedNote, vkey: VerifyingKey, witnesses: Sequence[VerifyingKey]) -> None:
    signed = note.verify((vkey, *witnesses))
    for key in (vkey, *witnesses):
        if key not in signed:
            raise CheckpointError(f"the checkpoint lacks the signature of '{key.name}'")


def verify_checkpoint(
    data: bytes, vkey: VerifyingKey, *, witnesses: Sequence[VerifyingKey] = ()
) -> Checkpoint:
    """Return a checkpoint whose signatures hold; its body is read only after them.

    Parameters
    ----------
    data
        Signed note.
    vkey
        Key of the log; its name is the origin that is expected.
    witnesses
        Keys of witnesses that must all have cosigned.

    Raises
    ------
    CheckpointError
        Malformed, of another log, or a signature is missing or does not fit.
    """
    # 1. Split text and signature lines.
    note = SignedNote.parse(data)
    # 2. Verify the signatures over the text.
    _verify_note(note, vkey, witnesses)
    # 3. Parse the text.
    checkpoint = Checkpoint._from_note(note)
    # 4. It must speak of this log.
    if checkpoint.origin != vkey.name:
        raise CheckpointError("the checkpoint is of another log than the key")
    return checkpoint
