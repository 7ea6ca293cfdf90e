"""One durable step for store, catalogue and ledger: pending row, blob, leaf, confirmation.

1. Insert the rows as ``pending``, with the bytes of their leaves.
2. Publish the staged packages.
3. Append the leaves to the ledger.
4. Mark the rows ``sealed``.

A crash after step 1 is undone at the next start, one after step 2 is completed
(`Workspace.recover`). An error is undone at once. Nothing is acknowledged before step 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import MedsealError
from medseal.ledger import Event, Opening
from medseal.pipeline.workspace import Workspace, record_id
from medseal.vault import ImageRecord, ReleaseRecord, StagedBlob

__all__ = ["Entry", "commit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A record on its way into the workspace.

    Attributes
    ----------
    record
        In state ``pending``.
    event
        Its leaf on the ledger.
    opening
        Salt and digests that open the commitment in the event; they go into the receipt.
    blob
        The staged package of an image; None for a release.
    """

    record: ImageRecord | ReleaseRecord
    event: Event
    opening: Opening
    blob: StagedBlob | None = None


def commit(workspace: Workspace, entries: Sequence[Entry]) -> list[Path]:
    """Make `entries` durable, all or none, and return the paths of their receipts.

    The caller holds `Workspace.lock`.

    Raises
    ------
    StorageError
        Store, catalogue or ledger cannot be written; everything was taken back.
    """
    records = [entry.record for entry in entries]
    blobs = [entry.blob for entry in entries if entry.blob is not None]
    try:
        workspace.catalogue.insert(records)
        workspace.store.publish(blobs)
        receipts = workspace.ledger.append_many([entry.event for entry in entries])
    except MedsealError:
        workspace.catalogue.remove_pending(records)
        for blob in blobs:
            workspace.store.discard(blob)
            workspace.store.delete(blob.address)
        raise
    workspace.catalogue.mark_sealed(records)
    return [
        workspace.write_receipt(record_id(entry.record), receipt.with_opening(entry.opening))
        for entry, receipt in zip(entries, receipts, strict=True)
    ]
