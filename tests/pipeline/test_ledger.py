"""Status, proofs, audits and offline verification of a workspace's log."""

from pathlib import Path

import pytest

from medseal.errors import (
    ConfigurationError,
    InputError,
    LedgerError,
    ReceiptError,
    StorageError,
    UnknownImageError,
)
from medseal.ledger import EventKind, Receipt
from medseal.pipeline.erase import erase
from medseal.pipeline.ledger import (
    PinnedContract,
    audit,
    check_anchor_online,
    log_key_file,
    prove,
    read_receipt,
    refusals,
    status,
    sync,
    verify_receipt_file,
)
from medseal.pipeline.seal import seal
from medseal.pipeline.witness import checkpoint
from medseal.pipeline.workspace import Workspace


@pytest.fixture
def image_id(workspace: Workspace, ct_file: Path) -> str:
    [outcome] = seal(workspace, [ct_file])
    return outcome.image_id or ""


def test_the_status_of_a_log_in_one_file(workspace: Workspace, image_id: str) -> None:
    assert image_id
    value = status(workspace)
    assert value["size"] == value["final"] == 2
    assert {value[name] for name in ("queued", "submitted", "mined", "refused", "pending")} == {0}
    assert value["images.sealed"] == 1
    assert "node" not in value
    assert refusals(workspace) == []
    for until in (None, "final"):
        assert sync(workspace, until=until) == {
            "recovered": 0,
            "queued": 0,
            "submitted": 0,
            "mined": 0,
            "final": 2,
            "refused": 0,
        }


def test_an_entry_is_proved_by_index_and_by_name(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    full, bare, first = (tmp_path / name for name in ("full", "bare", "first"))
    assert prove(workspace, image_id, full).opening is not None
    assert prove(workspace, image_id, bare, with_opening=False).opening is None
    assert prove(workspace, "0", first).index == 0
    key = log_key_file(workspace.path)
    for path, kind in ((full, EventKind.SEAL), (bare, EventKind.SEAL), (first, EventKind.GENESIS)):
        value = verify_receipt_file(path, key)
        assert (value["kind"], value["size"]) == (str(kind), 2)
        assert str(value["at"]).endswith("+00:00")
    for unknown, error in (("nothing", UnknownImageError), ("99", InputError)):
        with pytest.raises(error, match=unknown):
            prove(workspace, unknown, tmp_path / "none")
    erase(workspace, image_id)
    with pytest.raises(UnknownImageError, match="was erased"):
        prove(workspace, image_id, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_a_receipt_that_does_not_verify_is_named(
    workspace: Workspace, image_id: str, passphrase: str, tmp_path: Path
) -> None:
    path = tmp_path / "receipt"
    prove(workspace, image_id, path)
    with Workspace.create(tmp_path / "other", passphrase) as other:
        foreign = log_key_file(other.path)
        other_key = other.log.vkey
    with pytest.raises(LedgerError, match=r"receipt: .*; ask for a fresh receipt"):
        verify_receipt_file(path, foreign)
    with pytest.raises(LedgerError, match="ask for a fresh receipt"):
        read_receipt(path, other_key)
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ReceiptError, match="damaged"):
        verify_receipt_file(path, log_key_file(workspace.path))
    with pytest.raises(ConfigurationError, match="missing"):
        verify_receipt_file(path, tmp_path / "missing")


def test_a_receipt_without_anchor_is_not_taken_to_a_node(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    prove(workspace, image_id, tmp_path / "receipt")
    receipt = Receipt.parse((tmp_path / "receipt").read_bytes())
    assert receipt.anchor is None
    pinned = PinnedContract(node="http://127.0.0.1:9", chain_id=5, contract=f"0x{'ab' * 20}")
    with pytest.raises(LedgerError, match="no anchor"):
        check_anchor_online(tmp_path / "receipt", log_key_file(workspace.path), pinned)


def test_an_audit_looks_at_log_objects_and_what_was_kept(
    workspace: Workspace, image_id: str, tmp_path: Path
) -> None:
    checkpoint(workspace, tmp_path / "head", hashes=tmp_path / "hashes")
    value = audit(workspace, since=tmp_path / "hashes")
    assert (value["size"], value["objects"], value["since"]) == (2, 1, 2)
    record = workspace.catalogue.image(image_id)
    assert record is not None
    workspace.store.delete(record.package or "")
    with pytest.raises(StorageError, match=r"."):
        audit(workspace)
