"""The catalogue: all or nothing, keyed lookups, blanked on erasure."""

import dataclasses
import secrets
import sqlite3
from pathlib import Path

import pytest

from medseal.errors import CatalogueError, StorageError
from medseal.vault import BlobStore, Catalogue, ImageRecord, ReleaseRecord, erase_image
from medseal.vault.catalogue import AccountRecord


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "catalogue.sqlite")


def image(**changes: object) -> ImageRecord:
    record = ImageRecord(
        image_id=secrets.token_hex(16),
        state="pending",
        package=secrets.token_hex(32),
        size_bytes=10,
        identity_key=secrets.token_bytes(32),
        values_key=secrets.token_bytes(32),
        instance_key=secrets.token_bytes(32),
        geometry_key=b"g" * 32,
        patient_key=b"p" * 32,
        sealed_record=b"sealed-record-of-an-image",
        commitment="sha256:" + secrets.token_hex(32),
        leaf=b"leaf",
        created_ms=1,
    )
    return dataclasses.replace(record, **changes)


def release_of(record: ImageRecord) -> ReleaseRecord:
    return ReleaseRecord(
        release_id=secrets.token_hex(8),
        image_id=record.image_id,
        account=secrets.token_hex(16),
        state="pending",
        values_key=secrets.token_bytes(32),
        instance_key=None,
        geometry_key=b"g" * 32,
        sealed_record=b"sealed-record-of-a-release",
        commitment="sha256:" + secrets.token_hex(32),
        leaf=b"leaf",
        created_ms=2,
    )


def test_a_pending_record_is_found_only_once_it_is_sealed(catalogue: Catalogue) -> None:
    record = image()
    catalogue.insert([record])
    assert catalogue.pending() == [record]
    assert catalogue.find("values_key", record.values_key or b"") == []
    assert catalogue.images() == []
    catalogue.mark_sealed([record])
    [found] = catalogue.find("values_key", record.values_key or b"")
    assert found == dataclasses.replace(record, state="sealed")
    assert catalogue.pending() == []


def test_insert_is_all_or_nothing(catalogue: Catalogue) -> None:
    first = image()
    with pytest.raises(CatalogueError, match="there already"):
        catalogue.insert([first, image(identity_key=first.identity_key)])
    assert catalogue.pending() == []


def test_a_sealed_record_cannot_be_taken_back(catalogue: Catalogue) -> None:
    record = image()
    catalogue.insert([record])
    catalogue.mark_sealed([record])
    catalogue.remove_pending([record])
    assert [found.image_id for found in catalogue.images()] == [record.image_id]


def test_releases_come_before_images(catalogue: Catalogue) -> None:
    record = image()
    release = release_of(record)
    catalogue.insert([record, release])
    catalogue.mark_sealed([record, release])
    kinds = [type(found) for found in catalogue.find("geometry_key", b"g" * 32)]
    assert kinds == [ReleaseRecord, ImageRecord]


def test_erasure_leaves_neither_blob_nor_record_in_any_file(
    catalogue: Catalogue, tmp_path: Path
) -> None:
    store = BlobStore(tmp_path / "objects")
    record = image(package=store.put(b"ciphertext"))
    release = release_of(record)
    catalogue.insert([record, release])
    catalogue.mark_sealed([record, release])
    erase_image(record, catalogue, store)
    erase_image(record, catalogue, store)
    left = catalogue.image(record.image_id)
    assert left is not None
    assert left.state == "erased"
    assert (left.package, left.sealed_record, left.patient_key) == (None, None, None)
    assert list(store.addresses()) == []
    everything = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert b"sealed-record-of" not in everything
    assert (record.values_key or b"") not in everything


def test_accounts_are_kept_once(catalogue: Catalogue) -> None:
    account = AccountRecord(account="a" * 32, sealed_name=b"one")
    catalogue.add_account(account)
    catalogue.add_account(dataclasses.replace(account, sealed_name=b"two"))
    assert catalogue.accounts() == [account]


def test_a_damaged_file_is_a_typed_error(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"this is no database, but long enough to be read as one" * 100)
    with pytest.raises(CatalogueError, match="damaged"):
        Catalogue(path)


def test_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    with pytest.raises(CatalogueError, match="version 99"):
        Catalogue(path)


def test_a_missing_folder_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="check the workspace folder"):
        Catalogue(tmp_path / "missing" / "catalogue.sqlite")
