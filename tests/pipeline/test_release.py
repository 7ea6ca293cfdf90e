"""Releases: de-identified, marked, an instance of their own, on record before they exist."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest

from medseal.errors import (
    DeidentificationError,
    StorageError,
    UnsupportedImageError,
    WatermarkCapacityError,
)
from medseal.imaging import read
from medseal.ledger import EventKind
from medseal.pipeline.release import ReleaseOutcome, ReleaseRequest, release
from medseal.pipeline.seal import seal
from medseal.pipeline.workspace import Workspace
from medseal.protection.watermark import extract


def sealed_id(workspace: Workspace, file: Path) -> str:
    [outcome] = seal(workspace, [file])
    assert outcome.image_id is not None
    return outcome.image_id


def make(workspace: Workspace, image_id: str, output: Path, to: str = "ann") -> ReleaseOutcome:
    return release(workspace, ReleaseRequest(image_id=image_id, to=to), output)


def test_a_release_carries_its_own_number_and_no_name(
    workspace: Workspace, ct_file: Path, tmp_path: Path
) -> None:
    image_id = sealed_id(workspace, ct_file)
    outcome = make(workspace, image_id, tmp_path / "copy.dcm")
    mark = extract(read(outcome.file), workspace.keys.watermark)
    assert mark.payload == bytes.fromhex(outcome.release_id)
    assert outcome.psnr_db >= 45
    data = outcome.file.read_bytes()
    original = pydicom.dcmread(ct_file)
    for value in (original.PatientID, original.SOPInstanceUID, original.StudyInstanceUID):
        assert str(value).encode() not in data
    assert data[:128] == bytes(128)
    assert outcome.deidentification.entries


def test_two_releases_differ_in_number_instance_and_mark(
    workspace: Workspace, mr_file: Path, tmp_path: Path
) -> None:
    image_id = sealed_id(workspace, mr_file)
    one = make(workspace, image_id, tmp_path / "one.dcm")
    two = make(workspace, image_id, tmp_path / "two.dcm")
    other = make(workspace, image_id, tmp_path / "other.dcm", to="bob")
    first, second, third = (pydicom.dcmread(item.file) for item in (one, two, other))
    assert len({one.release_id, two.release_id, other.release_id}) == 3
    assert first.SOPInstanceUID != second.SOPInstanceUID
    # One study for one recipient; nothing in common for two who compare.
    assert first.StudyInstanceUID == second.StudyInstanceUID != third.StudyInstanceUID
    assert not np.array_equal(first.pixel_array, second.pixel_array)


def test_the_event_names_image_release_and_recipient_by_commitments_only(
    workspace: Workspace, mr_file: Path, tmp_path: Path
) -> None:
    image_id = sealed_id(workspace, mr_file)
    make(workspace, image_id, tmp_path / "copy.dcm")
    [*_, (_, event)] = workspace.ledger.events()
    assert event.kind == EventKind.RELEASE
    record = workspace.catalogue.images()[0]
    assert event.details["image"] == record.commitment
    assert event.details["recipient"] == workspace.keys.account("ann")


def test_what_cannot_be_marked_is_not_released(
    workspace: Workspace, tmp_path: Path, write_mr: Callable[..., Path]
) -> None:
    tiny = write_mr(tmp_path / "tiny.dcm", seed=3, rows=20, columns=20)
    with pytest.raises(WatermarkCapacityError, match="too small for a watermark"):
        make(workspace, sealed_id(workspace, tiny), tmp_path / "copy.dcm")
    assert not (tmp_path / "copy.dcm").exists()


def test_a_lossy_output_is_refused_early(
    workspace: Workspace, mr_file: Path, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedImageError, match="JPEG would change"):
        make(workspace, sealed_id(workspace, mr_file), tmp_path / "copy.jpg")


def test_declared_text_in_the_pixels_needs_a_decision(
    workspace: Workspace, mr_file: Path, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(mr_file)
    dataset.BurnedInAnnotation = "YES"
    dataset.save_as(tmp_path / "burned.dcm")
    image_id = sealed_id(workspace, tmp_path / "burned.dcm")
    with pytest.raises(DeidentificationError, match=r"(?i)burned"):
        make(workspace, image_id, tmp_path / "copy.dcm")
    request = ReleaseRequest(image_id=image_id, to="ann", allow_burned_in=True)
    assert release(workspace, request, tmp_path / "copy.dcm").file.is_file()


def test_a_folder_that_is_not_there(workspace: Workspace, mr_file: Path, tmp_path: Path) -> None:
    image_id = sealed_id(workspace, mr_file)
    size = workspace.ledger.size
    with pytest.raises(StorageError, match="check the folder"):
        make(workspace, image_id, tmp_path / "missing" / "copy.dcm")
    assert workspace.ledger.size == size
