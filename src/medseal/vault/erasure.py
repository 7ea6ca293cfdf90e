"""Erasure: destroy the file key, the salt and every lookup of an image, keep the proof.

The package's header holds the only wraps of the file key, and the sealed record the only salt.
Without them no copy of the key remains here and the commitment on the ledger can no longer be
linked to the image. Backups of the vault must expire too.
"""

from medseal.vault.catalogue import Catalogue, ImageRecord
from medseal.vault.store import BlobStore

__all__ = ["erase_image"]


def erase_image(record: ImageRecord, catalogue: Catalogue, store: BlobStore) -> None:
    """Remove the package of `record`, then blank its rows and those of its releases.

    Can be repeated after an interruption: the blob goes first, so a row that still says
    ``sealed`` without a blob is finished by the next call.

    Raises
    ------
    StorageError
        The store or the catalogue cannot be written.
    """
    if record.package is not None:
        store.delete(record.package)
    catalogue.erase(record)
