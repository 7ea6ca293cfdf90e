"""Content-addressed blobs in a folder: staged, then published by a rename.

A blob is first *staged* (written under a temporary name and flushed), and only *published* once
the catalogue knows of it. So a crash leaves a temporary file that the next start sweeps away, or
a finished blob; never half an object, and never an object that nobody refers to.
"""

import errno
import hashlib
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from medseal.errors import DigestMismatchError, StorageError, StorageFullError

__all__ = ["MAX_BLOB_BYTES", "BlobStore", "StagedBlob"]

# A package of the largest readable file, with its header.
MAX_BLOB_BYTES = 5 * 1024**3
_ADDRESS = re.compile(r"[0-9a-f]{64}")
_INCOMING = "incoming"


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedBlob:
    """A blob that is flushed to disk but not yet visible.

    Attributes
    ----------
    address
        SHA-256 of the content, 64 hexadecimal digits.
    path
        Where it waits.
    size_bytes
        Length of the content.
    """

    address: str
    path: Path
    size_bytes: int


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn errors of the operating system into one typed line."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"{what}: no space is left; free some and run the command again"
            raise StorageFullError(message) from error
        reason = error.strerror or "input/output error"
        raise StorageError(f"{what}: {reason.lower()}; check the folder and try again") from error


def sync_folder(folder: Path) -> None:
    """Flush a folder, so that names made or removed in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


class BlobStore:
    """Blobs named by their SHA-256 under one folder.

    Parameters
    ----------
    folder
        Created when missing, readable by its owner only.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / _INCOMING
        # Of the process that opened the store; its forked workers stage in its name.
        self._owner = os.getpid()
        with storage_errors("object store"):
            # One by one: `parents` would give the outer folder the default mode.
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._incoming.mkdir(mode=0o700, exist_ok=True)

    def _path(self, address: str) -> Path:
        if not _ADDRESS.fullmatch(address):
            raise StorageError("object store: an address has 64 lower-case hex digits")
        # One folder, no fan-out: a batch of names is then durable after one flush of it.
        return self._folder / address

    def stage(self, data: bytes) -> StagedBlob:
        """Write and flush `data` under a temporary name.

        Raises
        ------
        StorageFullError
            No space is left; the temporary file is gone again.
        StorageError
            The folder cannot be written, or the blob is larger than `MAX_BLOB_BYTES`.
        """
        if len(data) > MAX_BLOB_BYTES:
            raise StorageError(f"object store: a blob may have {MAX_BLOB_BYTES} bytes at most")
        path = self._incoming / f"{self._owner}-{secrets.token_hex(12)}"
        address = hashlib.sha256(data).hexdigest()
        with storage_errors("object store"):
            try:
                descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    view = memoryview(data)
                    while view.nbytes:
                        view = view[file.write(view) :]
                    os.fsync(file.fileno())
            except OSError:
                path.unlink(missing_ok=True)
                raise
        return StagedBlob(address=address, path=path, size_bytes=len(data))

    def publish(self, blobs: Iterable[StagedBlob]) -> None:
        """Make staged blobs visible; all names are durable on return."""
        with storage_errors("object store"):
            for blob in blobs:
                blob.path.replace(self._path(blob.address))
            sync_folder(self._folder)

    def discard(self, blob: StagedBlob) -> None:
        """Remove a staged blob that is not wanted after all."""
        with storage_errors("object store"):
            blob.path.unlink(missing_ok=True)

    def put(self, data: bytes) -> str:
        """Stage and publish at once; return the address."""
        blob = self.stage(data)
        self.publish([blob])
        return blob.address

    def get(self, address: str) -> bytes:
        """Return the blob at `address`, after its digest was checked.

        Raises
        ------
        StorageError
            It is not there, or cannot be read.
        DigestMismatchError
            The stored bytes are not what the address promises.
        """
        with storage_errors(f"object {address[:12]}"):
            data = self._path(address).read_bytes()
        actual = hashlib.sha256(data).hexdigest()
        if actual != address:
            message = f"object {address[:12]} is damaged; restore it from a backup"
            raise DigestMismatchError(message, expected=address, actual=actual)
        return data

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self._path(address).is_file()

    def delete(self, address: str) -> None:
        """Remove a blob if it is there; the removal is durable on return."""
        path = self._path(address)
        with storage_errors("object store"):
            if path.is_file():
                path.unlink()
                sync_folder(self._folder)

    def addresses(self) -> Iterator[str]:
        """Yield the addresses of all published blobs."""
        yield from sorted(path.name for path in self._folder.iterdir() if path.name != _INCOMING)

    def sweep(self) -> int:
        """Remove what interrupted processes left staged; return how many files went.

        Files of processes that still run are kept.
        """
        removed = 0
        with storage_errors("object store"):
            for path in self._incoming.iterdir():
                process_id = path.name.partition("-")[0]
                if process_id.isdigit() and _is_running(int(process_id)):
                    continue
                path.unlink(missing_ok=True)
                removed += 1
        return removed
