"""The audit trail of an image, a release or a person: each entry with a proof that was verified."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from medseal.errors import ConfigurationError, StorageError, UnknownImageError
from medseal.imaging.files import write_file
from medseal.ledger import Receipt, verify
from medseal.ledger.history import Record, concerning, history, image_of, other_account
from medseal.pipeline.connection import refused_entries
from medseal.pipeline.workspace import Workspace

__all__ = ["TrailEntry", "audit_trail", "trail_row", "write_proofs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailEntry:
    """One entry of the trail.

    Attributes
    ----------
    record
        The entry, with what the log tells about it.
    receipt
        Its proof, verified under the key of the log; it holds no opening.
    image_id
        The image it is about, where the workspace knows one.
    name, other_name
        Name of the actor, and of whom the entry is about besides; None unless names were asked
        for, and for accounts that the workspace does not know.
    """

    record: Record
    receipt: Receipt
    image_id: str | None
    name: str | None
    other_name: str | None


def audit_trail(
    workspace: Workspace, what: str | None = None, *, with_names: bool = False
) -> Iterator[TrailEntry]:
    """Yield what was done to an image or by a person, oldest first; each entry is proven.

    Parameters
    ----------
    workspace
        Open.
    what
        Image id, release id, name, account, or commitment; None for the whole log.
    with_names
        Whether names are resolved. Without, the trail tells accounts only.

    Raises
    ------
    UnknownImageError
        Nothing here has this name.
    LedgerError
        A proof does not verify: the log is damaged.
    """
    subjects, accounts = (None, None) if what is None else _resolve(workspace, what)
    names = workspace.names() if with_names else {}
    images = _images(workspace, what)
    head = workspace.log.checkpoint()
    words = (subjects or frozenset()) | (accounts or frozenset())
    wanted = concerning(words) if words else None
    entries = workspace.log.events(0, head.size, wanted=wanted)
    refused = refused_entries(workspace.ledger)
    for record in history(entries, subjects=subjects, accounts=accounts, refused=refused):
        receipt = workspace.ledger.prove(record.index)
        verify(receipt, workspace.log.vkey)
        yield TrailEntry(
            record=record,
            receipt=receipt,
            image_id=images.get(image_of(record.event)),
            name=names.get(record.event.actor),
            other_name=names.get(other_account(record.event)),
        )


def _resolve(
    workspace: Workspace, what: str
) -> tuple[frozenset[str] | None, frozenset[str] | None]:
    """Return the commitments, or the accounts, that a word stands for."""
    image = workspace.catalogue.image(what)
    if image is not None:
        releases = workspace.catalogue.releases_of(image.image_id)
        return frozenset({image.commitment, *(each.commitment for each in releases)}), None
    release = workspace.catalogue.release(what)
    if release is not None:
        return frozenset({release.commitment}), None
    if what.startswith("sha256:"):
        return frozenset({what}), None
    accounts = {account for account, name in workspace.names().items() if what in (account, name)}
    if not accounts:
        raise UnknownImageError(f"no image, release or name '{what}' here; check its spelling")
    return None, frozenset(accounts)


def _images(workspace: Workspace, what: str | None) -> dict[str, str]:
    """Return the image ids by commitment; of erased ones, the one that was asked for."""
    images = {record.commitment: record.image_id for record in workspace.catalogue.images()}
    asked = None if what is None else workspace.catalogue.image(what)
    return images if asked is None else images | {asked.commitment: asked.image_id}


def trail_row(entry: TrailEntry, *, proof: Path | None = None) -> dict[str, object]:
    """Return an entry as plain values, for one line of JSON.

    Parameters
    ----------
    entry
        The entry.
    proof
        File of its receipt, where one was written.
    """
    record = entry.record
    event = record.event
    moment = datetime.fromtimestamp(event.at_ms / 1000, UTC)
    return {
        "index": record.index,
        "at": moment.isoformat(timespec="milliseconds"),
        "kind": str(event.kind),
        "actor": event.actor,
        "name": entry.name,
        "roles": [str(role) for role in record.roles],
        "account": other_account(event),
        "account_name": entry.other_name,
        "image_id": entry.image_id,
        "subject": event.subject,
        "outcome": record.outcome,
        "reason": record.reason,
        "basis": record.basis,
        "purpose": record.purpose,
        "details": dict(event.details),
        "proven_in": entry.receipt.size,
        "proof": str(proof) if proof is not None else None,
    }


def write_proofs(entry: TrailEntry, folder: Path) -> Path:
    """Write the receipt of an entry into a folder, which is made, and return its path.

    Raises
    ------
    ConfigurationError
        Something else than a folder stands there.
    StorageError
        The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigurationError(f"{folder} is no folder; choose another for --proofs") from None
    except OSError as error:
        reason = (error.strerror or "input/output error").lower()
        raise StorageError(f"{folder}: {reason}; choose another for --proofs") from error
    path = folder / f"entry-{entry.record.index}.receipt"
    write_file(entry.receipt.to_bytes(), path)
    return path
