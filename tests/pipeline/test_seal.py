"""Sealing: every outcome is durable, duplicates are named, failures cost nobody else."""

import importlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from medseal.errors import StorageFullError
from medseal.ledger import Receipt, verify
from medseal.pipeline.access import find_image
from medseal.pipeline.erase import erase
from medseal.pipeline.open import unseal
from medseal.pipeline.seal import SealOutcome, seal
from medseal.pipeline.workspace import Workspace
from medseal.vault import store as store_module

seal_module = importlib.import_module("medseal.pipeline.seal")


def seal_one(workspace: Workspace, file: Path) -> SealOutcome:
    [outcome] = seal(workspace, [file])
    return outcome


def test_sealed_then_opened_is_the_same_file(workspace: Workspace, ct_file: Path) -> None:
    outcome = seal_one(workspace, ct_file)
    assert outcome.status == "sealed"
    assert outcome.image_id is not None
    opened = unseal(workspace, find_image(workspace, outcome.image_id))
    assert opened.data == ct_file.read_bytes()


def test_the_receipt_verifies_offline_and_opens_the_commitment(
    workspace: Workspace, ct_file: Path
) -> None:
    outcome = seal_one(workspace, ct_file)
    assert outcome.receipt is not None
    receipt = Receipt.parse(outcome.receipt.read_bytes())
    event = verify(receipt, workspace.ledger.vkey)
    assert event.kind == "seal"
    assert receipt.opening is not None
    record = workspace.catalogue.images()[0]
    assert event.subject == record.commitment


def test_a_second_time_says_already_sealed(workspace: Workspace, ct_file: Path) -> None:
    first = seal_one(workspace, ct_file)
    size = workspace.ledger.size
    second = seal_one(workspace, ct_file)
    assert (second.status, second.image_id) == ("already-sealed", first.image_id)
    assert second.receipt == first.receipt
    assert workspace.ledger.size == size
    assert len(list(workspace.store.addresses())) == 1


def test_a_lost_object_is_not_called_sealed(workspace: Workspace, ct_file: Path) -> None:
    first = seal_one(workspace, ct_file)
    [address] = workspace.store.addresses()
    workspace.store.delete(address)
    second = seal_one(workspace, ct_file)
    assert (second.status, second.exit_code) == ("failed", 1)
    assert second.error is not None
    assert first.image_id is not None
    assert first.image_id in second.error
    erase(workspace, first.image_id)
    assert seal_one(workspace, ct_file).status == "sealed"


def test_twice_in_one_call_is_sealed_once(workspace: Workspace, ct_file: Path) -> None:
    outcomes = list(seal(workspace, [ct_file, ct_file, ct_file]))
    assert [outcome.status for outcome in outcomes] == ["sealed"] + ["already-sealed"] * 2
    assert {outcome.image_id for outcome in outcomes} == {outcomes[0].image_id}
    assert len(list(workspace.store.addresses())) == 1


def test_a_copy_with_another_preamble_is_sealed_beside_the_first(
    workspace: Workspace, ct_file: Path, tmp_path: Path
) -> None:
    data = ct_file.read_bytes()
    other = tmp_path / "from-the-pacs.dcm"
    other.write_bytes(b"x" * 128 + data[128:])
    for file in (ct_file, other):
        outcome = seal_one(workspace, file)
        assert outcome.status == "sealed"
        opened = unseal(workspace, find_image(workspace, outcome.image_id or ""))
        assert opened.data == file.read_bytes()


def test_unreadable_files_fail_and_the_others_go_on(
    workspace: Workspace, ct_file: Path, tmp_path: Path, write_mr: Callable[..., Path]
) -> None:
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(ct_file.read_bytes()[:20000])
    text = tmp_path / "notes.dcm"
    text.write_text("no image")
    missing = tmp_path / "missing.dcm"
    good = [write_mr(tmp_path / f"{seed}.dcm", seed=seed) for seed in range(3)]
    files = [good[0], cut, good[1], text, missing, good[2]]
    outcomes = list(seal(workspace, files))
    assert [outcome.file for outcome in outcomes] == files
    statuses = ["sealed", "failed", "sealed", "failed", "failed", "sealed"]
    assert [outcome.status for outcome in outcomes] == statuses
    for outcome in outcomes:
        if outcome.status == "failed":
            assert outcome.error is not None
            assert str(outcome.file) in outcome.error
            assert "\n" not in outcome.error
            assert outcome.exit_code == 2
    assert not list((workspace.path / "objects" / "incoming").iterdir())


def test_more_than_one_batch(
    workspace: Workspace, tmp_path: Path, write_mr: Callable[..., Path]
) -> None:
    files = [
        write_mr(tmp_path / f"{seed}.dcm", seed=seed, rows=40, columns=40) for seed in range(70)
    ]
    outcomes = list(seal(workspace, files))
    assert [outcome.file for outcome in outcomes] == files
    assert {outcome.status for outcome in outcomes} == {"sealed"}
    assert len(workspace.catalogue.images()) == 70
    workspace.ledger.audit()


def test_a_decoder_that_crashes_costs_one_file(
    workspace: Workspace, ct_file: Path, mr_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = seal_module.read_with_digests

    def crash(data: bytes, *, name: str) -> object:
        if name == str(ct_file):
            os.kill(os.getpid(), signal.SIGKILL)
        return read(data, name=name)

    # The workers are forked, so they inherit this.
    monkeypatch.setattr(seal_module, "read_with_digests", crash)
    crashed, sealed = seal(workspace, [ct_file, mr_file])
    assert (crashed.status, crashed.exit_code) == ("failed", 2)
    assert crashed.error is not None
    assert "crashed" in crashed.error
    assert sealed.status == "sealed"


def test_a_full_disk_fails_the_image_and_keeps_the_rest(
    workspace: Workspace,
    ct_file: Path,
    mr_file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert seal_one(workspace, ct_file).status == "sealed"

    def full(*_: object) -> None:
        raise StorageFullError("object store: no space is left; free some and run it again")

    with monkeypatch.context() as patched:
        patched.setattr(store_module.BlobStore, "publish", full)
        outcome = seal_one(workspace, mr_file)
    assert outcome.status == "failed"
    assert outcome.exit_code == 1
    assert outcome.error is not None
    assert str(mr_file) in outcome.error
    assert workspace.catalogue.pending() == []
    assert seal_one(workspace, mr_file).status == "sealed"
    workspace.ledger.audit()


def test_no_plaintext_and_no_identifier_in_the_workspace(
    workspace: Workspace, ct_file: Path
) -> None:
    seal_one(workspace, ct_file)
    data = ct_file.read_bytes()
    everything = b"".join(path.read_bytes() for path in workspace.path.rglob("*") if path.is_file())
    assert data[3000:3032] not in everything
    assert b"CompressedSamples" not in everything  # its PatientName
    assert ct_file.name.encode() not in everything


def test_only_the_owner_of_the_files_can_read_the_workspace(
    workspace: Workspace, ct_file: Path
) -> None:
    seal_one(workspace, ct_file)
    for path in workspace.path.rglob("*"):
        public = path.name in ("log.vkey", "recipient.txt") or path.suffix == ".receipt"
        assert public or path.stat().st_mode & 0o077 == 0, path.name
    assert workspace.path.stat().st_mode & 0o077 == 0
