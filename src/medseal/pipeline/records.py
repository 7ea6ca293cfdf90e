"""The sealed record of an image or release: what verification and erasure need, encrypted."""

import base64
import binascii
from dataclasses import dataclass
from typing import Self

from medseal.digest import Digest, JsonValue, canonical_json, parse_canonical_json
from medseal.errors import CatalogueError, InputError
from medseal.imaging import ImageDigests, MedicalImage
from medseal.ledger import Opening
from medseal.ledger.merkle import leaf_hash
from medseal.protection.encryption import Identity, Recipient, SealedPackage, seal
from medseal.protection.encryption import open as open_package
from medseal.protection.tamper import Fingerprint

__all__ = ["SealedRecord", "image_context", "leaf_digest"]

_VERSION = 1


def image_context(image_id: str, image: MedicalImage) -> bytes:
    """Return the associated data of an image's package: version, image id and shape."""
    return canonical_json(
        {
            "v": _VERSION,
            "image_id": image_id,
            "frames": image.frames,
            "rows": image.rows,
            "columns": image.columns,
            "samples": image.samples,
            "bits_stored": image.bits_stored,
        }
    )


def leaf_digest(leaf: bytes) -> Digest:
    """Return the hash under which the log knows a leaf."""
    return Digest(leaf_hash(leaf))


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRecord:
    """What stands encrypted beside an image or a release in the catalogue.

    Attributes
    ----------
    subject
        Image or release identifier; bound as associated data.
    salt
        32 bytes that open the commitment on the ledger. Erasure destroys it.
    digests
        The four digests, with the decoder's name.
    fingerprint
        Keyed tile MACs over the stored values.
    removal
        Opens the side information in a release's file; None for an image, and for a release whose
        file carries none. Erasure destroys it.
    """

    subject: str
    salt: bytes
    digests: ImageDigests
    fingerprint: Fingerprint
    removal: Identity | None = None

    def to_sealed(self, recipient: Recipient) -> bytes:
        """Return the record as a sealed package for `recipient`."""
        text = base64.b64encode(self.fingerprint.to_bytes()).decode()
        value: dict[str, JsonValue] = {
            "v": _VERSION,
            "salt": self.salt.hex(),
            "file": str(self.digests.file),
            "dataset": str(self.digests.dataset),
            "frames": str(self.digests.frames),
            "values": str(self.digests.values),
            "decoder": self.digests.decoder,
            "fingerprint": text,
            "container": self.digests.container,
        }
        if self.removal is not None:
            value["removal"] = self.removal.to_text()
        package = seal(canonical_json(value), [recipient], associated_data=self.subject.encode())
        return package.to_bytes()

    @property
    def opening(self) -> Opening:
        """What opens the commitment on the ledger."""
        return Opening(salt=self.salt, values=self.digests.values, metadata=self.digests.dataset)

    @classmethod
    def from_sealed(cls, data: bytes, identity: Identity, *, subject: str) -> Self:
        """Return the record of `subject`.

        Raises
        ------
        PackageError
            The package does not open for this identity.
        CatalogueError
            It belongs to another subject, or its content is malformed.
        """
        package = SealedPackage.from_bytes(data)
        plain = open_package(package, identity)
        if package.associated_data != subject.encode():
            raise CatalogueError("catalogue: a record stands beside another image; restore it")
        try:
            value = parse_canonical_json(plain)
            if not isinstance(value, dict) or value.pop("v") != _VERSION:
                raise CatalogueError("catalogue: a record has an unknown version; update medseal")
            return cls(
                subject=subject,
                salt=bytes.fromhex(value["salt"]),
                digests=ImageDigests(
                    file=Digest.parse(value["file"]),
                    dataset=Digest.parse(value["dataset"]),
                    frames=Digest.parse(value["frames"]),
                    values=Digest.parse(value["values"]),
                    decoder=value["decoder"],
                    container=value["container"],
                ),
                fingerprint=Fingerprint.from_bytes(base64.b64decode(value["fingerprint"])),
                removal=Identity.from_text(value["removal"]) if "removal" in value else None,
            )
        except (InputError, KeyError, TypeError, ValueError, binascii.Error) as error:
            raise CatalogueError("catalogue: a record is malformed; restore a backup") from error
