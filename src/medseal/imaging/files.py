"""Whole files: read with a size limit, write so that they appear whole or not at all."""

import contextlib
import errno
import os
import secrets
import stat
from pathlib import Path

from medseal.errors import (
    ImageTooLargeError,
    InputError,
    StorageError,
    StorageFullError,
    UnreadableImageError,
)
from medseal.imaging.limits import MAX_FILE_BYTES

__all__ = ["check_output", "read_file", "write_file"]

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def read_file(
    path: str | os.PathLike[str],
    *,
    limit_bytes: int = MAX_FILE_BYTES,
    error_class: type[InputError] = UnreadableImageError,
) -> bytes:
    """Return the bytes of a file.

    Parameters
    ----------
    path
        A file.
    limit_bytes
        A larger file is refused before it is read.
    error_class
        What to raise when it cannot be read.

    Raises
    ------
    UnreadableImageError
        No such file, no right to read it, or no regular file; `error_class` in its place.
    ImageTooLargeError
        Larger than the limit.
    """
    file = Path(path)
    try:
        with open(file, "rb", opener=_open_without_waiting) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise error_class(f"{file}: a pipe or a device; write it to a file first")
            size = status.st_size
            if size > limit_bytes:
                raise ImageTooLargeError(
                    f"{file}: {size} bytes, the limit is {limit_bytes}; split the file"
                )
            # A file that grows meanwhile is cut here, and then refused by its parser.
            return stream.read(limit_bytes)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise error_class(f"{file}: {reason}; check the path and its rights") from error


def write_file(data: bytes, path: str | os.PathLike[str]) -> None:
    """Write a file through a temporary one in the same folder; durable on return.

    Raises
    ------
    StorageFullError
        No space is left; nothing was written.
    StorageError
        The folder is missing or cannot be written, or something else than a file stands there.
    """
    check_output(path)
    file = Path(path)
    temporary = file.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
        _sync_folder(file.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if error.errno in _FULL:
            message = f"{file}: no space is left; free some and write again"
            raise StorageFullError(message) from error
        reason = (error.strerror or type(error).__name__).lower()
        raise StorageError(f"{file}: {reason}; check the folder and its rights") from error


def check_output(path: str | os.PathLike[str]) -> None:
    """Refuse an output that cannot be written, before any work is done for it.

    Raises
    ------
    StorageError
        The folder is missing or may not be written, or a folder, pipe or device stands at `path`.
    """
    folder = Path(path).absolute().parent
    if not folder.is_dir():
        raise StorageError(f"{path}: no such folder; check the folder or make it")
    if not os.access(folder, os.W_OK):
        raise StorageError(f"{path}: the folder may not be written; check the folder's rights")
    if Path(path).is_dir():
        raise StorageError(f"{path}: is a directory; give the name of a file in it")
    if Path(path).exists() and not Path(path).is_file():
        # The rename at the end would put a file in the place of the device itself.
        raise StorageError(f"{path}: a pipe or a device; give the name of a file")


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to is opened too, instead of waited for."""
    return os.open(path, flags | os.O_NONBLOCK)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
