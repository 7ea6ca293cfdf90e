"""The SQLite file of an outbox: schema, transactions, and who may send at a time."""

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from medseal.errors import LedgerBusyError, LedgerError, StorageError
from medseal.ledger.closing import Closing
from medseal.ledger.item import Item, ItemKind, Stage
from medseal.ledger.storage import translated_errors

__all__ = ["OutboxFile"]

# "MSOB"; tells an outbox from any other SQLite file.
_APPLICATION_ID = 0x4D534F42
_VERSION = 1
_LOCK_PAUSE_SECONDS = 0.01
_SCHEMA = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE item (position INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
    " place INTEGER NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, scope TEXT NOT NULL,"
    " stage INTEGER NOT NULL, detail TEXT NOT NULL, account TEXT, nonce INTEGER,"
    " hash TEXT, block_number INTEGER, block_hash TEXT, UNIQUE (kind, place, part))",
    "CREATE INDEX item_stage ON item (stage, position)",
    "CREATE INDEX item_place ON item (kind, stage, place)",
    "CREATE INDEX item_block ON item (block_number)",
    "CREATE TABLE signed (hash TEXT PRIMARY KEY, position INTEGER NOT NULL, account TEXT NOT NULL,"
    " nonce INTEGER NOT NULL, raw BLOB NOT NULL, price INTEGER NOT NULL, at_ms INTEGER NOT NULL)",
    "CREATE INDEX signed_position ON signed (position)",
)
# Files of before have no such indices.
_INDICES = (
    "CREATE INDEX IF NOT EXISTS item_scope ON item (scope, position)",
    "CREATE INDEX IF NOT EXISTS item_nonce ON item (account, nonce)",
)
_COLUMNS = (
    "position, kind, place, part, data, scope, stage, detail, account, nonce, hash, block_number,"
    " block_hash"
)


def _connect(path: Path, busy_timeout_seconds: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path,
        isolation_level=None,  # transactions are begun and ended here, by hand
        check_same_thread=False,  # a lock stands around every use
        timeout=busy_timeout_seconds,
    )
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


class OutboxFile(Closing):
    """The file of an outbox; several threads and processes may use it at once.

    Parameters
    ----------
    path
        Its file; made when it is missing.
    identity
        What it belongs to: chain, contract, log. Another file than that is refused.
    busy_timeout_seconds
        How long to wait for another process.

    Raises
    ------
    LedgerError
        The file belongs to another chain, contract or log, or is damaged.
    StorageError, StorageFullError, LedgerBusyError
        The file cannot be read or written.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, str], *, busy_timeout_seconds: float = 10.0
    ) -> None:
        self.path = path
        self._busy_timeout_seconds = busy_timeout_seconds
        self._lock = threading.RLock()
        self._round = threading.Lock()
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        except OSError as error:
            raise StorageError(f"{path}: the outbox cannot be opened ({error.strerror})") from error
        with translated_errors(path):
            self._connection = _connect(path, busy_timeout_seconds)
        try:
            self._prepare(identity)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, identity: Mapping[str, str]) -> None:
        """Make the tables of a new file; check those of an old one."""
        with self._writing():
            if self._value("PRAGMA application_id") == 0 and not self._value(
                "SELECT count(*) FROM sqlite_master"
            ):
                for statement in _SCHEMA:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
                self._connection.executemany("INSERT INTO meta VALUES (?, ?)", identity.items())
            found = (self._value("PRAGMA application_id"), self._value("PRAGMA user_version"))
            if found != (_APPLICATION_ID, _VERSION):
                raise LedgerError(f"{self.path}: not an outbox of version {_VERSION}")
            for statement in _INDICES:
                self._connection.execute(statement)
            for name, value in identity.items():
                if self.meta(name) != value:
                    raise LedgerError(f"{self.path}: the outbox belongs to another {name}")

    def close(self) -> None:
        """Close the file."""
        with self._lock, translated_errors(self.path):
            self._connection.close()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Be the only one, of all threads and processes, who sends for this outbox.

        Raises
        ------
        LedgerBusyError
            Somebody else sends for longer than the time limit.
        """
        deadline = time.monotonic() + self._busy_timeout_seconds
        busy = f"{self.path}: another process sends for this outbox, try again"
        if not self._round.acquire(timeout=self._busy_timeout_seconds):
            raise LedgerBusyError(busy)
        try:
            descriptor = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
            try:
                while not _try_lock(descriptor):
                    if time.monotonic() >= deadline:
                        raise LedgerBusyError(busy)
                    time.sleep(_LOCK_PAUSE_SECONDS)
                yield
            finally:
                # Closing ends the lock, as the end of the process does.
                os.close(descriptor)
        finally:
            self._round.release()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the file alone; changes are durable when the block is left, or never happened."""
        with self._lock, translated_errors(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Hold one state of the file for several reads."""
        with self._lock, translated_errors(self.path):
            self._connection.execute("BEGIN")
            try:
                yield
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def _rows(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock, translated_errors(self.path):
            return self._connection.execute(query, values).fetchall()

    def _value(self, query: str, values: Sequence[object] = ()) -> Any:
        rows = self._rows(query, values)
        return rows[0][0] if rows else None

    def _items(self, where: str, values: Sequence[object] = ()) -> list[Item]:
        """Return the items of a condition, which is a constant of this file."""
        query = f"SELECT {_COLUMNS} FROM item WHERE {where}"  # noqa: S608 - see above
        return [_item(row) for row in self._rows(query, values)]

    def meta(self, name: str) -> str | None:
        """Return a fact about the outbox."""
        value = self._value("SELECT value FROM meta WHERE name = ?", (name,))
        return None if value is None else str(value)

    def _set_meta(self, name: str, value: str) -> None:
        self._connection.execute(
            "INSERT INTO meta VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (name, value),
        )

    def forget(self, name: str) -> None:
        """Delete a fact about the outbox."""
        with self._writing():
            self._connection.execute("DELETE FROM meta WHERE name = ?", (name,))


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _item(row: Sequence[Any]) -> Item:
    values = dict(zip(_COLUMNS.split(", "), row, strict=True))
    values["kind"], values["stage"] = ItemKind(values["kind"]), Stage(values["stage"])
    return Item(**values)
