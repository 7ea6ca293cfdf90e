"""What is in the vault: images, releases and accounts in SQLite, by keyed lookups only.

No name, identifier or plain digest of an image stands here. Every lookup value is an HMAC under
a key that the keystore holds, and descriptions are sealed packages.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from medseal.errors import CatalogueError, StorageError, StorageFullError

__all__ = ["AccountRecord", "Catalogue", "ImageRecord", "ReleaseRecord"]

CATALOGUE_VERSION = 1
BUSY_TIMEOUT_SECONDS = 30
# Keeps one statement below SQLite's limit on bound variables.
_LOOKUP_CHUNK = 500

_METADATA = sa.MetaData()
_T = TypeVar("_T")


def _record_table(name: str, *columns: sa.Column[Any]) -> sa.Table:
    """Return a table of things that are sealed, committed to the ledger and fingerprinted."""
    return sa.Table(
        name,
        _METADATA,
        *columns,
        sa.Column("state", sa.String(8), nullable=False, index=True),
        sa.Column("created_ms", sa.BigInteger, nullable=False),
        sa.Column("values_key", sa.LargeBinary(32), index=True),
        sa.Column("instance_key", sa.LargeBinary(32), index=True),
        sa.Column("geometry_key", sa.LargeBinary(32), index=True),
        sa.Column("sealed_record", sa.LargeBinary),
        sa.Column("commitment", sa.String(71), nullable=False, index=True),
        sa.Column("leaf", sa.LargeBinary, nullable=False),
    )


_IMAGES = _record_table(
    "images",
    sa.Column("image_id", sa.String(32), primary_key=True),
    sa.Column("package", sa.String(64)),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("identity_key", sa.LargeBinary(32), unique=True),
    sa.Column("patient_key", sa.LargeBinary(32), index=True),
)
_RELEASES = _record_table(
    "releases",
    sa.Column("release_id", sa.String(16), primary_key=True),
    sa.Column("image_id", sa.ForeignKey("images.image_id"), nullable=False, index=True),
    sa.Column("account", sa.String(32), nullable=False),
)
_ACCOUNTS = sa.Table(
    "accounts",
    _METADATA,
    sa.Column("account", sa.String(32), primary_key=True),
    sa.Column("sealed_name", sa.LargeBinary, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRecord:
    """One sealed image.

    Attributes
    ----------
    image_id
        32 hexadecimal digits, random.
    state
        ``pending`` (row written, ledger not yet confirmed), ``sealed`` or ``erased``.
    package
        Address of the sealed package, or None once erased.
    size_bytes
        Size of the package.
    identity_key, values_key, instance_key, geometry_key, patient_key
        HMACs of: the content, the stored values, the SOP instance UID, the shape, the patient ID.
    sealed_record
        Sealed package of the fingerprint and of the opening of the commitment.
    commitment
        Salted commitment as it stands on the ledger.
    leaf
        Bytes of the event on the ledger.
    created_ms
        UTC milliseconds.
    """

    image_id: str
    state: str
    package: str | None
    size_bytes: int
    identity_key: bytes | None
    values_key: bytes | None
    instance_key: bytes | None
    geometry_key: bytes | None
    patient_key: bytes | None
    sealed_record: bytes | None
    commitment: str
    leaf: bytes
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRecord:
    """One watermarked copy that was made for somebody; fields as in `ImageRecord`.

    Attributes
    ----------
    release_id
        16 hexadecimal digits: the 64-bit payload of the watermark.
    account
        Pseudonymous account it was made for.
    """

    release_id: str
    image_id: str
    account: str
    state: str
    values_key: bytes | None
    instance_key: bytes | None
    geometry_key: bytes | None
    sealed_record: bytes | None
    commitment: str
    leaf: bytes
    created_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRecord:
    """A pseudonymous account and the sealed package of its name."""

    account: str
    sealed_name: bytes


Record = ImageRecord | ReleaseRecord


def _row(record: Record | AccountRecord) -> dict[str, Any]:
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _configure(connection: Any, _: object) -> None:
    cursor = connection.cursor()
    # Durable on commit, readers never blocked, and deleted cells overwritten (erasure).
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA secure_delete=ON")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@contextmanager
def _database_errors() -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        text = str(error.orig)
        if "full" in text:
            message = "catalogue: no space is left; free some and run the command again"
            raise StorageFullError(message) from error
        if "locked" in text:
            message = "catalogue: another process holds it; try again when that one is done"
            raise StorageError(message) from error
        raise StorageError(f"catalogue: {text}; check the workspace folder") from error
    except IntegrityError as error:
        raise CatalogueError("catalogue: such a record is there already") from error
    except DatabaseError as error:
        message = "catalogue: the file is damaged; restore it from a backup"
        raise CatalogueError(message) from error


class Catalogue:
    """The catalogue of one workspace.

    Parameters
    ----------
    path
        The SQLite file; created when missing.

    Raises
    ------
    CatalogueError
        The file is damaged or of another version.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        if create:
            with contextlib.suppress(OSError):
                # Made here so that nobody else may read it; a wrong path is reported below.
                path.touch(mode=0o600, exist_ok=True)
        elif not path.exists():
            raise CatalogueError("catalogue: the file is missing; restore it from a backup")
        self._engine = sa.create_engine(
            f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_SECONDS}
        )
        sa.event.listen(self._engine, "connect", _configure)
        with _database_errors(), self._engine.begin() as connection:
            version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
            if version == 0 and not create:
                raise CatalogueError("catalogue: the file is empty; restore it from a backup")
            if version not in (0, CATALOGUE_VERSION):
                raise CatalogueError(
                    f"catalogue: version {version} is not {CATALOGUE_VERSION}; update medseal"
                )
            _METADATA.create_all(connection)
            connection.exec_driver_sql(f"PRAGMA user_version={CATALOGUE_VERSION}")

    def close(self) -> None:
        """Release the file."""
        self._engine.dispose()

    # --- images and releases ------------------------------------------------------------------

    def insert(self, records: Sequence[Record]) -> None:
        """Insert records in one transaction: all or none."""
        with _database_errors(), self._engine.begin() as connection:
            for record in records:
                table = _IMAGES if isinstance(record, ImageRecord) else _RELEASES
                connection.execute(table.insert(), _row(record))

    def mark_sealed(self, records: Iterable[Record]) -> None:
        """Confirm pending records, in one transaction."""
        with _database_errors(), self._engine.begin() as connection:
            for record in records:
                connection.execute(
                    _same(record).values(state="sealed").where(sa.text("state = 'pending'"))
                )

    def remove_pending(self, records: Iterable[Record]) -> None:
        """Take pending records back, in one transaction."""
        with _database_errors(), self._engine.begin() as connection:
            for record in records:
                table, key = _key(record)
                connection.execute(table.delete().where(key, table.c.state == "pending"))

    def pending(self) -> list[Record]:
        """Return the records that an interrupted command left unconfirmed."""
        images = self._select(_IMAGES, _IMAGES.c.state == "pending", ImageRecord)
        releases = self._select(_RELEASES, _RELEASES.c.state == "pending", ReleaseRecord)
        return [*images, *releases]

    def image(self, image_id: str) -> ImageRecord | None:
        """Return the image with this identifier, erased ones included."""
        return next(iter(self._select(_IMAGES, _IMAGES.c.image_id == image_id, ImageRecord)), None)

    def release(self, release_id: str) -> ReleaseRecord | None:
        """Return the release with this identifier, erased ones included."""
        where = _RELEASES.c.release_id == release_id
        return next(iter(self._select(_RELEASES, where, ReleaseRecord)), None)

    def images(self) -> list[ImageRecord]:
        """Return all sealed images, oldest first."""
        return self._select(_IMAGES, _IMAGES.c.state == "sealed", ImageRecord)

    def releases_of(self, image_id: str) -> list[ReleaseRecord]:
        """Return the releases of an image, oldest first."""
        return self._select(_RELEASES, _RELEASES.c.image_id == image_id, ReleaseRecord)

    def images_by_patient(self, patient_key: bytes) -> list[ImageRecord]:
        """Return the sealed images of one patient."""
        where = (_IMAGES.c.patient_key == patient_key) & (_IMAGES.c.state == "sealed")
        return self._select(_IMAGES, where, ImageRecord)

    def sealed_identities(self, keys: Sequence[bytes]) -> dict[bytes, ImageRecord]:
        """Return the sealed or pending images among these content keys."""
        found: dict[bytes, ImageRecord] = {}
        for start in range(0, len(keys), _LOOKUP_CHUNK):
            where = _IMAGES.c.identity_key.in_(keys[start : start + _LOOKUP_CHUNK])
            for record in self._select(_IMAGES, where, ImageRecord):
                if record.identity_key is not None:
                    found[record.identity_key] = record
        return found

    def find(self, column: str, key: bytes | str, *, limit: int = 100) -> list[Record]:
        """Return sealed records by a lookup column, newest first, releases before images.

        Parameters
        ----------
        column
            ``values_key``, ``instance_key``, ``geometry_key`` or ``commitment``.
        key
            The HMAC, or the text of the commitment.
        limit
            At most so many of each kind.
        """
        found: list[Record] = []
        for table, kind in ((_RELEASES, ReleaseRecord), (_IMAGES, ImageRecord)):
            where = (table.c[column] == key) & (table.c.state == "sealed")
            found.extend(self._select(table, where, kind, newest=limit))
        return found

    def erase(self, record: ImageRecord) -> None:
        """Blank an image and its releases: what is left proves that something was, not what."""
        blank = {
            "state": "erased",
            "values_key": None,
            "instance_key": None,
            "geometry_key": None,
            "sealed_record": None,
        }
        with _database_errors():
            with self._engine.begin() as connection:
                image = _IMAGES.c.image_id == record.image_id
                connection.execute(
                    _IMAGES.update()
                    .where(image)
                    .values(**blank, package=None, identity_key=None, patient_key=None)
                )
                release = _RELEASES.c.image_id == record.image_id
                connection.execute(_RELEASES.update().where(release).values(**blank))
            with self._engine.connect() as connection:
                # The write-ahead log still holds the old cells until it is truncated.
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def counts(self) -> dict[str, int]:
        """Return how many images and releases stand in each state, as ``images.sealed``."""
        result: dict[str, int] = {}
        with _database_errors(), self._engine.connect() as connection:
            for table in (_IMAGES, _RELEASES):
                query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
                for state, count in connection.execute(query):
                    result[f"{table.name}.{state}"] = count
        return result

    # --- accounts -----------------------------------------------------------------------------

    def add_account(self, record: AccountRecord) -> None:
        """Keep an account's sealed name; a second time changes nothing."""
        with _database_errors(), self._engine.begin() as connection:
            connection.execute(_ACCOUNTS.insert().prefix_with("OR IGNORE"), _row(record))

    def accounts(self) -> list[AccountRecord]:
        """Return all accounts."""
        return self._select(_ACCOUNTS, sa.true(), AccountRecord)

    def _select(
        self,
        table: sa.Table,
        where: sa.ColumnElement[bool],
        kind: type[_T],
        *,
        newest: int | None = None,
    ) -> list[_T]:
        columns = [table.c[field.name] for field in fields(kind)]  # type: ignore[arg-type]
        query = sa.select(*columns).where(where)
        if newest is not None:
            query = query.order_by(table.c.created_ms.desc()).limit(newest)
        elif "created_ms" in table.c:
            query = query.order_by(table.c.created_ms)
        with _database_errors(), self._engine.connect() as connection:
            return [kind(**row) for row in connection.execute(query).mappings()]


def _key(record: Record) -> tuple[sa.Table, sa.ColumnElement[bool]]:
    if isinstance(record, ImageRecord):
        return _IMAGES, _IMAGES.c.image_id == record.image_id
    return _RELEASES, _RELEASES.c.release_id == record.release_id


def _same(record: Record) -> sa.Update:
    table, key = _key(record)
    return table.update().where(key)
