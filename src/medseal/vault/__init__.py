"""Ciphertext at rest: content-addressed blobs, the catalogue, and erasure."""

from medseal.vault.catalogue import Catalogue, ImageRecord, ReleaseRecord
from medseal.vault.erasure import erase_image
from medseal.vault.store import BlobStore, StagedBlob

__all__ = ["BlobStore", "Catalogue", "ImageRecord", "ReleaseRecord", "StagedBlob", "erase_image"]
