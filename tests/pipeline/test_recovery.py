"""After an interruption: pending records are completed or taken back, exactly once."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from medseal.errors import LedgerError, StorageError, WorkspaceError, WrongPassphraseError
from medseal.ledger import EmbeddedLedger, Receipt, verify
from medseal.pipeline.access import find_image
from medseal.pipeline.erase import erase
from medseal.pipeline.open import unseal
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace
from medseal.vault import BlobStore, Catalogue


class Interrupted(BaseException):
    """What a kill looks like from inside: nothing catches it."""


@pytest.fixture
def path(tmp_path: Path, passphrase: str) -> Path:
    Workspace.create(tmp_path / "workspace", passphrase).close()
    return tmp_path / "workspace"


def interrupt_at(
    step: tuple[type, str], path: Path, passphrase: str, file: Path
) -> Iterator[Workspace]:
    """Seal a file, stop dead at a step, and open the workspace again."""

    def stop(*_: object, **__: object) -> None:
        raise Interrupted

    with pytest.MonkeyPatch.context() as patched:
        workspace = Workspace.open(path, passphrase)
        patched.setattr(*step, stop)
        with pytest.raises(Interrupted):
            list(seal(workspace, [file]))
    with Workspace.open(path, passphrase) as again:
        yield again


@pytest.mark.parametrize(
    ("step", "kept"),
    [
        ((Catalogue, "insert"), False),
        ((BlobStore, "publish"), False),
        ((EmbeddedLedger, "append_many"), True),
        ((Catalogue, "mark_sealed"), True),
        ((Workspace, "write_receipt"), True),
    ],
)
def test_every_step_leaves_the_old_state_or_the_new(
    step: tuple[type, str], kept: bool, path: Path, passphrase: str, ct_file: Path
) -> None:
    for workspace in interrupt_at(step, path, passphrase, ct_file):
        assert workspace.catalogue.pending() == []
        assert len(workspace.catalogue.images()) == int(kept)
        assert len(list(workspace.store.addresses())) == int(kept)
        seals = [event for _, event in workspace.ledger.events() if event.kind == "seal"]
        assert len(seals) == int(kept)
        [outcome] = seal(workspace, [ct_file])
        assert outcome.status == ("already-sealed" if kept else "sealed")
        assert outcome.image_id is not None
        assert outcome.receipt is not None
        opened = unseal(workspace, find_image(workspace, outcome.image_id))
        assert opened.data == ct_file.read_bytes()
        receipt = Receipt.parse(outcome.receipt.read_bytes())
        assert receipt.opening is not None
        verify(receipt, workspace.ledger.vkey)
        workspace.ledger.audit()


def test_an_interrupted_erasure_is_finished_by_the_next_one(
    path: Path, passphrase: str, ct_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Interrupted

    with Workspace.open(path, passphrase) as workspace:
        [outcome] = seal(workspace, [ct_file])
        with monkeypatch.context() as patched:
            patched.setattr(Catalogue, "erase", stop)
            with pytest.raises(Interrupted):
                erase(workspace, outcome.image_id or "")
        finished = erase(workspace, outcome.image_id or "")
        event = verify(finished.receipt.read_bytes(), workspace.ledger.vkey)
        assert event.kind == "erase"
        kinds = [event.kind for _, event in workspace.ledger.events()]
        assert kinds.count("erase") == 1
        assert workspace.catalogue.counts() == {"images.erased": 1}


def test_a_lost_receipt_is_made_again(path: Path, passphrase: str, ct_file: Path) -> None:
    with Workspace.open(path, passphrase) as workspace:
        [first] = seal(workspace, [ct_file])
        assert first.receipt is not None
        first.receipt.unlink()
        [second] = seal(workspace, [ct_file])
        assert second.receipt is not None
        verify(second.receipt.read_bytes(), workspace.ledger.vkey)


def test_a_record_cannot_stand_beside_another_image(
    path: Path, passphrase: str, ct_file: Path, mr_file: Path
) -> None:
    with Workspace.open(path, passphrase) as workspace:
        list(seal(workspace, [ct_file, mr_file]))
        one, other = workspace.catalogue.images()
        exchanged = dataclasses.replace(one, sealed_record=other.sealed_record)
        with pytest.raises(StorageError, match="beside another image"):
            unseal(workspace, exchanged)


def test_a_missing_log_is_not_started_anew(path: Path, passphrase: str) -> None:
    (path / "ledger.sqlite").unlink()
    with pytest.raises((LedgerError, StorageError), match=r"ledger\.sqlite"):
        Workspace.open(path, passphrase)
    assert not (path / "ledger.sqlite").exists()


def test_a_wrong_passphrase_opens_nothing(path: Path) -> None:
    with pytest.raises(WrongPassphraseError, match="passphrase"):
        Workspace.open(path, "another")


def test_a_folder_in_use_is_left_alone(tmp_path: Path, passphrase: str) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match="not empty"):
        Workspace.create(tmp_path / "full", passphrase)
    assert [entry.name for entry in tmp_path.iterdir()] == ["full"]


def test_an_interrupted_start_leaves_no_workspace(
    tmp_path: Path, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise Interrupted

    monkeypatch.setattr(Catalogue, "add_account", stop)
    with pytest.raises(Interrupted):
        Workspace.create(tmp_path / "workspace", passphrase)
    assert list(tmp_path.iterdir()) == []
