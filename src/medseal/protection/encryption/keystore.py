"""Keystore: named secrets in one file under a passphrase, replaced atomically, mode 0600.

The format stands in docs/spec/keystore.md: a sealed package with the passphrase as its only
recipient, behind a plain SHA-256 that tells a damaged file from a wrong passphrase. No security
claim rests on a learned method.
"""

import base64
import binascii
import errno
import fcntl
import os
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from medseal.digest import DIGEST_BYTES, Digest, canonical_json, parse_canonical_json
from medseal.errors import (
    InputError,
    KeystoreError,
    PackageError,
    StorageError,
    StorageFullError,
    WorkspaceError,
    WrongPassphraseError,
)
from medseal.protection.encryption.header import ScryptWrap
from medseal.protection.encryption.keys import (
    DEFAULT_SCRYPT_LOG_N,
    PassphraseIdentity,
    PassphraseRecipient,
)
from medseal.protection.encryption.package import SealedPackage, seal
from medseal.protection.encryption.package import open as open_package

__all__ = [
    "MAX_KEYSTORE_BYTES",
    "MAX_NAME_CHARACTERS",
    "MAX_SECRETS",
    "MAX_SECRET_BYTES",
    "Keystore",
]

MAX_KEYSTORE_BYTES = 16 * 2**20
MAX_SECRETS = 4096
MAX_SECRET_BYTES = 2048  # so that the limits above can be reached together
MAX_NAME_CHARACTERS = 200

_MAGIC = b"medseal-keystore"
_VERSION = 1
_START = _MAGIC + bytes((_VERSION,))
# An image package under the same passphrase must not pass as a keystore.
_ASSOCIATED_DATA = b"medseal/keystore/v1"
_FILE_MODE = 0o600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def _check_secret(name: str, value: bytes) -> None:
    """Refuse what the format cannot hold; the message never shows the value."""
    if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
        raise InputError(f"the name of a secret has 1 to {MAX_NAME_CHARACTERS} printable letters")
    if unicodedata.normalize("NFC", name) != name:
        raise InputError("the name of a secret must be in Unicode form NFC")
    if not 1 <= len(value) <= MAX_SECRET_BYTES:
        raise InputError(f"a secret has 1 to {MAX_SECRET_BYTES} bytes")


def _encode_secrets(entries: dict[str, bytes]) -> bytes:
    """Return the plaintext of a keystore."""
    texts = {name: base64.b64encode(value).decode() for name, value in entries.items()}
    return canonical_json({"secrets": texts, "v": _VERSION})


def _decode_secrets(plaintext: bytes) -> dict[str, bytes]:
    """Return the secrets in an authenticated plaintext; any other spelling is refused."""
    try:
        content = parse_canonical_json(plaintext)
        texts = content.get("secrets") if isinstance(content, dict) else None
        if not isinstance(texts, dict) or len(texts) > MAX_SECRETS:
            raise InputError("no table of secrets")
        entries = {name: base64.b64decode(str(text)) for name, text in texts.items()}
        for name, value in entries.items():
            _check_secret(name, value)
        if _encode_secrets(entries) != plaintext:
            raise InputError("not in canonical form")
    except (InputError, binascii.Error, ValueError) as error:
        raise KeystoreError(f"the keystore has unexpected content: {error}") from None
    return entries


def _decode_file(data: bytes, passphrase: str) -> tuple[dict[str, bytes], int]:
    """Return the secrets in the bytes of a keystore file, and its scrypt work factor.

    1. Start and size.  2. Checksum.  3. Sealed package.  4. Associated data.  5. Content.
    """
    if len(data) > MAX_KEYSTORE_BYTES:
        raise KeystoreError(f"the keystore exceeds {MAX_KEYSTORE_BYTES} bytes")
    if not data.startswith(_START):
        raise KeystoreError("this is not a keystore of a known version; restore it from a copy")
    encoded = data[len(_START) + DIGEST_BYTES :]
    if Digest.plain(encoded).value != data[len(_START) : len(_START) + DIGEST_BYTES]:
        raise KeystoreError("the keystore is damaged; restore it from a copy")
    try:
        package = SealedPackage.from_bytes(encoded)
        wrap = package.header.wraps[0]
        if not isinstance(wrap, ScryptWrap):
            raise KeystoreError("it is not sealed under a passphrase")
        plaintext = open_package(package, PassphraseIdentity(passphrase))
    except WrongPassphraseError:
        raise
    except PackageError as error:
        raise KeystoreError(f"the keystore was changed: {error}") from None
    if package.associated_data != _ASSOCIATED_DATA:
        raise KeystoreError("this is a sealed package, not a keystore")
    return _decode_secrets(plaintext), wrap.log_n


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    """Turn errors of the operating system into ours."""
    try:
        yield
    except FileNotFoundError:
        raise WorkspaceError(f"{path} does not exist; create the workspace first") from None
    except OSError as error:
        kind = StorageFullError if error.errno in _FULL else StorageError
        raise kind(f"{path}: {error.strerror}") from None


@contextmanager
def _locked(folder: Path) -> Iterator[int]:
    """Hold the folder against other writers; yields its descriptor."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _read(path: Path) -> bytes:
    """Return the bytes of a file, one more than allowed at most."""
    with path.open("rb") as stream:
        return stream.read(MAX_KEYSTORE_BYTES + 1)


def _replace(path: Path, data: bytes, folder: int) -> None:
    """Put `data` in place of the file: after a crash there is the old content or the new."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)  # left by a crash: the lock says that nobody writes it now
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(temporary, flags, _FILE_MODE), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    os.fsync(folder)


class Keystore:
    """Named secrets, unlocked; `create` and `load` make one.

    Two processes may hold the same keystore: the one that saves second is refused and loses
    nothing, because it is told to load again.
    """

    __slots__ = ("_entries", "_log_n", "_passphrase", "_path", "_saved")

    def __init__(self, path: Path, passphrase: str, *, log_n: int) -> None:
        self._path = path.resolve()
        self._passphrase = passphrase
        self._log_n = log_n
        self._entries: dict[str, bytes] = {}
        self._saved: Digest | None = None

    @classmethod
    def create(
        cls, path: Path | str, passphrase: str, *, log_n: int = DEFAULT_SCRYPT_LOG_N
    ) -> Self:
        """Write an empty keystore.

        Parameters
        ----------
        path
            A file that does not exist yet, in a folder that does.
        passphrase
            1 to 1024 characters without control characters.
        log_n
            Binary logarithm of the scrypt work factor, 10 to 18.

        Raises
        ------
        WorkspaceError
            The file exists, or its folder does not.
        InputError
            The passphrase or the work factor is not allowed.
        StorageError
            The file cannot be written.
        """
        keystore = cls(Path(path), passphrase, log_n=log_n)
        keystore.save()
        return keystore

    @classmethod
    def load(cls, path: Path | str, passphrase: str) -> Self:
        """Return the keystore in a file.

        Raises
        ------
        WorkspaceError
            There is no such file.
        WrongPassphraseError
            The file is sound and the passphrase does not open it.
        KeystoreError
            The file is damaged or no keystore.
        StorageError
            The file cannot be read.
        """
        path = Path(path)
        with _storage_errors(path):
            data = _read(path)
        try:
            entries, log_n = _decode_file(data, passphrase)
        except PackageError as error:
            raise type(error)(f"{path}: {error}") from None
        keystore = cls(path, passphrase, log_n=log_n)
        keystore._entries = entries
        keystore._saved = Digest.plain(data)
        return keystore

    def names(self) -> tuple[str, ...]:
        """Return the names of all secrets, sorted."""
        return tuple(sorted(self._entries))

    def get(self, name: str) -> bytes:
        """Return a secret.

        Raises
        ------
        KeystoreError
            There is no secret of this name.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise KeystoreError(f"the keystore has no secret named {name!r}") from None

    def put(self, name: str, value: bytes, *, replace: bool = False) -> None:
        """Add a secret in memory; `save` writes it.

        Parameters
        ----------
        name
            1 to 200 printable characters, for example ``identity/owner``.
        value
            1 to 2048 bytes.
        replace
            Whether a secret of this name may be overwritten, and so be lost.

        Raises
        ------
        InputError
            The name or value is not allowed, is there already, or the keystore is full.
        """
        _check_secret(name, value)
        if name in self._entries and not replace:
            raise InputError(f"the keystore already has a secret named {name!r}")
        if len({*self._entries, name}) > MAX_SECRETS:
            raise InputError(f"a keystore holds at most {MAX_SECRETS} secrets")
        self._entries[name] = bytes(value)

    def save(self) -> None:
        """Write all secrets under a fresh file key and salt.

        Raises
        ------
        WorkspaceError
            Another process created, changed or removed the file since it was loaded.
        StorageError
            The file cannot be written; the old one is untouched.
        """
        self._save(self._passphrase)

    def change_passphrase(self, new: str) -> None:
        """Save under another passphrase; the old one stops to open this file.

        Copies made earlier still open with the old passphrase.

        Raises
        ------
        InputError
            The new passphrase is not allowed.
        StorageError, WorkspaceError
            As for `save`; the old passphrase stays.
        """
        self._save(new)
        self._passphrase = new

    def _save(self, passphrase: str) -> None:
        package = seal(
            _encode_secrets(self._entries),
            [PassphraseRecipient(passphrase, log_n=self._log_n)],
            associated_data=_ASSOCIATED_DATA,
        )
        encoded = package.to_bytes()
        data = _START + Digest.plain(encoded).value + encoded
        with _storage_errors(self._path), _locked(self._path.parent) as folder:
            current = Digest.plain(_read(self._path)) if self._path.exists() else None
            if current != self._saved:
                what = "already exists" if self._saved is None else "was changed meanwhile"
                raise WorkspaceError(f"{self._path} {what}; load it instead of writing over it")
            _replace(self._path, data, folder)
        self._saved = Digest.plain(data)

    def __repr__(self) -> str:
        return f"Keystore({str(self._path)!r}, {len(self._entries)} secrets)"
