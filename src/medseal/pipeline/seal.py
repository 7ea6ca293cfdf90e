"""Seal images: read, digest, fingerprint, encrypt, store, commit to the ledger."""

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from medseal.errors import MedsealError, StorageError, UnreadableImageError
from medseal.imaging import read_with_digests
from medseal.imaging.files import read_file
from medseal.ledger import Event, EventKind, Opening, new_salt, now_ms
from medseal.ledger import commit as commitment
from medseal.pipeline.commit import Entry, commit
from medseal.pipeline.records import SealedRecord, image_context
from medseal.pipeline.workers import Crashed, in_order
from medseal.pipeline.workspace import Workspace
from medseal.protection.encryption import seal as seal_package
from medseal.protection.tamper import fingerprint
from medseal.vault import ImageRecord, StagedBlob

__all__ = ["SealOutcome", "seal"]

# A commit costs a few flushes however many images it holds; more only delays the receipts.
BATCH_IMAGES = 64
WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class SealOutcome:
    """What became of one file.

    Attributes
    ----------
    file
        As given.
    image_id
        None when it failed.
    status
        ``sealed``, ``already-sealed`` or ``failed``.
    receipt
        Path of the receipt, or None.
    error
        One line, or None.
    exit_code
        0, or the exit code of the error.
    """

    file: Path
    image_id: str | None
    status: str
    receipt: Path | None
    error: str | None = None
    exit_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A file that is read, checked, encrypted and staged, and not yet visible."""

    record: ImageRecord
    opening: Opening
    blob: StagedBlob


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """A file that cannot be sealed; errors with arguments do not travel between processes."""

    message: str
    exit_code: int


def seal(workspace: Workspace, files: Iterable[Path]) -> Iterator[SealOutcome]:
    """Seal every file and yield its outcome once it is durable, in the order given.

    A file that cannot be read yields ``failed`` and the others go on, even where a decoder takes
    its process down. Every outcome that was yielded survives a crash; the rest is as if it had
    not been tried.

    Parameters
    ----------
    workspace
        Open.
    files
        Image files of any readable format.
    """
    prepared = in_order(
        partial(_prepare, workspace), files, workers=WORKERS, window=2 * BATCH_IMAGES
    )
    while batch := list(islice(prepared, BATCH_IMAGES)):
        yield from _commit_batch(workspace, batch)


def _prepare(workspace: Workspace, file: Path) -> _Prepared | _Failed:
    try:
        return _stage(workspace, file)
    except MedsealError as error:
        return _Failed(message=str(error), exit_code=error.exit_code)
    except MemoryError:
        message = f"{file}: not enough memory to decode it; seal it on a larger machine"
        return _Failed(message=message, exit_code=UnreadableImageError.exit_code)


def _stage(workspace: Workspace, file: Path) -> _Prepared:
    """Return one file as it goes into the workspace, its package staged.

    Runs in a worker: it reads the workspace's keys and writes to the store, nothing else.
    """
    data = read_file(file)
    image, digests = read_with_digests(data, name=str(file))
    image_id = secrets.token_hex(16)
    opening = Opening(salt=new_salt(), values=digests.values, metadata=digests.dataset)
    subject = str(commitment(opening.salt, opening.values, opening.metadata))
    recipient = workspace.identity.recipient
    sealed_record = SealedRecord(
        subject=image_id,
        salt=opening.salt,
        digests=digests,
        fingerprint=fingerprint(image, workspace.keys.fingerprint, values=digests.values),
    ).to_sealed(recipient)
    package = seal_package(data, [recipient], associated_data=image_context(image_id, image))
    blob = workspace.store.stage(package.to_bytes())
    keys = workspace.keys
    record = ImageRecord(
        image_id=image_id,
        state="pending",
        package=blob.address,
        size_bytes=blob.size_bytes,
        identity_key=keys.identity_key(digests),
        values_key=keys.values_key(digests.values),
        instance_key=keys.instance_key(image),
        geometry_key=keys.geometry_key(image),
        patient_key=keys.patient_key(str(image.attributes.get("PatientID", ""))),
        sealed_record=sealed_record,
        commitment=subject,
        leaf=Event.new(EventKind.SEAL, actor=workspace.owner, subject=subject).leaf(),
        created_ms=now_ms(),
    )
    return _Prepared(record=record, opening=opening, blob=blob)


def _commit_batch(
    workspace: Workspace, batch: Sequence[tuple[Path, _Prepared | _Failed | Crashed]]
) -> Iterator[SealOutcome]:
    """Commit what could be prepared and yield the outcome of every file of the batch."""
    ready = [item for _, item in batch if isinstance(item, _Prepared)]
    try:
        with workspace.lock():
            fresh, known = _without_known(workspace, ready)
            receipts = commit(workspace, [_entry(item) for item in fresh])
    except MedsealError as error:
        for staged in ready:
            workspace.store.discard(staged.blob)
        for file, _ in batch:
            yield _failed(file, _Failed(message=str(error), exit_code=error.exit_code))
        return
    written = {item.record.image_id: receipt for item, receipt in zip(fresh, receipts, strict=True)}
    for file, item in batch:
        if not isinstance(item, _Prepared):
            yield _failed(file, item)
            continue
        image_id = item.record.image_id
        if image_id in written:
            yield _done(file, image_id, "sealed", written[image_id])
        else:
            yield _already_sealed(workspace, file, known[image_id])


def _already_sealed(workspace: Workspace, file: Path, record: ImageRecord) -> SealOutcome:
    """Return the outcome of a file that is sealed, unless its object has been lost since."""
    if record.package is not None and record.package not in workspace.store:
        message = (
            f"{file}: sealed as {record.image_id}, but the object is gone; restore it from a "
            "backup, or erase that image and seal the file again"
        )
        return _failed(file, _Failed(message=message, exit_code=StorageError.exit_code))
    receipt = workspace.receipt_of(record)
    return _done(file, record.image_id, "already-sealed", receipt)


def _entry(item: _Prepared) -> Entry:
    event = Event.parse(item.record.leaf)
    return Entry(record=item.record, event=event, opening=item.opening, blob=item.blob)


def _without_known(
    workspace: Workspace, ready: Sequence[_Prepared]
) -> tuple[list[_Prepared], dict[str, ImageRecord]]:
    """Split off what is sealed already, here or earlier in the batch, by its new image id."""
    keys = [item.record.identity_key or b"" for item in ready]
    sealed = workspace.catalogue.sealed_identities(keys)
    fresh: list[_Prepared] = []
    known: dict[str, ImageRecord] = {}
    for key, item in zip(keys, ready, strict=True):
        if key in sealed:
            known[item.record.image_id] = sealed[key]
            workspace.store.discard(item.blob)
        else:
            sealed[key] = item.record
            fresh.append(item)
    return fresh, known


def _done(file: Path, image_id: str, status: str, receipt: Path) -> SealOutcome:
    return SealOutcome(file=file, image_id=image_id, status=status, receipt=receipt)


def _failed(file: Path, reason: _Failed | Crashed) -> SealOutcome:
    if isinstance(reason, Crashed):
        message = f"{file}: a decoder crashed on it; fetch the file again from its source"
        exit_code = UnreadableImageError.exit_code
    else:
        message, exit_code = reason.message, reason.exit_code
    return SealOutcome(
        file=file,
        image_id=None,
        status="failed",
        receipt=None,
        error=message if str(file) in message else f"{file}: {message}",
        exit_code=exit_code,
    )
