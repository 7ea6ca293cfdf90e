"""The folder of a network ledger: its log, the key of the log, and the entry that joins them."""

import os
import secrets
from pathlib import Path

from medseal.errors import ChainMismatchError, LedgerError, StorageError, UnreachableError
from medseal.ledger.embedded import EmbeddedLedger
from medseal.ledger.ethereum.relay import NEW_OUTBOX
from medseal.ledger.ethereum.rpc import Node
from medseal.ledger.events import EventKind
from medseal.ledger.note import SigningKey
from medseal.ledger.outbox import Outbox
from medseal.ledger.rights import genesis_event, network_event

__all__ = [
    "KEY_FILE",
    "LOG_FILE",
    "OUTBOX_FILE",
    "default_folder",
    "join_network",
    "known_chain_id",
    "open_log",
    "open_outbox",
]

KEY_FILE = "log.key"
LOG_FILE = "ledger.sqlite"
OUTBOX_FILE = "outbox.sqlite"
_NETWORKS = Path(".medseal") / "networks"
_MAX_KEY_BYTES = 1024


def default_folder(chain_id: int, contract: str) -> Path:
    """Return where the ledger of a contract lies, below the working folder."""
    return _NETWORKS / f"{chain_id}-{contract}"


def known_chain_id(node: Node, contract: str, log: EmbeddedLedger | None) -> int:
    """Return the chain of a contract: as the log says, else the node, else its default folder.

    Raises
    ------
    UnreachableError
        The node does not answer, and nothing here says it.
    """
    if log is not None and log.network:
        return int(log.network.partition("/")[0])
    try:
        return node.chain_id()
    except UnreachableError:
        found = [path.name.partition("-")[0] for path in _NETWORKS.glob(f"*-{contract}")]
        if len(found) != 1 or not found[0].isdecimal():
            raise
        return int(found[0])


def open_log(folder: Path, account: str) -> EmbeddedLedger:
    """Open the log of a folder; make folder, key and log where they are missing.

    Parameters
    ----------
    folder
        Only its owner may read it.
    account
        Gateway that owns a new log.

    Raises
    ------
    LedgerError
        The key of the log is lost or malformed.
    StorageError, StorageFullError
        The folder cannot be written.
    """
    path = folder / LOG_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = _log_key(folder / KEY_FILE, is_new=not path.exists())
    except OSError as error:
        raise StorageError(f"{folder}: cannot be written ({error.strerror})") from None
    log = EmbeddedLedger(path, signing_key=key, create=True)
    try:
        if not log.owner:
            log.append(genesis_event(account))
    except BaseException:
        log.close()
        raise
    return log


def _log_key(path: Path, *, is_new: bool) -> SigningKey:
    """Return the key of a log; a new one only where there is no log yet."""
    if not path.exists():
        if not is_new:
            raise LedgerError(f"{path}: the key of the log is lost, restore it from a copy")
        _write_key(path, SigningKey.generate(f"medseal.network/{secrets.token_hex(8)}"))
    with path.open("rb") as file:
        text = file.read(_MAX_KEY_BYTES)
    return SigningKey.parse(text.decode("ascii", "replace").strip())


def _write_key(path: Path, key: SigningKey) -> None:
    """Write a key file whole or not at all; of two writers one wins."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
            file.write(key.to_text().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink(missing_ok=True)


def join_network(log: EmbeddedLedger, chain_id: int, contract: str, account: str) -> None:
    """Record that a contract judges the rights of a log from here on, unless it is recorded.

    Parameters
    ----------
    log
        The log; its owner is the actor of the entry.
    chain_id, contract
        Which contract.
    account
        Gateway that owns the log from here on.

    Raises
    ------
    ChainMismatchError
        The log belongs to another contract.
    """
    name = f"{chain_id}/{contract}"
    if not log.network:
        log.append(network_event(chain_id, contract, account, actor=log.owner))
    elif log.network != name:
        raise ChainMismatchError(
            f"{log.path}: the log belongs to the contract {log.network}, not to {name}"
        )


def open_outbox(folder: Path, log: EmbeddedLedger, chain_id: int, contract: str) -> Outbox:
    """Open the outbox of a log that has joined a network; a new one begins after that entry.

    Raises
    ------
    LedgerError
        The outbox belongs to another log or contract, or is damaged.
    StorageError, StorageFullError, LedgerBusyError
        It cannot be read or written.
    """
    identity = {"chain": str(chain_id), "contract": contract, "log": log.origin}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{folder}: cannot be made ({error.strerror})") from None
    outbox = Outbox(folder / OUTBOX_FILE, identity)
    try:
        if outbox.cursor() == 0:
            first = _first_mirrored(log)
            outbox.begin(first, {NEW_OUTBOX: "yes"} if log.size > first else {})
    except BaseException:
        outbox.close()
        raise
    return outbox


def _first_mirrored(log: EmbeddedLedger) -> int:
    """Return the index after the entry that joined the network; from there on it is mirrored."""
    return 1 + max(index for index, event in log.events() if event.kind is EventKind.NETWORK)
