"""Blobs: staged, published, checked on the way out, swept after a crash."""

import errno
import os
from pathlib import Path

import pytest

from medseal.errors import DigestMismatchError, StorageError, StorageFullError
from medseal.vault import BlobStore
from medseal.vault import store as store_module


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "objects")


def test_put_then_get_gives_the_same_bytes(store: BlobStore) -> None:
    address = store.put(b"ciphertext")
    assert store.get(address) == b"ciphertext"
    assert address in store
    assert list(store.addresses()) == [address]


def test_a_staged_blob_is_not_served(store: BlobStore) -> None:
    blob = store.stage(b"ciphertext")
    assert blob.address not in store
    assert list(store.addresses()) == []
    with pytest.raises(StorageError, match="no such file"):
        store.get(blob.address)
    store.publish([blob])
    assert store.get(blob.address) == b"ciphertext"


def test_discard_leaves_nothing(store: BlobStore, tmp_path: Path) -> None:
    store.discard(store.stage(b"ciphertext"))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_changed_blob_is_refused(store: BlobStore, tmp_path: Path) -> None:
    address = store.put(b"ciphertext")
    path = tmp_path / "objects" / address
    path.write_bytes(b"Ciphertext")
    with pytest.raises(DigestMismatchError, match="damaged") as caught:
        store.get(address)
    assert caught.value.expected == address
    assert caught.value.actual != address


@pytest.mark.parametrize("address", ["", "ab", "../../etc/passwd", "A" * 64, "a" * 65])
def test_an_address_cannot_leave_the_folder(store: BlobStore, address: str) -> None:
    with pytest.raises(StorageError, match="64 lower-case hex digits"):
        store.get(address)


def test_sweep_removes_what_a_dead_process_left_and_nothing_else(
    store: BlobStore, tmp_path: Path
) -> None:
    kept = store.stage(b"of this process")
    # Process numbers end below this on every Linux (PID_MAX_LIMIT).
    dead = tmp_path / "objects" / "incoming" / f"{2**22 + 1}-0123456789abcdef"
    dead.write_bytes(b"half a blo")
    assert store.sweep() == 1
    assert not dead.exists()
    assert kept.path.exists()


def test_a_full_disk_leaves_no_file(
    store: BlobStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(store_module.os, "fsync", full)
    with pytest.raises(StorageFullError, match="no space is left"):
        store.stage(b"ciphertext")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_delete_is_repeatable(store: BlobStore) -> None:
    address = store.put(b"ciphertext")
    store.delete(address)
    store.delete(address)
    assert address not in store


def test_blobs_are_readable_by_their_owner_only(store: BlobStore, tmp_path: Path) -> None:
    store.put(b"ciphertext")
    modes = {path.stat().st_mode & 0o077 for path in [*tmp_path.glob("*"), *tmp_path.rglob("*/*")]}
    files = {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*") if path.is_file()}
    assert modes == {0}
    assert files == {0o600}
