"""Open a sealed image: check the grant, verify, decrypt, log, hand out."""

from dataclasses import dataclass
from pathlib import Path

from medseal.errors import DigestMismatchError, PayloadAuthenticationError
from medseal.imaging import ImageDigests, MedicalImage, read_with_digests
from medseal.imaging.files import check_output, write_file
from medseal.ledger import EventKind
from medseal.pipeline.access import authorize, find_image
from medseal.pipeline.output import encode_copy, is_original_format
from medseal.pipeline.records import SealedRecord, image_context
from medseal.pipeline.workspace import OWNER, Workspace
from medseal.protection.encryption import SealedPackage
from medseal.protection.encryption import open as open_package
from medseal.vault import ImageRecord

__all__ = ["OpenOutcome", "OpenedImage", "open_image", "unseal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedImage:
    """A sealed image in memory, verified.

    Attributes
    ----------
    record
        Its row.
    data
        The file that was sealed, byte for byte.
    image, digests
        The same, decoded.
    """

    record: ImageRecord
    data: bytes
    image: MedicalImage
    digests: ImageDigests


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenOutcome:
    """What `open_image` did.

    Attributes
    ----------
    image_id
        The image.
    file
        Where it was written.
    exact
        ``file`` when every byte equals the sealed file, ``stored-values`` when the output has
        equal stored values, ``colours`` when those of the sealed file are palette indices and
        those of the output are the colours.
    receipt
        Path of the receipt.
    source
        ``vault``, or ``release-file`` where the mark was taken out of a release's file.
    release_id
        The release whose file was given; None otherwise.
    metadata_as_recorded
        Of a release's file: whether its data elements, which the output keeps, are those that the
        ledger has. None for ``vault``.
    """

    image_id: str
    file: Path
    exact: str
    receipt: Path
    source: str = "vault"
    release_id: str | None = None
    metadata_as_recorded: bool | None = None


def unseal(workspace: Workspace, record: ImageRecord) -> OpenedImage:
    """Return a sealed image, in memory only, after every check.

    1. The blob's digest is its address. 2. The package authenticates. 3. Its associated data name
    this image and its shape. 4. The bytes have the digest that was committed.

    Raises
    ------
    StorageError, DigestMismatchError, PackageError
        One of the checks fails.
    """
    if record.package is None or record.sealed_record is None:
        raise DigestMismatchError(
            f"image {record.image_id} has no package; restore the catalogue from a backup",
            expected="a package",
            actual="none",
        )
    # 1.
    package = SealedPackage.from_bytes(workspace.store.get(record.package))
    # 2.
    data = open_package(package, workspace.identity)
    # 3.
    image, digests = read_with_digests(data, name=f"image {record.image_id}")
    if package.associated_data != image_context(record.image_id, image):
        raise PayloadAuthenticationError(
            f"image {record.image_id}: the package is that of another image; restore a backup"
        )
    # 4.
    sealed = SealedRecord.from_sealed(
        record.sealed_record, workspace.identity, subject=record.image_id
    )
    if sealed.digests.file != digests.file:
        raise DigestMismatchError(
            f"image {record.image_id}: the content differs from what was sealed",
            expected=str(sealed.digests.file),
            actual=str(digests.file),
        )
    return OpenedImage(record=record, data=data, image=image, digests=digests)


def open_image(
    workspace: Workspace,
    image_id: str,
    output: Path,
    *,
    name: str = OWNER,
    purpose: str | None = None,
) -> OpenOutcome:
    """Write the original of a sealed image for `name`.

    With the suffix of the sealed format, or none, the output is the sealed file byte for byte;
    with another suffix it is written in that format, stored values equal.

    Raises
    ------
    UnknownImageError
        No such image.
    AccessRefusedError
        No grant covers it; the refusal is on the ledger.
    VerificationError
        What is stored is not what was sealed; nothing is written.
    InputError
        The format of `output` cannot hold the stored values.
    """
    record = find_image(workspace, image_id)
    account = authorize(workspace, record, name, "view", purpose=purpose)
    check_output(output)
    opened = unseal(workspace, record)
    exact = is_original_format(opened.image, output)
    content = opened.data if exact else encode_copy(opened.image, output)
    # The use is on the ledger before the plaintext is: an open without a trace cannot happen.
    receipt = workspace.record_event(
        EventKind.OPEN, actor=account, subject=record.commitment, details={"action": "view"}
    )
    write_file(content, output)
    return OpenOutcome(
        image_id=image_id,
        file=output,
        exact="file" if exact else "stored-values",
        receipt=receipt,
    )
