"""Exact rivals: digest of the file, digest of the decoded values, signature over them."""

import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from medseal.imaging import MedicalImage, values_digest
from medseal.protection.tamper.baselines.method import Reading

__all__ = ["FileHash", "Signature", "ValuesHash"]

_THRESHOLD = 0.5


def _reading(*, equal: bool) -> Reading:
    return Reading(score=0.0 if equal else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHash:
    """SHA-256 over values and header.

    What a container adds to the values is represented by its format, the decoder of the format
    and the header's own elements: another encoding of the same values gives another digest.
    """

    name: str = "SHA-256 of the file"
    threshold: float = _THRESHOLD
    is_blind: bool = False

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the digest."""
        values = image.stored_values
        header = (
            image.source_format,
            image.decoder,
            image.photometric_interpretation,
            image.bits_stored,
            values.dtype.str,
            values.shape,
            sorted((name, str(value)) for name, value in image.attributes.items()),
        )
        return hashlib.sha256(repr(header).encode() + values.tobytes()).digest()

    def compare(self, image: MedicalImage, record: bytes) -> Reading:
        """Return 1 unless every byte is equal."""
        return _reading(equal=self.enrol(image) == record)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValuesHash:
    """SHA-256 over the decoded values: survives every lossless transcode, and nothing else."""

    name: str = "SHA-256 of the values"
    threshold: float = _THRESHOLD
    is_blind: bool = False

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the digest."""
        return values_digest(image).value

    def compare(self, image: MedicalImage, record: bytes) -> Reading:
        """Return 1 unless every value is equal."""
        return _reading(equal=self.enrol(image) == record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Ed25519 over the digest of the decoded values, as RFC 8032 defines it.

    Attributes
    ----------
    private_key
        Its public part verifies.
    """

    private_key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate, repr=False)
    name: str = "Ed25519 over the values"
    threshold: float = _THRESHOLD
    is_blind: bool = False

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the signature."""
        return self.private_key.sign(values_digest(image).value)

    def compare(self, image: MedicalImage, record: bytes) -> Reading:
        """Return 1 unless the signature fits."""
        try:
            self.private_key.public_key().verify(record, values_digest(image).value)
        except InvalidSignature:
            return _reading(equal=False)
        return _reading(equal=True)
