"""The trail of an image, a copy and a person; no proof is told that does not verify."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from medseal.errors import (
    AccessRefusedError,
    ConfigurationError,
    LedgerError,
    StorageError,
    UnknownImageError,
)
from medseal.ledger import Receipt, now_ms, verify
from medseal.pipeline.access import GrantRequest, break_glass, grant
from medseal.pipeline.audit_trail import audit_trail, trail_row, write_proofs
from medseal.pipeline.erase import erase
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace


@pytest.fixture
def image_id(workspace: Workspace, ct_file: Path) -> str:
    [outcome] = seal(workspace, [ct_file])
    return outcome.image_id or ""


def kinds(workspace: Workspace, what: str | None) -> list[str]:
    return [str(entry.record.event.kind) for entry in audit_trail(workspace, what)]


@pytest.fixture
def used(workspace: Workspace, image_id: str, mr_file: Path, tmp_path: Path) -> str:
    """An image that was granted, refused, opened and released; the id of its release."""
    seal(workspace, [mr_file])
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view", purpose="study-7"))
    with pytest.raises(AccessRefusedError, match="purpose"):
        open_image(workspace, image_id, tmp_path / "a.dcm", name="ann")
    open_image(workspace, image_id, tmp_path / "a.dcm", name="ann", purpose="study-7")
    outcome = release(workspace, ReleaseRequest(image_id=image_id, to="bob"), tmp_path / "r.dcm")
    break_glass(workspace, "ann", image_id, reason="unconscious")
    return outcome.release_id


def test_the_trail_of_an_image_a_copy_and_a_person(
    workspace: Workspace, image_id: str, used: str
) -> None:
    assert kinds(workspace, image_id) == [
        "seal", "grant", "refuse", "open", "release", "break-glass",
    ]  # fmt: skip
    assert kinds(workspace, used) == ["release"]
    assert kinds(workspace, "ann") == ["role", "grant", "refuse", "open", "break-glass"]
    assert kinds(workspace, "bob") == ["release"]
    assert kinds(workspace, workspace.keys.account("bob")) == ["release"]
    assert len(kinds(workspace, None)) == workspace.log.size
    record = workspace.catalogue.image(image_id)
    assert record is not None
    assert kinds(workspace, record.commitment)[0] == "seal"
    assert kinds(workspace, f"sha256:{'0' * 64}") == []


def test_names_are_told_on_request_only(workspace: Workspace, image_id: str, used: str) -> None:
    plain = [trail_row(entry) for entry in audit_trail(workspace, image_id)]
    assert not any(row["name"] or row["account_name"] for row in plain)
    assert {row["actor"] for row in plain} == {
        workspace.owner,
        workspace.keys.account("ann"),
    }
    named = [trail_row(entry) for entry in audit_trail(workspace, used, with_names=True)]
    assert [(row["name"], row["account_name"]) for row in named] == [("owner", "bob")]
    opened = plain[3]
    assert (opened["outcome"], opened["reason"], opened["purpose"]) == (
        "allowed",
        "granted",
        "study-7",
    )
    assert opened["basis"] == plain[1]["index"]
    assert opened["roles"] == ["radiologist"]
    assert (plain[2]["outcome"], plain[2]["reason"]) == ("refused", "purpose")


def test_every_entry_comes_with_a_proof_that_verifies_offline(
    workspace: Workspace, image_id: str, used: str, tmp_path: Path
) -> None:
    assert used
    for entry in audit_trail(workspace, image_id):
        path = write_proofs(entry, tmp_path / "proofs" / "here")
        receipt = Receipt.parse(path.read_bytes())
        assert verify(receipt, workspace.log.vkey) == entry.record.event
        assert receipt.opening is None
        assert receipt.index == entry.record.index


def test_an_entry_that_was_changed_in_the_file_is_not_told(
    workspace: Workspace, image_id: str
) -> None:
    end = now_ms() + 60_000
    grant(workspace, GrantRequest(name="ann", image_id=image_id, action="view", until_ms=end))
    index = workspace.log.size - 1
    with closing(sqlite3.connect(workspace.path / "ledger.sqlite")) as connection, connection:
        [data] = connection.execute("SELECT data FROM leaf WHERE position = ?", (index,)).fetchone()
        changed = data.replace(b'"action":"view"', b'"action":"share"')
        connection.execute("UPDATE leaf SET data = ? WHERE position = ?", (changed, index))
    with pytest.raises(LedgerError, match="does not lead to the root"):
        list(audit_trail(workspace, image_id))


def test_the_trail_of_an_erased_image_stays(workspace: Workspace, image_id: str) -> None:
    erase(workspace, image_id)
    entries = list(audit_trail(workspace, image_id))
    assert [str(entry.record.event.kind) for entry in entries] == ["seal", "erase"]
    assert {entry.image_id for entry in entries} == {image_id}


def test_what_is_not_known(workspace: Workspace) -> None:
    with pytest.raises(UnknownImageError, match="no image, release or name 'nobody'"):
        list(audit_trail(workspace, "nobody"))


def test_where_proofs_cannot_be_written(workspace: Workspace, tmp_path: Path) -> None:
    [entry] = audit_trail(workspace)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="no folder"):
        write_proofs(entry, tmp_path / "file")
    with pytest.raises(StorageError, match="--proofs"):
        write_proofs(entry, tmp_path / "file" / "below")
