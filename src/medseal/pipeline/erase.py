"""Erase an image or a patient: file key, salt and lookups go, the proof stays."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import UnknownImageError
from medseal.ledger import Action, EventKind
from medseal.pipeline.access import find_image
from medseal.pipeline.workspace import Workspace
from medseal.vault import ImageRecord, erase_image

__all__ = ["EraseOutcome", "erase", "erase_patient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseOutcome:
    """What was erased.

    Attributes
    ----------
    image_id
        The image.
    releases
        How many release records went with it. Copies that left cannot be called back.
    receipt
        Path of the receipt of the erasure.
    """

    image_id: str
    releases: int
    receipt: Path


def erase(workspace: Workspace, image_id: str) -> EraseOutcome:
    """Destroy the package, the salts and the receipts of one image.

    The erasure is on the ledger first; an interrupted one is finished by running it again.

    Raises
    ------
    UnknownImageError
        No such image, or it was erased already.
    """
    return _erase(workspace, find_image(workspace, image_id))


def erase_patient(workspace: Workspace, patient_id: str) -> Iterator[EraseOutcome]:
    """Erase every image of a patient, by the PatientID it was sealed with.

    Raises
    ------
    UnknownImageError
        There is no image of this patient.
    """
    key = workspace.keys.patient_key(patient_id)
    records = workspace.catalogue.images_by_patient(key) if key is not None else []
    if not records:
        raise UnknownImageError("no sealed image has this patient ID; check its spelling")
    for record in records:
        yield _erase(workspace, record)


def _erase(workspace: Workspace, record: ImageRecord) -> EraseOutcome:
    receipt = _erasure_receipt(workspace, record)
    releases = workspace.catalogue.releases_of(record.image_id)
    for name in (record.image_id, *(release.release_id for release in releases)):
        # These receipts hold the salts.
        workspace.receipt_path(name).unlink(missing_ok=True)
    workspace.consent_path(record.image_id).unlink(missing_ok=True)
    erase_image(record, workspace.catalogue, workspace.store)
    return EraseOutcome(image_id=record.image_id, releases=len(releases), receipt=receipt)


def _erasure_receipt(workspace: Workspace, record: ImageRecord) -> Path:
    """Record the erasure, or find the entry of one that was interrupted after its record."""
    state = workspace.ledger.may(workspace.owner, record.commitment, Action.VIEW)
    if state.reason != "erased":
        return workspace.record_event(
            EventKind.ERASE, actor=workspace.owner, subject=record.commitment
        )
    index = next(
        index
        for index, event in workspace.ledger.events()
        if event.kind is EventKind.ERASE and event.subject == record.commitment
    )
    return workspace.keep_receipt(workspace.ledger.prove(index))
