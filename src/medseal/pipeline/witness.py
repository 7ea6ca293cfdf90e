"""Witnesses: heads and hashes of the log that are kept elsewhere, cosigned and compared."""

import os
from pathlib import Path

from medseal.errors import ConfigurationError, ConsistencyError, InputError, LedgerError
from medseal.imaging.files import read_file, write_file
from medseal.ledger import (
    COSIGNATURE_V1,
    SigningKey,
    TreeExport,
    VerifyingKey,
    check_same_log,
    cosign_checkpoint,
    now_ms,
)
from medseal.ledger.difference import MAX_EXPORT_BYTES, is_export
from medseal.ledger.note import MAX_NOTE_BYTES
from medseal.pipeline.workspace import Workspace

__all__ = [
    "check_since",
    "checkpoint",
    "compare",
    "cosign",
    "read_log_key",
    "witness_key",
]

MAX_KEY_BYTES = 4096
_HASH_BYTES = 32


def read_log_key(path: Path) -> VerifyingKey:
    """Return the public key of a log.

    Raises
    ------
    ConfigurationError
        The file cannot be read or holds no such key.
    """
    data = read_file(path, limit_bytes=MAX_KEY_BYTES, error_class=ConfigurationError)
    try:
        return VerifyingKey.parse(data.decode().strip())
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path}: not readable; give the log.vkey of the log") from None
    except InputError as error:
        raise ConfigurationError(f"{path}: {error}; give the log.vkey of the log") from None


def checkpoint(workspace: Workspace, output: Path | None, *, hashes: Path | None = None) -> str:
    """Return the signed head of the log, and write it where asked.

    Parameters
    ----------
    workspace
        Open.
    output
        Where to write the head; None for nowhere.
    hashes
        Where to write the hashes of all entries under that head; None for nowhere. Kept
        elsewhere, they name the first entry that is rewritten later.

    Raises
    ------
    InputError
        The log is too long for one file of hashes.
    """
    head = workspace.log.checkpoint()
    if hashes is not None:
        export = workspace.log.export(head.size)
        write_file(export.to_bytes(), hashes)
    if output is not None:
        write_file(head.to_bytes(), output)
    return head.to_bytes().decode()


def witness_key(path: Path, name: str) -> SigningKey:
    """Return the key of a witness; a missing one is made, readable by its owner only.

    Raises
    ------
    ConfigurationError
        The file holds no such key or cannot be written.
    """
    try:
        if not path.exists():
            key = SigningKey.generate(name, algorithm=COSIGNATURE_V1)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(f"{key.to_text()}\n")
            path.with_suffix(".vkey").write_text(f"{key.vkey}\n")
            return key
        return SigningKey.parse(read_file(path, limit_bytes=MAX_KEY_BYTES).decode().strip())
    except (OSError, UnicodeDecodeError, InputError, LedgerError) as error:
        raise ConfigurationError(f"{path}: not usable as the key of a witness") from error


def cosign(
    checkpoint_file: Path,
    log_key: Path,
    key: SigningKey,
    output: Path,
    *,
    previous: Path | None = None,
    proof: Path | None = None,
) -> dict[str, str | int]:
    """Cosign a checkpoint away from the log, and return its size and the witness's public key.

    Raises
    ------
    CheckpointError, ConsistencyError
        A signature does not hold, or the log does not continue what was cosigned before.
    """
    path = _read_proof(proof) if proof is not None else ()
    earlier = read_file(previous, limit_bytes=MAX_NOTE_BYTES) if previous is not None else None
    cosigned = cosign_checkpoint(
        read_file(checkpoint_file, limit_bytes=MAX_NOTE_BYTES),
        read_log_key(log_key),
        key,
        timestamp_s=now_ms() // 1000,
        previous=earlier,
        proof=path,
    )
    write_file(cosigned.to_bytes(), output)
    return {"file": str(output), "size": cosigned.size, "witness": str(key.vkey)}


def _read_proof(path: Path) -> tuple[bytes, ...]:
    """Return the hashes of a consistency proof: one a line, hexadecimal."""
    try:
        lines = read_file(path, limit_bytes=MAX_NOTE_BYTES).decode().split()
        hashes = tuple(bytes.fromhex(line) for line in lines)
    except ValueError:
        raise ConfigurationError(f"{path}: a proof has one hexadecimal hash a line") from None
    if any(len(value) != _HASH_BYTES for value in hashes):
        raise ConfigurationError(f"{path}: a hash in a proof has {_HASH_BYTES} bytes")
    return hashes


def check_since(workspace: Workspace, since: Path, *, proof: Path | None = None) -> int:
    """Return the size of a log that was kept elsewhere, if the present one continues it.

    Parameters
    ----------
    workspace
        Open.
    since
        A checkpoint, or the hashes of the log: these name the first entry that differs.
    proof
        Where to write the consistency proof from it, for a witness; None for nowhere.

    Raises
    ------
    CheckpointError
        Not signed by this log.
    ConsistencyError
        The log was rolled back or rewritten since.
    """
    data = read_file(since, limit_bytes=MAX_EXPORT_BYTES)
    if is_export(data):
        kept = TreeExport.verified(data, workspace.log.vkey)
        workspace.log.check_same(kept)
        size = kept.size
    else:
        size = _checked_head(workspace, data)
    if proof is not None:
        hashes = workspace.log.consistency(size)
        write_file("".join(f"{item.hex()}\n" for item in hashes).encode(), proof)
    return size


def _checked_head(workspace: Workspace, data: bytes) -> int:
    try:
        return workspace.log.check_continues(data).size
    except ConsistencyError as error:
        message = f"{error}; to name the entry give --since a file of 'ledger checkpoint --hashes'"
        raise ConsistencyError(message, index=error.index) from error


def compare(first: Path, second: Path, log_key: Path) -> dict[str, str | int]:
    """Return how far two files of hashes agree, if one continues the other; needs no workspace.

    The longer one is taken as the newer.

    Raises
    ------
    LedgerError
        A file is no set of hashes that this log signed.
    ConsistencyError
        They part; `index` names the first entry. Both are signed, so the owner of the log has
        shown two logs.
    """
    key = read_log_key(log_key)
    exports = [_read_export(path, key) for path in (first, second)]
    older, newer = sorted(exports, key=lambda export: export.size)
    common = check_same_log(older, newer)
    return {"common": common, "first": exports[0].size, "second": exports[1].size}


def _read_export(path: Path, key: VerifyingKey) -> TreeExport:
    try:
        return TreeExport.verified(read_file(path, limit_bytes=MAX_EXPORT_BYTES), key)
    except LedgerError as error:
        raise type(error)(f"{path}: {error}") from error
