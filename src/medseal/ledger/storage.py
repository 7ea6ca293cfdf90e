"""The SQLite file of the embedded ledger: schema, connections, reads, and errors by name."""

import os
import sqlite3
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, count
from pathlib import Path

from medseal.errors import (
    CheckpointError,
    DamagedLedgerError,
    InputError,
    LedgerBusyError,
    LedgerError,
    MedsealError,
    StorageError,
    StorageFullError,
)
from medseal.ledger.checkpoint import Checkpoint
from medseal.ledger.merkle import HASH_BYTES, leaf_hash, node_position
from medseal.ledger.note import VerifyingKey

__all__ = ["LogFile", "create_log", "leaf_prefix", "leaf_prefixes", "translated_errors"]

# "MSEL"; tells a log from any other SQLite file.
_APPLICATION_ID = 0x4D53454C
_VERSION = 1
_CACHE_KIB = 65_536
# Prefixes of hashes fall on pages at random: large pages take a fifth less time. 16 MiB of journal.
_PAGE_BYTES, _CHECKPOINT_PAGES = 16_384, 1_000
_SCHEMA = (
    "CREATE TABLE leaf (position INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    # The first 8 bytes of the leaf hash find a leaf; 64 bits keep the index small.
    "CREATE TABLE leaf_prefix (prefix INTEGER NOT NULL, position INTEGER NOT NULL,"
    " PRIMARY KEY (prefix, position)) WITHOUT ROWID",
    # Inner nodes in the order in which they become complete: appended, never moved.
    "CREATE TABLE node (position INTEGER PRIMARY KEY, hash BLOB NOT NULL)",
    "CREATE TABLE checkpoint (size INTEGER PRIMARY KEY, note BLOB NOT NULL)",
    "CREATE TABLE signer (size INTEGER PRIMARY KEY, vkey TEXT NOT NULL)",
    "CREATE TABLE access (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

# Rows of one INSERT, leaves of one look-up: parameters stay below the limit of any SQLite, 999.
_ROWS = 256
_LOOKUPS = 256
# Fewer leaves than this are looked up faster one by one.
_FEW_LOOKUPS = 32
_MORE_ROWS = ", (?, ?)" * (_ROWS - 1)
_LOOK_UP = (
    "SELECT position FROM (VALUES (?)"
    + ", (?)" * (_LOOKUPS - 1)
    + ") CROSS JOIN leaf_prefix ON prefix = column1"
)

# The first 8 bytes of each leaf hash.
_PREFIX = struct.Struct(f">q{HASH_BYTES - 8}x")

# Extended result codes of reads: the medium gave other bytes, not too few.
_READ_FAILURES = frozenset(
    {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
)
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_FULL = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
_CLOSED_TO_US = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_AUTH,
    }
)


def _named_error(error: sqlite3.Error, path: Path) -> MedsealError:
    """Return the error of this package that a failure of SQLite stands for."""
    if isinstance(error, sqlite3.ProgrammingError):
        return StorageError(f"{path}: the ledger was closed, open it again")
    extended = getattr(error, "sqlite_errorcode", None) or 0
    primary = extended & 0xFF
    if primary in _BUSY:
        return LedgerBusyError(f"{path}: another process holds the ledger, try again")
    if primary in _FULL and extended not in _READ_FAILURES:
        return StorageFullError(
            f"{path}: no space is left or the disk failed, nothing was acknowledged: free space"
        )
    if primary in _CLOSED_TO_US:
        return StorageError(f"{path}: the ledger cannot be opened, check its folder and rights")
    return LedgerError(f"{path}: the ledger is damaged ({error}), restore it from a copy")


@contextmanager
def translated_errors(path: Path) -> Iterator[None]:
    """Raise every failure of SQLite as the error of this package that it stands for."""
    try:
        yield
    except sqlite3.Error as error:
        raise _named_error(error, path) from error
    except (OverflowError, ValueError) as error:
        raise LedgerError(f"{path}: the ledger holds a malformed value: audit it") from error


def leaf_prefix(value: bytes) -> int:
    """Return the first 8 bytes of a leaf hash as SQLite's signed integer."""
    return int.from_bytes(value[:8], "big", signed=True)


def leaf_prefixes(values: Sequence[bytes]) -> list[int]:
    """Return `leaf_prefix` of many leaf hashes, read in one go."""
    return [prefix for (prefix,) in _PREFIX.iter_unpack(b"".join(values))]


def _connect(path: Path, mode: str, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,  # transactions are begun and ended here, by hand
        check_same_thread=False,  # a lock stands around every use
        timeout=busy_timeout_seconds,
    )
    for pragma in (
        "synchronous = FULL",  # a commit returns after its fsync
        "fullfsync = ON",  # on macOS fsync alone does not reach the platter
        "trusted_schema = OFF",
        f"cache_size = -{_CACHE_KIB}",
        f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable; Windows neither can nor needs it."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def create_log(path: Path, checkpoint: Checkpoint, vkey: VerifyingKey) -> None:
    """Write the file of an empty log, whole or not at all.

    Parameters
    ----------
    path
        File that does not exist yet.
    checkpoint
        Signed head of size 0.
    vkey
        Key that signed it.

    Raises
    ------
    LedgerError
        The journal of a lost log lies at this place.
    StorageError, StorageFullError
        The folder cannot be written.
    """
    if Path(f"{path}-wal").exists():
        # SQLite would play the old journal into the new file.
        raise LedgerError(f"{path}: the log is gone but its journal is not, restore the log")
    draft = path.with_name(f"{path.name}.new-{os.getpid()}-{threading.get_ident()}")
    try:
        draft.unlink(missing_ok=True)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        with translated_errors(path), closing(_connect(draft, "rw", 1.0)) as connection:
            _fill(connection, checkpoint, vkey)
        # Linking fails where the name exists: of two creators one wins and none overwrites.
        os.link(draft, path)
        _sync_folder(path.parent)
    except FileExistsError:
        return
    except OSError as error:
        raise StorageError(f"{path}: the ledger cannot be created ({error.strerror})") from error
    finally:
        draft.unlink(missing_ok=True)


def _fill(connection: sqlite3.Connection, checkpoint: Checkpoint, vkey: VerifyingKey) -> None:
    connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("BEGIN IMMEDIATE")
    for statement in _SCHEMA:
        connection.execute(statement)
    connection.execute("INSERT INTO signer VALUES (0, ?)", (str(vkey),))
    connection.execute("INSERT INTO checkpoint VALUES (0, ?)", (checkpoint.to_bytes(),))
    connection.execute("COMMIT")


class LogFile:
    """One connection to the file of a log, with the reads that the ledger needs.

    Parameters
    ----------
    path
        Existing file of a log.
    writable
        False opens the file read-only.
    busy_timeout_seconds
        How long to wait for another process.

    Raises
    ------
    LedgerError
        Not the file of a log of version 1, or damaged.
    StorageError
        The file is missing or closed to us.
    """

    def __init__(self, path: Path, *, writable: bool, busy_timeout_seconds: float) -> None:
        self.path = path
        self._lock = threading.RLock()
        if not path.exists():
            raise StorageError(
                f"{path}: no ledger is here; restore it from a backup of the workspace"
            )
        with translated_errors(path):
            self.connection = _connect(path, "rw" if writable else "ro", busy_timeout_seconds)
            try:
                self._check_schema()
            except BaseException:
                self.connection.close()
                raise

    def _check_schema(self) -> None:
        """Refuse other files, other versions, and triggers or views that somebody slipped in."""
        value = self.connection.execute("PRAGMA application_id").fetchone()[0]
        version = self.connection.execute("PRAGMA user_version").fetchone()[0]
        if (value, version) != (_APPLICATION_ID, _VERSION):
            raise LedgerError(f"{self.path}: not a ledger of version {_VERSION}")
        rows = self.connection.execute("SELECT sql FROM sqlite_master").fetchall()
        if {row[0] for row in rows} != set(_SCHEMA) or len(rows) != len(_SCHEMA):
            raise LedgerError(f"{self.path}: the tables of the ledger were changed")

    def close(self) -> None:
        """Close the connection."""
        with self._lock, translated_errors(self.path):
            self.connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Hold one state of the file for several reads."""
        with self._lock, translated_errors(self.path):
            self.connection.execute("BEGIN")
            try:
                yield
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the file alone; changes are durable when the block is left, or never happened."""
        with self._lock, translated_errors(self.path):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.connection.execute("COMMIT")
            finally:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")

    def size(self) -> int:
        """Return the number of leaves."""
        row = self.connection.execute("SELECT max(position) FROM leaf").fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def leaf(self, position: int) -> bytes:
        """Return the bytes of a leaf."""
        query = "SELECT data FROM leaf WHERE position = ?"
        return self._blob(query, position, "entry", position)

    def leaves(self, start: int, stop: int) -> list[bytes]:
        """Return the leaves [start, stop) that are there."""
        query = "SELECT position, data FROM leaf WHERE position >= ? AND position < ?"
        found: list[bytes] = []
        for position, data in self.connection.execute(f"{query} ORDER BY position", (start, stop)):
            if position != start + len(found):
                index = start + len(found)
                raise DamagedLedgerError(f"{self.path}: the entry {index} is lost", index=index)
            found.append(bytes(data))
        return found

    def node(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree."""
        if level == 0:
            return leaf_hash(self.leaf(index))
        query = "SELECT hash FROM node WHERE position = ?"
        return self._blob(query, node_position(level, index), "node over entry", index << level)

    def _blob(self, query: str, key: int, what: str, index: int) -> bytes:
        row = self.connection.execute(query, (key,)).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise DamagedLedgerError(f"{self.path}: the {what} {index} is lost", index=index)
        return row[0]

    def find(self, value: bytes) -> int | None:
        """Return the position of the leaf with this hash, None when it is not in the log."""
        query = "SELECT position FROM leaf_prefix WHERE prefix = ? ORDER BY position"
        for (position,) in self.connection.execute(query, (leaf_prefix(value),)).fetchall():
            if leaf_hash(self.leaf(position)) == value:
                return int(position)
        return None

    def find_many(self, values: Sequence[bytes]) -> dict[bytes, int]:
        """Return the positions of those leaves that are in the log, by their hashes."""
        if len(values) < _FEW_LOOKUPS:
            places = ((value, self.find(value)) for value in values)
            return {value: place for value, place in places if place is not None}
        found: dict[bytes, int] = {}
        for start in range(0, len(values), _LOOKUPS):
            prefixes = leaf_prefixes(values[start : start + _LOOKUPS])
            # The query has a constant number of parameters: the first fills up the last part.
            prefixes += prefixes[:1] * (_LOOKUPS - len(prefixes))
            for (position,) in sorted(set(self.connection.execute(_LOOK_UP, prefixes))):
                found.setdefault(leaf_hash(self.leaf(position)), int(position))
        return {value: found[value] for value in values if value in found}

    def note(self, size: int) -> bytes | None:
        """Return the stored checkpoint of a size, None when none was signed there."""
        query = "SELECT note FROM checkpoint WHERE size = ?"
        row = self.connection.execute(query, (size,)).fetchone()
        return None if row is None else bytes(row[0])

    def head(self) -> Checkpoint:
        """Return the newest checkpoint; its signatures are not verified here."""
        query = "SELECT note FROM checkpoint ORDER BY size DESC LIMIT 1"
        row = self.connection.execute(query).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise CheckpointError(f"{self.path}: the checkpoints of the log are lost")
        return Checkpoint.parse(row[0])

    def access(self, name: str) -> str | None:
        """Return a value of the access state."""
        query = "SELECT value FROM access WHERE name = ?"
        row = self.connection.execute(query, (name,)).fetchone()
        return None if row is None else str(row[0])

    def access_entries(self) -> dict[str, str]:
        """Return the whole access state."""
        return dict(self.connection.execute("SELECT name, value FROM access").fetchall())

    def signers(self) -> list[tuple[int, VerifyingKey]]:
        """Return the keys of the log with the size from which each signs, oldest first."""
        rows = self.connection.execute("SELECT size, vkey FROM signer ORDER BY size").fetchall()
        try:
            return [(int(size), VerifyingKey.parse(str(vkey))) for size, vkey in rows]
        except InputError:
            raise CheckpointError(f"{self.path}: a stored key of the log is malformed") from None

    def insert(
        self, start: int, leaves: Sequence[bytes], hashes: Sequence[bytes], nodes: Sequence[bytes]
    ) -> None:
        """Append leaves with their hashes, and the inner nodes that they completed, in order."""
        self._insert_pairs("INSERT INTO leaf VALUES (?, ?)", enumerate(leaves, start))
        # Sorted keys touch each page of the index once.
        prefixes = zip(leaf_prefixes(hashes), count(start), strict=False)
        self._insert_pairs("INSERT INTO leaf_prefix VALUES (?, ?)", sorted(prefixes))
        first = start - start.bit_count()
        self._insert_pairs("INSERT INTO node VALUES (?, ?)", enumerate(nodes, first))

    def _insert_pairs(self, query: str, rows: Iterable[tuple[int, bytes | int]]) -> None:
        """Append rows of two columns, many in one statement: each run of one has its price."""
        flat = list(chain.from_iterable(rows))
        whole = len(flat) - len(flat) % (2 * _ROWS)
        for start in range(0, whole, 2 * _ROWS):
            self.connection.execute(query + _MORE_ROWS, flat[start : start + 2 * _ROWS])
        rest = iter(flat[whole:])
        self.connection.executemany(query, zip(rest, rest, strict=True))

    def store_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Store a checkpoint, or more signatures under the one of its size."""
        self.connection.execute(
            "INSERT INTO checkpoint VALUES (?, ?)"
            " ON CONFLICT (size) DO UPDATE SET note = excluded.note",
            (checkpoint.size, checkpoint.to_bytes()),
        )

    def store_signer(self, size: int, vkey: VerifyingKey) -> None:
        """Store from which size a new key signs."""
        self.connection.execute("INSERT INTO signer VALUES (?, ?)", (size, str(vkey)))

    def store_access(self, changes: dict[str, str | None]) -> None:
        """Bring changes into the access state."""
        for name, value in changes.items():
            if value is None:
                self.connection.execute("DELETE FROM access WHERE name = ?", (name,))
            else:
                self.connection.execute(
                    "INSERT INTO access VALUES (?, ?)"
                    " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    (name, value),
                )
