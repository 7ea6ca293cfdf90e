"""Opening a release's file: the original values out of the file itself, or a plain refusal."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import UID, JPEGLSLossless, RLELossless

from medseal.errors import (
    AccessRefusedError,
    DigestMismatchError,
    MedsealError,
    NoMatchingIdentityError,
    PackageError,
    PayloadAuthenticationError,
    SideInformationError,
    StorageError,
    UnknownImageError,
    UnreadableImageError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage, encode, read, write
from medseal.imaging.attachment import attachment_of
from medseal.ledger import EventKind
from medseal.pipeline import release as release_module
from medseal.pipeline.access import GrantRequest, grant
from medseal.pipeline.erase import erase
from medseal.pipeline.identify import load_record
from medseal.pipeline.open import open_image
from medseal.pipeline.release import ReleaseOutcome, ReleaseRequest, release
from medseal.pipeline.restore import open_release_file
from medseal.pipeline.seal import seal
from medseal.pipeline.verify import Verdict, verify
from medseal.pipeline.workspace import Workspace
from medseal.protection.encryption import SealedPackage
from medseal.protection.encryption import open as open_package
from medseal.protection.watermark import extract
from tests.protection.pictures import texture

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


@dataclass
class Released:
    """A sealed image and one release of it."""

    workspace: Workspace
    source: Path
    image_id: str
    made: ReleaseOutcome

    def lose_the_vault(self) -> None:
        for address in self.workspace.store.addresses():
            self.workspace.store.delete(address)


def released(workspace: Workspace, source: Path, output: Path) -> Released:
    [outcome] = seal(workspace, [source])
    assert outcome.image_id is not None
    made = release(workspace, ReleaseRequest(image_id=outcome.image_id, to="ann"), output)
    return Released(workspace, source, outcome.image_id, made)


@pytest.fixture
def dicom(workspace: Workspace, mr_file: Path, tmp_path: Path) -> Released:
    return released(workspace, mr_file, tmp_path / "release.dcm")


def png(path: Path, bits: int) -> Path:
    row, column = np.mgrid[-1:1:320j, -1:1:288j]
    noise = np.random.default_rng(bits).normal(0, 0.01, row.shape)
    shape = np.exp(-2 * (row**2 + column**2)) * (0.6 + 0.3 * np.sin(17 * row * column)) + noise
    # A tenth is burnt out and the air is black, so that the mark is clipped at both ends.
    values = np.clip(shape * 1.4 * (2**bits - 1), 0, 2**bits - 1)
    image = MedicalImage(
        stored_values=values.astype(np.uint8 if bits == 8 else np.uint16)[None, :, :, None],
        bits_stored=bits,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        source_format="png",
        decoder="generated",
    )
    write(image, path)
    return path


SOURCES = {
    "CT": lambda _: PYDICOM_FILES / "CT_small.dcm",
    "colour": lambda _: PYDICOM_FILES / "examples_rgb_color.dcm",
    "8-bit PNG": lambda folder: png(folder / "source8.png", 8),
    "16-bit PNG": lambda folder: png(folder / "source16.png", 16),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("lossless", ["same", ".tiff"])
def test_the_original_values_come_out_of_the_file_alone(
    workspace: Workspace, tmp_path: Path, source: str, lossless: str
) -> None:
    file = SOURCES[source](tmp_path)
    suffix = file.suffix if lossless == "same" else lossless
    item = released(workspace, file, tmp_path / f"release{suffix}")
    item.lose_the_vault()
    outcome = open_release_file(workspace, item.made.file, tmp_path / f"out{suffix}")
    assert (outcome.source, outcome.exact) == ("release-file", "stored-values")
    assert (outcome.image_id, outcome.release_id) == (item.image_id, item.made.release_id)
    assert outcome.metadata_as_recorded is True
    original, marked, restored = map(read, (file, item.made.file, outcome.file))
    np.testing.assert_array_equal(restored.stored_values, original.stored_values)
    assert (marked.stored_values != original.stored_values).any()
    assert extract(restored, workspace.keys.watermark).payload is None
    assert item.made.side_information_bytes > 0


def test_the_output_is_an_instance_of_its_own_without_names(
    workspace: Workspace, ct_file: Path, tmp_path: Path
) -> None:
    item = released(workspace, ct_file, tmp_path / "release.dcm")
    open_release_file(workspace, item.made.file, tmp_path / "out.dcm")
    source, copy, out = map(pydicom.dcmread, (ct_file, item.made.file, tmp_path / "out.dcm"))
    assert len({file.SOPInstanceUID for file in (source, copy, out)}) == 3
    assert out.StudyInstanceUID == copy.StudyInstanceUID != source.StudyInstanceUID
    assert out.PatientID == copy.PatientID != source.PatientID
    assert out.DerivationDescription == "de-identified, invisible watermark taken out"
    assert not [tag for tag in out.keys() if tag.is_private]  # noqa: SIM118  tags are wanted
    assert "PrivateDataElementCharacteristicsSequence" not in out


def test_palette_indices_come_back_as_colours_and_it_says_so(
    workspace: Workspace, tmp_path: Path
) -> None:
    dataset = pydicom.dcmread(PYDICOM_FILES / "examples_palette.dcm")
    # As it is, the picture is nearly empty and carries no mark.
    indices = np.tile(np.rint(texture(350, 400) * 255).astype(np.uint8), 2)
    dataset.PixelData = indices.tobytes()
    source = tmp_path / "palette.dcm"
    dataset.save_as(source)
    item = released(workspace, source, tmp_path / "release.dcm")
    outcome = open_release_file(workspace, item.made.file, tmp_path / "out.dcm")
    assert outcome.exact == "colours"
    colours = pydicom.pixels.apply_color_lut(dataset.pixel_array, dataset)
    out = read(tmp_path / "out.dcm").stored_values[0]
    np.testing.assert_array_equal(out, colours >> (8 if colours.dtype.itemsize == 2 else 0))


def test_the_use_is_on_the_ledger(dicom: Released, tmp_path: Path) -> None:
    outcome = open_release_file(dicom.workspace, dicom.made.file, tmp_path / "out.dcm")
    assert outcome.receipt.is_file()
    [*_, (_, event)] = dicom.workspace.ledger.events()
    [image] = dicom.workspace.catalogue.images()
    [row] = dicom.workspace.catalogue.releases_of(dicom.image_id)
    assert (event.kind, event.subject) == (EventKind.OPEN, image.commitment)
    assert event.details == {"action": "view", "release": row.commitment}


def test_only_with_a_grant(dicom: Released, tmp_path: Path) -> None:
    output = tmp_path / "out.dcm"
    with pytest.raises(AccessRefusedError, match="no-grant"):
        open_release_file(dicom.workspace, dicom.made.file, output, name="ann")
    assert not output.exists()
    [*_, (_, event)] = dicom.workspace.ledger.events()
    assert event.kind == EventKind.REFUSE
    request = GrantRequest(name="ann", image_id=dicom.image_id, action="view", purpose="care")
    grant(dicom.workspace, request)
    with pytest.raises(AccessRefusedError, match="purpose"):
        open_release_file(dicom.workspace, dicom.made.file, output, name="ann")
    open_release_file(dicom.workspace, dicom.made.file, output, name="ann", purpose="care")
    assert output.is_file()


def test_another_workspace_knows_nothing(dicom: Released, tmp_path: Path, passphrase: str) -> None:
    with (
        Workspace.create(tmp_path / "other", passphrase) as other,
        pytest.raises(UnknownImageError, match="no record here fits"),
    ):
        open_release_file(other, dicom.made.file, tmp_path / "out.dcm")


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".nii.gz"])
def test_a_file_saved_anew_leads_to_the_vault(dicom: Released, tmp_path: Path, suffix: str) -> None:
    copy = tmp_path / f"copy{suffix}"
    write(read(dicom.made.file), copy)
    outcome = open_release_file(dicom.workspace, copy, tmp_path / "out")
    assert (outcome.source, outcome.exact) == ("vault", "file")
    assert outcome.release_id == dicom.made.release_id
    assert (tmp_path / "out").read_bytes() == dicom.source.read_bytes()
    dicom.lose_the_vault()
    with pytest.raises(StorageError, match=r"\w"):
        open_release_file(dicom.workspace, copy, tmp_path / "again")


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless])
def test_a_lossless_transfer_syntax_keeps_it(dicom: Released, tmp_path: Path, syntax: UID) -> None:
    dataset = pydicom.dcmread(dicom.made.file)
    dataset.compress(syntax, generate_instance_uid=False)
    dataset.save_as(tmp_path / "copy.dcm")
    dicom.lose_the_vault()
    outcome = open_release_file(dicom.workspace, tmp_path / "copy.dcm", tmp_path / "out.dcm")
    assert outcome.source == "release-file"
    original, restored = read(dicom.source), read(tmp_path / "out.dcm")
    np.testing.assert_array_equal(restored.stored_values, original.stored_values)


def test_the_sealed_file_itself_comes_from_the_vault(dicom: Released, tmp_path: Path) -> None:
    outcome = open_release_file(dicom.workspace, dicom.source, tmp_path / "out.dcm")
    assert (outcome.source, outcome.release_id) == ("vault", None)
    assert (tmp_path / "out.dcm").read_bytes() == dicom.source.read_bytes()


def changed_values(file: Path, output: Path) -> Path:
    """The file with one stored value changed and everything else kept."""
    dataset = pydicom.dcmread(file)
    values = dataset.pixel_array.copy()
    values[160, 144] ^= 1
    dataset.PixelData = values.tobytes()
    dataset.save_as(output)
    return output


def test_changed_values_are_refused_with_the_next_step(dicom: Released, tmp_path: Path) -> None:
    copy = changed_values(dicom.made.file, tmp_path / "copy.dcm")
    with pytest.raises(DigestMismatchError, match=f"medseal open {dicom.image_id}") as caught:
        open_release_file(dicom.workspace, copy, tmp_path / "out.dcm")
    assert caught.value.expected != caught.value.actual
    assert not (tmp_path / "out.dcm").exists()
    open_image(dicom.workspace, dicom.image_id, tmp_path / "out.dcm")


def with_block(file: Path, change: Callable[[bytes], bytes], output: Path) -> Path:
    """The file with other bytes in its private block."""
    image = read(file)
    package = attachment_of(file.read_bytes(), "dicom", name="file")
    assert package is not None
    output.write_bytes(encode(image, "dicom", attachment=change(package)))
    return output


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_tampered_block_is_refused(dicom: Released, tmp_path: Path, place: int) -> None:
    def flip(package: bytes) -> bytes:
        broken = bytearray(package)
        broken[place] ^= 1
        return bytes(broken)

    copy = with_block(dicom.made.file, flip, tmp_path / "copy.dcm")
    with pytest.raises(PackageError, match=f"medseal open {dicom.image_id}"):
        open_release_file(dicom.workspace, copy, tmp_path / "out.dcm")
    assert not (tmp_path / "out.dcm").exists()


def test_a_truncated_block_is_refused(dicom: Released, tmp_path: Path) -> None:
    copy = with_block(dicom.made.file, lambda data: data[: len(data) // 2], tmp_path / "copy.dcm")
    with pytest.raises(PackageError, match="medseal open"):
        open_release_file(dicom.workspace, copy, tmp_path / "out.dcm")
    dataset = pydicom.dcmread(dicom.made.file)
    dataset[0x0099, 0x1001].value = dataset[0x0099, 0x1001].value[:-40]
    dataset.save_as(copy)
    with pytest.raises(UnreadableImageError, match="cut off; 'medseal open"):
        open_release_file(dicom.workspace, copy, tmp_path / "out.dcm")


def test_a_truncated_file_is_no_image(dicom: Released, tmp_path: Path) -> None:
    data = dicom.made.file.read_bytes()
    copy = tmp_path / "copy.dcm"
    for size in (100, 2000, len(data) - 1000):
        copy.write_bytes(data[:size])
        with pytest.raises(MedsealError, match=r"copy\.dcm"):
            open_release_file(dicom.workspace, copy, tmp_path / "out.dcm")
    assert not (tmp_path / "out.dcm").exists()


def test_the_block_of_another_release_is_refused(dicom: Released, tmp_path: Path) -> None:
    request = ReleaseRequest(image_id=dicom.image_id, to="ann")
    other = release(dicom.workspace, request, tmp_path / "other.dcm")
    theirs = attachment_of(other.file.read_bytes(), "dicom", name="other") or b""
    copy = with_block(dicom.made.file, lambda _: theirs, tmp_path / "copy.dcm")
    with pytest.raises(PayloadAuthenticationError, match="that of another release"):
        open_release_file(dicom.workspace, copy, tmp_path / "out.dcm")


def test_changed_metadata_is_told(dicom: Released, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(dicom.made.file)
    dataset.PatientName = "Somebody^Else"
    dataset.save_as(tmp_path / "copy.dcm")
    outcome = open_release_file(dicom.workspace, tmp_path / "copy.dcm", tmp_path / "out.dcm")
    assert outcome.metadata_as_recorded is False
    assert outcome.source == "release-file"


def test_an_output_that_cannot_hold_the_values(dicom: Released, tmp_path: Path) -> None:
    size = dicom.workspace.ledger.size
    with pytest.raises(UnsupportedImageError, match="JPEG would change"):
        open_release_file(dicom.workspace, dicom.made.file, tmp_path / "out.jpg")
    with pytest.raises(StorageError, match="check the folder"):
        open_release_file(dicom.workspace, dicom.made.file, tmp_path / "missing" / "out.dcm")
    assert dicom.workspace.ledger.size == size


def test_after_erasure_nobody_has_the_key(dicom: Released, tmp_path: Path) -> None:
    data = attachment_of(dicom.made.file.read_bytes(), "dicom", name="release") or b""
    package = SealedPackage.from_bytes(data)
    # The keys of the workspace, which outlive an erasure, do not open it.
    with pytest.raises(NoMatchingIdentityError, match="not sealed for this identity"):
        open_package(package, dicom.workspace.identity)
    [row] = dicom.workspace.catalogue.releases_of(dicom.image_id)
    removal = load_record(dicom.workspace, row).removal
    assert removal is not None
    assert open_package(package, removal)
    erase(dicom.workspace, dicom.image_id)
    with pytest.raises(UnknownImageError, match="no record here fits"):
        open_release_file(dicom.workspace, dicom.made.file, tmp_path / "out.dcm")
    [row] = dicom.workspace.catalogue.releases_of(dicom.image_id)
    assert row.sealed_record is None


def test_a_release_can_be_sealed_released_and_opened_again(
    dicom: Released, tmp_path: Path, passphrase: str
) -> None:
    """The recipient seals what it got in a workspace of its own, exact to the byte."""
    with Workspace.create(tmp_path / "other", passphrase) as other:
        item = released(other, dicom.made.file, tmp_path / "second.dcm")
        open_image(other, item.image_id, tmp_path / "back.dcm")
        assert (tmp_path / "back.dcm").read_bytes() == dicom.made.file.read_bytes()
        assert item.made.deidentification.removed_private == 2
        open_release_file(other, item.made.file, tmp_path / "first.dcm")
    first, again = read(dicom.made.file), read(tmp_path / "first.dcm")
    np.testing.assert_array_equal(first.stored_values, again.stored_values)
    outcome = open_release_file(dicom.workspace, dicom.made.file, tmp_path / "out.dcm")
    assert outcome.source == "release-file"


def test_a_release_sealed_beside_its_image_still_opens_from_itself(
    dicom: Released, tmp_path: Path
) -> None:
    list(seal(dicom.workspace, [dicom.made.file]))
    outcome = open_release_file(dicom.workspace, dicom.made.file, tmp_path / "out.dcm")
    assert (outcome.source, outcome.image_id) == ("release-file", dicom.image_id)


def test_the_file_with_its_block_is_what_verifies(dicom: Released, tmp_path: Path) -> None:
    report = verify(dicom.made.file, workspace=dicom.workspace)
    assert report.verdict == Verdict.AUTHENTIC
    assert {check.name: check.outcome for check in report.checks}["metadata"] == "pass"
    stripped = pydicom.dcmread(dicom.made.file)
    stripped.remove_private_tags()
    stripped.save_as(tmp_path / "stripped.dcm")
    report = verify(tmp_path / "stripped.dcm", workspace=dicom.workspace)
    assert report.verdict == Verdict.AUTHENTIC
    assert {check.name: check.outcome for check in report.checks}["metadata"] == "fail"


def test_the_report_of_the_release_names_the_private_block(dicom: Released) -> None:
    added = dicom.made.deidentification.entries[-1]
    assert (added.tag, added.keyword, added.action) == ("0099,0010", "MEDSEAL RELEASE", "added")
    [creator] = [
        element for element in pydicom.dcmread(dicom.made.file) if element.tag.is_private_creator
    ]
    assert f"{creator.tag.group:04X},{creator.tag.element:04X}" == added.tag
    assert creator.value == added.keyword


def test_side_information_beyond_the_limit_stays_out_of_the_file(
    workspace: Workspace, mr_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_module, "MAX_ATTACHMENT_BYTES", 1000)
    item = released(workspace, mr_file, tmp_path / "release.dcm")
    assert item.made.side_information_bytes == 0
    data = item.made.file.read_bytes()
    assert attachment_of(data, "dicom", name="release") is None
    assert all(entry.tag != "0099,0010" for entry in item.made.deidentification.entries)
    outcome = open_release_file(workspace, item.made.file, tmp_path / "out.dcm")
    assert outcome.source == "vault"
    # Somebody adds a block to it: there is no key for any.
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(encode(read(item.made.file), "dicom", attachment=b"package"))
    with pytest.raises(SideInformationError, match="made without side information"):
        open_release_file(workspace, copy, tmp_path / "again.dcm")


def test_a_copy_that_would_not_lead_back_is_never_written(
    workspace: Workspace, mr_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_removable = release_module.embed_removable

    def faulty(*arguments: object) -> object:
        made = embed_removable(*arguments)  # type: ignore[arg-type]
        # Coding 1, and a frame without differences.
        equal = made.side_information[:80] + b"\1" + bytes(5)
        return replace(made, side_information=equal)

    monkeypatch.setattr(release_module, "embed_removable", faulty)
    with pytest.raises(SideInformationError, match="does not lead to the image"):
        released(workspace, mr_file, tmp_path / "release.dcm")
    assert not (tmp_path / "release.dcm").exists()
    assert workspace.catalogue.counts().get("releases.sealed", 0) == 0
