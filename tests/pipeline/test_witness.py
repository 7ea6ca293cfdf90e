"""Heads and hashes that are kept elsewhere: written, cosigned, compared."""

import shutil
from pathlib import Path

import pytest

from medseal.errors import (
    CheckpointError,
    ConfigurationError,
    ConsistencyError,
    InputError,
    LedgerError,
)
from medseal.ledger import EventKind, verify_checkpoint
from medseal.pipeline.witness import (
    check_since,
    checkpoint,
    compare,
    cosign,
    read_log_key,
    witness_key,
)
from medseal.pipeline.workspace import LOG_KEY_FILE, Workspace


def note(workspace: Workspace, times: int = 1) -> None:
    for _ in range(times):
        workspace.record_event(EventKind.VERIFY, actor=workspace.owner)


def test_head_and_hashes_are_of_one_size(workspace: Workspace, tmp_path: Path) -> None:
    note(workspace, 4)
    text = checkpoint(workspace, tmp_path / "head", hashes=tmp_path / "hashes")
    assert (tmp_path / "head").read_text() == text
    note(workspace, 3)
    assert check_since(workspace, tmp_path / "head") == 5
    assert check_since(workspace, tmp_path / "hashes", proof=tmp_path / "proof") == 5
    head = verify_checkpoint((tmp_path / "head").read_bytes(), workspace.log.vkey)
    proof = tuple(bytes.fromhex(line) for line in (tmp_path / "proof").read_text().split())
    assert proof == workspace.log.consistency(5)
    assert head.size == 5


def test_a_log_that_parted_is_named_by_its_entry(
    workspace: Workspace, passphrase: str, tmp_path: Path
) -> None:
    note(workspace, 2)
    shutil.copytree(workspace.path, tmp_path / "copy")
    note(workspace, 3)
    checkpoint(workspace, tmp_path / "head", hashes=tmp_path / "ours")
    key = workspace.path / LOG_KEY_FILE
    with Workspace.open(tmp_path / "copy", passphrase) as other:
        note(other, 4)
        checkpoint(other, None, hashes=tmp_path / "theirs")
        with pytest.raises(ConsistencyError, match="entry 3 is the first") as caught:
            check_since(other, tmp_path / "ours")
        assert caught.value.index == 3
        with pytest.raises(ConsistencyError, match="to name the entry") as caught:
            check_since(other, tmp_path / "head")
        assert caught.value.index is None
    with pytest.raises(ConsistencyError, match="entry 3 is the first"):
        compare(tmp_path / "ours", tmp_path / "theirs", key)
    with pytest.raises(ConsistencyError, match="entry 3 is the first"):
        compare(tmp_path / "theirs", tmp_path / "ours", key)
    same = compare(tmp_path / "ours", tmp_path / "ours", key)
    assert same == {"common": 6, "first": 6, "second": 6}


def test_the_longer_file_is_the_newer(workspace: Workspace, tmp_path: Path) -> None:
    checkpoint(workspace, None, hashes=tmp_path / "one")
    note(workspace, 2)
    checkpoint(workspace, None, hashes=tmp_path / "three")
    key = workspace.path / LOG_KEY_FILE
    found = compare(tmp_path / "three", tmp_path / "one", key)
    assert found == {"common": 1, "first": 3, "second": 1}


def test_a_witness_follows_a_log(workspace: Workspace, tmp_path: Path) -> None:
    key_file = workspace.path / LOG_KEY_FILE
    key = witness_key(tmp_path / "witness.key", "witness.example/w1")
    assert witness_key(tmp_path / "witness.key", "ignored") == key
    assert (tmp_path / "witness.key").stat().st_mode & 0o777 == 0o600
    checkpoint(workspace, tmp_path / "head")
    cosigned = tmp_path / "cosigned"
    value = cosign(tmp_path / "head", key_file, key, cosigned)
    assert value == {"file": str(cosigned), "size": 1, "witness": str(key.vkey)}
    note(workspace)
    check_since(workspace, cosigned, proof=tmp_path / "proof")
    checkpoint(workspace, tmp_path / "head")
    again = tmp_path / "again"
    cosign(tmp_path / "head", key_file, key, again, previous=cosigned, proof=tmp_path / "proof")
    verify_checkpoint(again.read_bytes(), workspace.log.vkey, witnesses=(key.vkey,))
    with pytest.raises(ConsistencyError, match="proof"):
        cosign(tmp_path / "head", key_file, key, again, previous=cosigned)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"zz", "one hexadecimal hash a line"), (b"abcd", "has 32 bytes"), (b"\xff", "hexadecimal")],
)
def test_a_malformed_proof_is_named(
    workspace: Workspace, tmp_path: Path, content: bytes, words: str
) -> None:
    key = witness_key(tmp_path / "witness.key", "witness.example/w1")
    checkpoint(workspace, tmp_path / "head")
    (tmp_path / "proof").write_bytes(content)
    with pytest.raises(ConfigurationError, match=words):
        cosign(
            tmp_path / "head",
            workspace.path / LOG_KEY_FILE,
            key,
            tmp_path / "out",
            proof=tmp_path / "proof",
        )


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"name+0+AAAA"])
def test_a_malformed_key_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "key").write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"give the log\.vkey of the log") as caught:
        read_log_key(tmp_path / "key")
    assert str(tmp_path / "key") in str(caught.value)
    with pytest.raises(ConfigurationError, match="not usable as the key of a witness"):
        witness_key(tmp_path / "key", "w")


def test_what_was_kept_of_another_log_is_refused(
    workspace: Workspace, passphrase: str, tmp_path: Path
) -> None:
    with Workspace.create(tmp_path / "other", passphrase) as other:
        checkpoint(other, tmp_path / "head", hashes=tmp_path / "hashes")
    for name in ("head", "hashes"):
        with pytest.raises(CheckpointError, match="signature"):
            check_since(workspace, tmp_path / name)
    with pytest.raises(LedgerError, match="not the hashes"):
        compare(tmp_path / "head", tmp_path / "hashes", workspace.path / LOG_KEY_FILE)
    with pytest.raises(InputError, match="missing"):
        check_since(workspace, tmp_path / "missing")
