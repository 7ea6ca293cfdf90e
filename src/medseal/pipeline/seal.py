"""Seal images: read, digest, fingerprint, encrypt, store, commit to the ledger."""

import secrets
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from medseal.errors import MedsealError
from medseal.imaging import read_with_digests
from medseal.imaging.files import read_file
from medseal.ledger import Event, EventKind, Opening, now_ms
from medseal.ledger import commit as commitment
from medseal.pipeline.commit import Entry, commit
from medseal.pipeline.records import SealedRecord, image_context
from medseal.pipeline.workspace import Workspace
from medseal.protection.encryption import seal as seal_package
from medseal.protection.tamper import fingerprint
from medseal.vault import ImageRecord

__all__ = ["SealOutcome", "seal"]

# A commit costs a few flushes however many images it holds; more only delays the receipts.
BATCH_IMAGES = 64
# Hashing, encryption and flushing release the interpreter, so a second thread hides them.
WORKERS = 2
_SALT_BYTES = 32


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


def seal(workspace: Workspace, files: Iterable[Path]) -> Iterator[SealOutcome]:
    """Seal every file and yield its outcome once it is durable, in the order given.

    A file that cannot be read yields ``failed`` and the others go on. Every outcome that was
    yielded survives a crash; the rest is as if it had not been tried.

    Parameters
    ----------
    workspace
        Open.
    files
        Image files of any readable format.
    """
    waiting: deque[tuple[Path, Future[Entry]]] = deque()
    source = iter(files)
    with ThreadPoolExecutor(max_workers=WORKERS, thread_name_prefix="seal") as pool:
        try:
            while True:
                for file in islice(source, 2 * BATCH_IMAGES - len(waiting)):
                    waiting.append((file, pool.submit(_prepare, workspace, file)))
                if not waiting:
                    return
                batch = [waiting.popleft() for _ in range(min(BATCH_IMAGES, len(waiting)))]
                yield from _commit_batch(workspace, batch)
        finally:
            for _, future in waiting:
                future.cancel()


def _prepare(workspace: Workspace, file: Path) -> Entry:
    """Return the entry of one file, its package staged; nothing is visible yet."""
    data = read_file(file)
    image, digests = read_with_digests(data, name=str(file))
    image_id = secrets.token_hex(16)
    salt = secrets.token_bytes(_SALT_BYTES)
    opening = Opening(salt=salt, values=digests.values, metadata=digests.dataset)
    subject = str(commitment(opening.salt, opening.values, opening.metadata))
    recipient = workspace.identity.recipient
    sealed_record = SealedRecord(
        subject=image_id,
        salt=salt,
        digests=digests,
        fingerprint=fingerprint(image, workspace.keys.fingerprint, values=digests.values),
    ).to_sealed(recipient)
    package = seal_package(data, [recipient], associated_data=image_context(image_id, image))
    blob = workspace.store.stage(package.to_bytes())
    event = Event.new(EventKind.SEAL, actor=workspace.owner, subject=subject)
    record = ImageRecord(
        image_id=image_id,
        state="pending",
        package=blob.address,
        size_bytes=blob.size_bytes,
        identity_key=workspace.keys.identity_key(digests),
        values_key=workspace.keys.values_key(digests.values),
        instance_key=workspace.keys.instance_key(image),
        geometry_key=workspace.keys.geometry_key(image),
        patient_key=workspace.keys.patient_key(str(image.attributes.get("PatientID", ""))),
        sealed_record=sealed_record,
        commitment=subject,
        leaf=event.leaf(),
        created_ms=now_ms(),
    )
    return Entry(record=record, event=event, opening=opening, blob=blob)


def _commit_batch(
    workspace: Workspace, batch: Sequence[tuple[Path, Future[Entry]]]
) -> Iterator[SealOutcome]:
    """Commit what could be prepared and yield the outcome of every file of the batch."""
    prepared = [(file, _result(future)) for file, future in batch]
    entries = [entry for _, entry in prepared if isinstance(entry, Entry)]
    try:
        with workspace.lock():
            fresh, known = _without_known(workspace, entries)
            receipts = commit(workspace, fresh)
    except MedsealError as error:
        for entry in entries:
            _discard(workspace, entry)
        for file, _ in prepared:
            yield _failed(file, error)
        return
    written = {id(entry): receipt for entry, receipt in zip(fresh, receipts, strict=True)}
    for file, item in prepared:
        if isinstance(item, MedsealError):
            yield _failed(file, item)
        elif id(item) in written:
            yield _done(file, _image_record(item).image_id, "sealed", written[id(item)])
        else:
            record = known[id(item)]
            receipt = workspace.receipt_of(record)
            yield _done(file, record.image_id, "already-sealed", receipt)


def _result(future: Future[Entry]) -> Entry | MedsealError:
    try:
        return future.result()
    except MedsealError as error:
        return error


def _discard(workspace: Workspace, entry: Entry) -> None:
    if entry.blob is not None:
        workspace.store.discard(entry.blob)


def _image_record(entry: Entry) -> ImageRecord:
    if not isinstance(entry.record, ImageRecord):
        raise TypeError("sealing makes image records")
    return entry.record


def _without_known(
    workspace: Workspace, entries: Sequence[Entry]
) -> tuple[list[Entry], dict[int, ImageRecord]]:
    """Split off the entries whose image is sealed already, here or earlier in the batch."""
    keys = [_image_record(entry).identity_key or b"" for entry in entries]
    sealed = workspace.catalogue.sealed_identities(keys)
    fresh: list[Entry] = []
    known: dict[int, ImageRecord] = {}
    for key, entry in zip(keys, entries, strict=True):
        if key in sealed:
            known[id(entry)] = sealed[key]
            _discard(workspace, entry)
        else:
            sealed[key] = _image_record(entry)
            fresh.append(entry)
    return fresh, known


def _done(file: Path, image_id: str, status: str, receipt: Path) -> SealOutcome:
    return SealOutcome(file=file, image_id=image_id, status=status, receipt=receipt)


def _failed(file: Path, error: MedsealError) -> SealOutcome:
    return SealOutcome(
        file=file,
        image_id=None,
        status="failed",
        receipt=None,
        error=str(error) if str(file) in str(error) else f"{file}: {error}",
        exit_code=error.exit_code,
    )
