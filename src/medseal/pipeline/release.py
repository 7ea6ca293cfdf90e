"""Release an image: check the grant, de-identify, watermark, log, write."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import UnsupportedImageError, WatermarkCapacityError
from medseal.imaging import MedicalImage, read_with_digests
from medseal.imaging.deidentification_report import DeidentificationReport
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
from medseal.pipeline.workspace import OWNER, Workspace
from medseal.protection.tamper import fingerprint
from medseal.protection.watermark import embed
from medseal.vault import ReleaseRecord

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
        What was removed.
    """

    release_id: str
    image_id: str
    file: Path
    psnr_db: float
    ssim: float
    receipt: Path
    deidentification: DeidentificationReport


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
    """

    image_id: str
    to: str
    name: str = OWNER
    purpose: str | None = None
    allow_burned_in: bool = False


def release(workspace: Workspace, request: ReleaseRequest, output: Path) -> ReleaseOutcome:
    """Write a de-identified, watermarked copy of an image.

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
    opened = unseal(workspace, record)
    copy_format(opened.image, output)
    recipient = workspace.remember_name(request.to)
    plain, report = deidentify(
        opened.image,
        key=workspace.keys.deidentification(recipient),
        allow_burned_in=request.allow_burned_in,
    )
    plain = derived_copy(plain, description=_DERIVATION)
    payload = secrets.token_bytes(_RELEASE_ID_BYTES)
    marked = _marked(plain, payload, workspace.keys.watermark, image_id=record.image_id)
    content = encode_copy(marked, output)
    # The record speaks of the file as its recipient will read it.
    copy, digests = read_with_digests(content, name=str(output))
    opening = Opening(salt=secrets.token_bytes(32), values=digests.values, metadata=digests.dataset)
    subject = str(commitment(opening.salt, opening.values, opening.metadata))
    event = Event.new(
        EventKind.RELEASE,
        actor=account,
        subject=subject,
        details={"image": record.commitment, "recipient": recipient},
    )
    release_id = payload.hex()
    sealed_record = SealedRecord(
        subject=release_id,
        salt=opening.salt,
        digests=digests,
        fingerprint=fingerprint(copy, workspace.keys.fingerprint, values=digests.values),
    ).to_sealed(workspace.identity.recipient)
    row = ReleaseRecord(
        release_id=release_id,
        image_id=record.image_id,
        account=recipient,
        state="pending",
        values_key=workspace.keys.values_key(digests.values),
        instance_key=workspace.keys.instance_key(copy),
        geometry_key=workspace.keys.geometry_key(copy),
        sealed_record=sealed_record,
        commitment=subject,
        leaf=event.leaf(),
        created_ms=now_ms(),
    )
    with workspace.lock():
        [receipt] = commit(workspace, [Entry(record=row, event=event, opening=opening)])
    write_file(content, output)
    quality = compare_images(plain, copy)
    return ReleaseOutcome(
        release_id=release_id,
        image_id=record.image_id,
        file=output,
        psnr_db=quality.psnr_db,
        ssim=quality.ssim,
        receipt=receipt,
        deidentification=report,
    )


def _marked(image: MedicalImage, payload: bytes, key: bytes, *, image_id: str) -> MedicalImage:
    """Return the image with its mark; an error names the image."""
    try:
        return embed(image, payload, key)
    except (WatermarkCapacityError, UnsupportedImageError) as error:
        raise type(error)(f"image {image_id} cannot be released: {error}") from error
