"""Release an image: check the grant, de-identify, watermark, log, write."""

import dataclasses
import secrets
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import UnsupportedImageError, WatermarkCapacityError
from medseal.imaging import ImageDigests, MedicalImage, read_with_digests, values_digest
from medseal.imaging.attachment import DICOM_GROUP, MAX_ATTACHMENT_BYTES, PRIVATE_CREATOR
from medseal.imaging.deidentification_report import (
    DeidentificationEntry,
    DeidentificationReport,
)
from medseal.imaging.deidentify import deidentify
from medseal.imaging.derive import derived_copy
from medseal.imaging.files import check_output, write_file
from medseal.ledger import Event, EventKind, Opening, now_ms
from medseal.ledger import commit as commitment
from medseal.pipeline.access import authorize, find_image
from medseal.pipeline.commit import Entry, commit
from medseal.pipeline.fidelity import compare_images
from medseal.pipeline.open import unseal
from medseal.pipeline.output import copy_format, encode_copy
from medseal.pipeline.records import SealedRecord
from medseal.pipeline.release_cipher import (
    CipherCopy,
    check_cipher_output,
    encrypt_release,
    package_beside,
)
from medseal.pipeline.side_information import seal_side_information
from medseal.pipeline.workspace import OWNER, Workspace
from medseal.protection.encryption import Identity, Recipient
from medseal.protection.tamper import fingerprint
from medseal.protection.watermark import Removable, embed_removable, remove
from medseal.vault import ImageRecord, ReleaseRecord

__all__ = ["ReleaseOutcome", "ReleaseRequest", "release"]

_RELEASE_ID_BYTES = 8
_DERIVATION = "de-identified, invisible watermark added"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseOutcome:
    """What `release` did.

    Attributes
    ----------
    release_id
        16 hexadecimal digits: the payload of the watermark.
    image_id, file
        Of what, and where.
    psnr_db
        Decibels against the original, over the VOI window range.
    ssim
        Structural similarity to the original, mean over frames and samples.
    receipt
        Path of the receipt.
    deidentification
        What was removed, and the private block that was added.
    side_information_bytes
        Length of the sealed side information in the file, by which the mark can be taken out; 0
        where it exceeds the limit and was left out.
    package
        Of a cipher image: the sealed package that opens it; None otherwise.
    """

    release_id: str
    image_id: str
    file: Path
    psnr_db: float
    ssim: float
    receipt: Path
    deidentification: DeidentificationReport
    side_information_bytes: int
    package: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What is to be released, and to whom.

    Attributes
    ----------
    image_id
        A sealed image.
    to
        Whom it is for; becomes an account.
    name
        Who releases; needs a ``share`` grant.
    purpose
        As for the grant.
    allow_burned_in
        Release although the data set says that text is burned into the image.
    cipher
        Write the copy as a cipher image of this form (``integer``, ``analog``, ``digital``).
    recipients
        Of a cipher image: who can open it; none for the workspace itself.
    """

    image_id: str
    to: str
    name: str = OWNER
    purpose: str | None = None
    allow_burned_in: bool = False
    cipher: str | None = None
    recipients: tuple[Recipient, ...] = ()


def release(workspace: Workspace, request: ReleaseRequest, output: Path) -> ReleaseOutcome:
    """Write a de-identified, watermarked copy of an image, with what takes the mark out again.

    The record is on the ledger before the copy is on the disk.

    Parameters
    ----------
    workspace
        Open.
    request
        What and to whom.
    output
        File to write; the suffix chooses the format, none keeps that of the original.

    Raises
    ------
    UnknownImageError, AccessRefusedError
        No such image; no grant.
    WatermarkCapacityError
        The image cannot carry a mark, so it cannot be released.
    DeidentificationError
        Something identifying would remain; nothing is written.
    """
    record = find_image(workspace, request.image_id)
    account = authorize(workspace, record, request.name, "share", purpose=request.purpose)
    check_output(output)
    if request.cipher is not None:
        check_cipher_output(output)
    opened = unseal(workspace, record)
    copy_format(opened.image, output)
    recipient = workspace.remember_name(request.to)
    plain, report = deidentify(
        opened.image,
        key=workspace.keys.deidentification(recipient),
        allow_burned_in=request.allow_burned_in,
    )
    plain = derived_copy(plain, description=_DERIVATION)
    release_id = secrets.token_bytes(_RELEASE_ID_BYTES).hex()
    copy = _marked_copy(workspace, plain, output, release_id=release_id, image_id=record.image_id)
    cipher = _cipher_copy(workspace, request, copy, output)
    entry = _entry(workspace, record, copy, account=account, recipient=recipient)
    with workspace.lock():
        [receipt] = commit(workspace, [entry])
    if cipher is not None:
        write_file(cipher.package, package_beside(output))
    write_file(copy.content if cipher is None else cipher.content, output)
    quality = compare_images(plain, copy.image)
    return ReleaseOutcome(
        release_id=release_id,
        image_id=record.image_id,
        file=output,
        psnr_db=quality.psnr_db,
        ssim=quality.ssim,
        receipt=receipt,
        deidentification=_with_private_block(report, copy),
        side_information_bytes=copy.side_information_bytes,
        package=None if cipher is None else package_beside(output),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _MarkedCopy:
    """A release on its way: the file, what its recipient will read, the key of what it carries."""

    release_id: str
    content: bytes
    image: MedicalImage
    digests: ImageDigests
    removal: Identity | None
    side_information_bytes: int


def _marked_copy(
    workspace: Workspace, plain: MedicalImage, output: Path, *, release_id: str, image_id: str
) -> _MarkedCopy:
    """Return the file of a release, read again and proven to lead back to `plain`.

    Side information beyond `MAX_ATTACHMENT_BYTES` stays out of the file.
    """
    marked = _marked(plain, bytes.fromhex(release_id), workspace.keys.watermark, image_id=image_id)
    values = values_digest(marked.image)
    removal = Identity.generate()
    package = seal_side_information(
        marked.side_information, removal, release_id=release_id, values=values
    )
    fits = len(package) <= MAX_ATTACHMENT_BYTES
    content = encode_copy(marked.image, output, attachment=package if fits else b"")
    # The record speaks of the file as its recipient will read it.
    image, digests = read_with_digests(content, name=str(output))
    if fits:
        # Raises where the file would not lead back; later nobody could mend that.
        remove(image, marked.side_information)
    return _MarkedCopy(
        release_id=release_id,
        content=content,
        image=image,
        digests=digests,
        removal=removal if fits else None,
        side_information_bytes=len(package) if fits else 0,
    )


def _cipher_copy(
    workspace: Workspace, request: ReleaseRequest, copy: _MarkedCopy, output: Path
) -> CipherCopy | None:
    """Return the cipher image in whose form the copy leaves, where one was asked for."""
    if request.cipher is None:
        return None
    recipients = request.recipients or (workspace.identity.recipient,)
    return encrypt_release(
        copy.image, copy.content, output, form=request.cipher, recipients=recipients
    )


def _entry(
    workspace: Workspace, record: ImageRecord, copy: _MarkedCopy, *, account: str, recipient: str
) -> Entry:
    """Return the record of a release with its leaf on the ledger."""
    digests, keys = copy.digests, workspace.keys
    opening = Opening(salt=secrets.token_bytes(32), values=digests.values, metadata=digests.dataset)
    subject = str(commitment(opening.salt, opening.values, opening.metadata))
    event = Event.new(
        EventKind.RELEASE,
        actor=account,
        subject=subject,
        details={"image": record.commitment, "recipient": recipient},
    )
    sealed_record = SealedRecord(
        subject=copy.release_id,
        salt=opening.salt,
        digests=digests,
        fingerprint=fingerprint(copy.image, keys.fingerprint, values=digests.values),
        removal=copy.removal,
    ).to_sealed(workspace.identity.recipient)
    row = ReleaseRecord(
        release_id=copy.release_id,
        image_id=record.image_id,
        account=recipient,
        state="pending",
        values_key=keys.values_key(digests.values),
        instance_key=keys.instance_key(copy.image),
        geometry_key=keys.geometry_key(copy.image),
        sealed_record=sealed_record,
        commitment=subject,
        leaf=event.leaf(),
        created_ms=now_ms(),
    )
    return Entry(record=row, event=event, opening=opening)


def _with_private_block(
    report: DeidentificationReport, copy: _MarkedCopy
) -> DeidentificationReport:
    """Say in the report that a DICOM copy has one private block after all: ours, encrypted."""
    if copy.image.source_format != "dicom" or copy.removal is None:
        return report
    added = DeidentificationEntry(
        tag=f"{DICOM_GROUP:04X},0010", keyword=PRIVATE_CREATOR, action="added", count=1
    )
    return dataclasses.replace(report, entries=(*report.entries, added))


def _marked(image: MedicalImage, payload: bytes, key: bytes, *, image_id: str) -> Removable:
    """Return the image with its mark; an error names the image."""
    try:
        return embed_removable(image, payload, key)
    except (WatermarkCapacityError, UnsupportedImageError) as error:
        raise type(error)(f"image {image_id} cannot be released: {error}") from error
