"""Heads and hashes kept elsewhere, through the real command line."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def forked(medseal: Run, image_id: str, tmp_path: Path) -> tuple[Path, int]:
    """Two copies of one workspace that part after some entries; the folder and that number."""
    for name in ("ann", "bob"):
        assert medseal("access", "grant", name, image_id, "--action", "view").code == 0
    medseal("ledger", "checkpoint", "--output", "head", "--hashes", "kept")
    [status] = medseal("ledger", "status", "--json").json
    shutil.copytree(tmp_path / ".medseal", tmp_path / "other")
    medseal("access", "grant", "eve", image_id, "--action", "view")
    assert medseal("access", "revoke", "ann", image_id, "--workspace", tmp_path / "other").code == 0
    return tmp_path / "other", status["size"]


def test_a_log_that_goes_on_continues_its_hashes(medseal: Run, forked: tuple[Path, int]) -> None:
    _, size = forked
    [audit] = medseal("ledger", "audit", "--since", "kept", "--proof", "proof", "--json").json
    assert audit["since"] == size
    assert medseal("ledger", "checkpoint", "--hashes", "later").code == 0
    key = ("--log-key", ".medseal/log.vkey")
    [value] = medseal("ledger", "compare", "kept", "later", *key, "--json").json
    assert value["common"] == value["first"] == size
    assert value["second"] > size
    witness = ("--key", "witness.key", *key)
    assert medseal("ledger", "witness", "head", *witness, "--output", "cosigned").code == 0
    medseal("ledger", "checkpoint", "--output", "second")
    again = ("--previous", "cosigned", "--proof", "proof", "--output", "again")
    assert medseal("ledger", "witness", "second", *witness, *again).code == 0


def test_a_fork_is_found_and_its_first_entry_named(medseal: Run, forked: tuple[Path, int]) -> None:
    other, size = forked
    medseal("ledger", "checkpoint", "--hashes", "ours", "--output", "our-head")
    medseal("ledger", "checkpoint", "--hashes", "theirs", "--workspace", other)
    finished = medseal("ledger", "compare", "ours", "theirs", "--log-key", ".medseal/log.vkey")
    assert finished.code == 1
    assert f"entry {size} is the first that differs" in finished.err
    against = medseal("ledger", "audit", "--since", "ours", "--workspace", other)
    assert against.code == 1
    assert f"entry {size} is the first" in against.err
    head_alone = medseal("ledger", "audit", "--since", "our-head", "--workspace", other)
    assert head_alone.code == 1
    assert "to name the entry give --since a file of 'ledger checkpoint --hashes'" in head_alone.err


def test_a_log_that_was_rolled_back_is_named_by_its_first_missing_entry(
    medseal: Run, image_id: str, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / ".medseal", tmp_path / "backup")
    [status] = medseal("ledger", "status", "--json").json
    for _ in range(3):
        medseal("access", "grant", "ann", image_id, "--action", "view")
    medseal("ledger", "checkpoint", "--hashes", "kept")
    finished = medseal("ledger", "audit", "--since", "kept", "--workspace", tmp_path / "backup")
    assert finished.code == 1
    assert f"entry {status['size']} is the first that is missing" in finished.err


@pytest.mark.usefixtures("image_id")
@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"", 1, "not the hashes of a log"),
        (b"medseal-tree/v1 99999\n", 1, "before their signed head"),
        (b"medseal-tree/v1 0\n", 1, "not the hashes of a log"),
    ],
)
def test_other_files_are_no_hashes(
    medseal: Run, tmp_path: Path, content: bytes, code: int, words: str
) -> None:
    medseal("ledger", "checkpoint", "--hashes", "kept")
    (tmp_path / "bad").write_bytes(content)
    finished = medseal("ledger", "compare", "bad", "kept", "--log-key", ".medseal/log.vkey")
    assert (finished.code, finished.err.count("\n")) == (code, 1)
    assert words in finished.err
    assert "bad" in finished.err
