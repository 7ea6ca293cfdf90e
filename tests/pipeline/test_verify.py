"""Verification: authentic, transcoded, tampered with regions, unverifiable; never a wrong yes."""

import dataclasses
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from medseal.errors import CatalogueError, ConfigurationError, LedgerError
from medseal.imaging import MedicalImage, display_values, read, write
from medseal.ledger import Event, Receipt
from medseal.pipeline.identify import load_record
from medseal.pipeline.release import ReleaseOutcome, ReleaseRequest, release
from medseal.pipeline.seal import seal
from medseal.pipeline.verify import Verdict, VerifyReport, verify
from medseal.pipeline.workspace import LOG_KEY_FILE, Workspace


@dataclass
class Sealed:
    """One sealed image, one release of it."""

    workspace: Workspace
    file: Path
    image_id: str
    receipt: Path
    release: ReleaseOutcome


@pytest.fixture
def sealed(workspace: Workspace, mr_file: Path, tmp_path: Path) -> Sealed:
    [outcome] = seal(workspace, [mr_file])
    assert outcome.image_id is not None
    assert outcome.receipt is not None
    request = ReleaseRequest(image_id=outcome.image_id, to="Dr. Example")
    made = release(workspace, request, tmp_path / "release.dcm")
    return Sealed(workspace, mr_file, outcome.image_id, outcome.receipt, made)


def check_of(report: VerifyReport, name: str) -> str:
    return next(check.outcome for check in report.checks if check.name == name)


def changed(file: Path, change: Callable[[np.ndarray], object], output: Path) -> Path:
    image = read(file)
    values = image.stored_values.copy()
    change(values)
    write(image.with_stored_values(values), output)
    return output


def test_the_sealed_file_is_authentic(sealed: Sealed) -> None:
    report = verify(sealed.file, workspace=sealed.workspace)
    assert report.verdict == Verdict.AUTHENTIC
    assert (report.image_id, report.release_id) == (sealed.image_id, None)
    assert report.score == 0.0
    assert {check_of(report, name) for name in ("values", "metadata", "ledger", "record")} == {
        "pass"
    }
    assert report.receipt is not None
    assert report.receipt.is_file()


def test_a_release_is_authentic_and_names_itself(sealed: Sealed) -> None:
    report = verify(sealed.release.file, workspace=sealed.workspace)
    assert report.verdict == Verdict.AUTHENTIC
    assert report.release_id == sealed.release.release_id
    assert report.image_id == sealed.image_id


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".nii.gz"])
def test_another_container_is_transcoded(sealed: Sealed, tmp_path: Path, suffix: str) -> None:
    copy = tmp_path / f"copy{suffix}"
    write(read(sealed.release.file), copy)
    report = verify(copy, workspace=sealed.workspace)
    assert report.verdict == Verdict.TRANSCODED
    assert report.release_id == sealed.release.release_id
    assert len(report.operations) == 1


def test_a_quarter_turn_is_transcoded(sealed: Sealed, tmp_path: Path) -> None:
    image = read(sealed.release.file)
    turned = image.with_stored_values(np.rot90(image.stored_values, axes=(1, 2)).copy())
    write(turned, tmp_path / "turned.png")
    report = verify(tmp_path / "turned.png", workspace=sealed.workspace)
    assert report.verdict == Verdict.TRANSCODED
    assert report.operations


def test_one_value_by_one_level_is_tampered_and_found(sealed: Sealed, tmp_path: Path) -> None:
    def by_one(values: np.ndarray) -> None:
        values[0, 100, 150, 0] += 1

    copy = changed(sealed.release.file, by_one, tmp_path / "copy.dcm")
    report = verify(copy, workspace=sealed.workspace)
    assert report.verdict == Verdict.TAMPERED
    assert report.release_id == sealed.release.release_id
    [region] = report.regions
    assert region.row <= 100 < region.row + region.height
    assert region.column <= 150 < region.column + region.width
    assert region.height * region.width <= 32 * 32


def test_a_tampered_copy_without_any_metadata_is_led_to_its_record(
    sealed: Sealed, tmp_path: Path
) -> None:
    def lesion(values: np.ndarray) -> None:
        values[0, 120:140, 130:150, 0] = 3000

    copy = changed(sealed.release.file, lesion, tmp_path / "copy.png")
    report = verify(copy, workspace=sealed.workspace)
    assert report.verdict == Verdict.TAMPERED
    assert report.release_id == sealed.release.release_id
    assert check_of(report, "watermark") == "pass"


def test_a_picture_of_the_screen_is_led_to_its_release(sealed: Sealed, tmp_path: Path) -> None:
    """Eight bits, no metadata, no private block, other values: only the mark is left."""
    shown = display_values(read(sealed.release.file))
    screenshot = tmp_path / "screenshot.png"
    Image.fromarray(shown).save(screenshot)
    report = verify(screenshot, workspace=sealed.workspace)
    assert (report.release_id, report.image_id) == (sealed.release.release_id, sealed.image_id)
    assert check_of(report, "watermark") == "pass"
    assert report.verdict not in (Verdict.AUTHENTIC, Verdict.TRANSCODED)


def test_a_tampered_original_is_found_by_its_tiles(sealed: Sealed, tmp_path: Path) -> None:
    def lesion(values: np.ndarray) -> None:
        values[0, 120:140, 130:150, 0] = 3000

    copy = changed(sealed.file, lesion, tmp_path / "copy.png")
    report = verify(copy, workspace=sealed.workspace)
    assert report.verdict == Verdict.TAMPERED
    assert report.image_id == sealed.image_id


def test_changed_metadata_is_told_though_the_values_are_equal(
    sealed: Sealed, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(sealed.file)
    dataset.PatientName = "Somebody^Else"
    dataset.save_as(tmp_path / "renamed.dcm")
    report = verify(tmp_path / "renamed.dcm", workspace=sealed.workspace)
    assert report.verdict == Verdict.AUTHENTIC
    assert check_of(report, "metadata") == "fail"


def test_what_was_never_sealed_is_unverifiable(
    sealed: Sealed, tmp_path: Path, write_mr: Callable[..., Path]
) -> None:
    stranger = write_mr(tmp_path / "stranger.dcm", seed=99)
    report = verify(stranger, workspace=sealed.workspace)
    assert report.verdict == Verdict.UNVERIFIABLE
    assert (report.image_id, report.release_id) == (None, None)


def test_a_receipt_and_the_public_key_are_enough(sealed: Sealed) -> None:
    key = sealed.workspace.path / LOG_KEY_FILE
    report = verify(sealed.file, workspace=None, receipt_file=sealed.receipt, log_key_file=key)
    assert report.verdict == Verdict.AUTHENTIC
    assert report.receipt is None


def test_the_receipt_of_another_image_proves_nothing(
    sealed: Sealed, tmp_path: Path, write_mr: Callable[..., Path]
) -> None:
    stranger = write_mr(tmp_path / "stranger.dcm", seed=99)
    key = sealed.workspace.path / LOG_KEY_FILE
    report = verify(stranger, workspace=None, receipt_file=sealed.receipt, log_key_file=key)
    assert report.verdict == Verdict.UNVERIFIABLE
    assert check_of(report, "values") == "fail"


def test_a_changed_receipt_is_an_error(sealed: Sealed, tmp_path: Path) -> None:
    data = bytearray(sealed.receipt.read_bytes())
    data[len(data) // 2] ^= 1
    forged = tmp_path / "forged.receipt"
    forged.write_bytes(data)
    with pytest.raises(LedgerError, match=r"forged\.receipt"):
        verify(sealed.file, workspace=sealed.workspace, receipt_file=forged)


def test_without_workspace_a_receipt_is_needed(mr_file: Path) -> None:
    with pytest.raises(ConfigurationError, match="--receipt"):
        verify(mr_file, workspace=None)


def test_a_verdict_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="no truth value"):
        bool(Verdict.TAMPERED)


def series(path: Path, frames: list[int]) -> Path:
    generator = np.random.default_rng(8)
    values = generator.integers(0, 4000, (6, 64, 72, 1)).astype(np.uint16)[frames]
    image = MedicalImage(
        stored_values=values,
        bits_stored=12,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="generated",
    )
    write(image, path)
    return path


def test_frames_out_of_order_are_named(workspace: Workspace, tmp_path: Path) -> None:
    original = series(tmp_path / "series.tiff", list(range(6)))
    [outcome] = seal(workspace, [original])
    copy = series(tmp_path / "copy.tiff", [0, 1, 3, 2, 4, 5])
    report = verify(copy, workspace=workspace)
    assert report.verdict == Verdict.TAMPERED
    assert report.image_id == outcome.image_id
    assert report.operations == ("frames 2 and 3 exchanged",)
    assert [frame.original for frame in report.frames] == [0, 1, 3, 2, 4, 5]
    assert check_of(report, "frames") == "fail"


def test_a_dropped_frame_is_named(workspace: Workspace, tmp_path: Path) -> None:
    original = series(tmp_path / "series.tiff", list(range(6)))
    [outcome] = seal(workspace, [original])
    copy = series(tmp_path / "copy.tiff", [0, 1, 2, 3, 5])
    report = verify(copy, workspace=workspace, receipt_file=outcome.receipt)
    assert report.verdict == Verdict.TAMPERED
    assert report.operations == ("frame 4 dropped",)


def test_regions_say_what_shows_them(sealed: Sealed, tmp_path: Path) -> None:
    def lesion(values: np.ndarray) -> None:
        values[0, 120:140, 130:150, 0] = 3000

    report = verify(
        changed(sealed.release.file, lesion, tmp_path / "copy.dcm"), workspace=sealed.workspace
    )
    assert {region.evidence for region in report.regions} == {"tile MACs"}
    assert report.mask is not None
    assert report.mask[120:140, 130:150].any()


def test_an_older_version_is_not_authentic(sealed: Sealed, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(sealed.file)
    values = dataset.pixel_array.copy()
    values[50:60, 50:60] = 0
    dataset.PixelData = values.tobytes()
    newer = tmp_path / "newer.dcm"
    dataset.save_as(newer)
    list(seal(sealed.workspace, [newer]))
    assert verify(newer, workspace=sealed.workspace).verdict == Verdict.AUTHENTIC
    for receipt in (None, sealed.receipt):
        report = verify(sealed.file, workspace=sealed.workspace, receipt_file=receipt)
        assert report.verdict == Verdict.UNVERIFIABLE
        assert report.image_id == sealed.image_id
        assert check_of(report, "version") == "fail"
    # A release has a UID of its own and stays what it is.
    assert verify(sealed.release.file, workspace=sealed.workspace).verdict == Verdict.AUTHENTIC


def test_a_record_put_in_place_of_another_is_an_error(
    sealed: Sealed, tmp_path: Path, write_mr: Callable[..., Path]
) -> None:
    """Another patient's fingerprint beside this image: the log knows what was committed."""
    other_file = write_mr(tmp_path / "other.dcm", seed=4)
    [other] = seal(sealed.workspace, [other_file])
    catalogue, owner = sealed.workspace.catalogue, sealed.workspace.identity
    (mine,) = catalogue.find("commitment", receipt_subject(sealed.receipt))
    assert other.receipt is not None
    (theirs,) = catalogue.find("commitment", receipt_subject(other.receipt))
    stolen = load_record(sealed.workspace, theirs)
    for forged in (
        dataclasses.replace(stolen, subject=sealed.image_id),
        dataclasses.replace(load_record(sealed.workspace, mine), fingerprint=stolen.fingerprint),
    ):
        put_record(sealed.workspace, sealed.image_id, forged.to_sealed(owner.recipient))
        with pytest.raises(CatalogueError, match=r"not the one in the log|that of another image"):
            verify(sealed.file, workspace=sealed.workspace)


def receipt_subject(receipt: Path) -> str:
    return Event.parse(Receipt.parse(receipt.read_bytes()).leaf).subject


def put_record(workspace: Workspace, image_id: str, sealed_record: bytes) -> None:
    """Write behind the catalogue's back, as somebody with the disk could."""
    with sqlite3.connect(workspace.path / "catalogue.sqlite") as connection:
        connection.execute(
            "UPDATE images SET sealed_record = ? WHERE image_id = ?", (sealed_record, image_id)
        )


def test_colour_is_verified_too(workspace: Workspace, tmp_path: Path) -> None:
    generator = np.random.default_rng(5)
    values = generator.integers(0, 256, (1, 130, 170, 3), dtype=np.uint8)
    image = MedicalImage(
        stored_values=values,
        bits_stored=8,
        is_signed=False,
        photometric_interpretation="RGB",
        source_format="png",
        decoder="generated",
    )
    write(image, tmp_path / "skin.png")
    list(seal(workspace, [tmp_path / "skin.png"]))

    def by_one(array: np.ndarray) -> None:
        array[0, 3, 169, 2] ^= 1

    copy = changed(tmp_path / "skin.png", by_one, tmp_path / "copy.tiff")
    report = verify(copy, workspace=workspace)
    assert report.verdict == Verdict.TAMPERED
    assert report.regions[0].row <= 3
