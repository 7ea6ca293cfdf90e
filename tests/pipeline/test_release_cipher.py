"""Releases as cipher images: only the recipient opens them, and what opens is the release."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit

from medseal.errors import (
    CipherIntegrityError,
    HeaderFormatError,
    InputError,
    NoMatchingIdentityError,
    StorageError,
    TruncatedPackageError,
    UnsupportedImageError,
)
from medseal.imaging import encode, read
from medseal.pipeline.release import ReleaseRequest, release
from medseal.pipeline.release_cipher import open_cipher_release, package_beside
from medseal.pipeline.restore import open_release_file
from medseal.pipeline.seal import seal as seal_files
from medseal.pipeline.verify import Verdict, verify
from medseal.pipeline.workspace import Workspace
from medseal.protection.encryption import Identity, seal

RECIPIENT = Identity(bytes(range(1, 33)))


@dataclass(frozen=True)
class Made:
    """A workspace with one image and one release of it as a cipher image."""

    workspace: Workspace
    source: Path
    image_id: str
    release_id: str
    file: Path
    package: Path


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, passphrase: str, write_mr: Callable[..., Path]
) -> Iterator[Made]:
    folder = tmp_path_factory.mktemp("cipher")
    source = write_mr(folder / "mr.dcm", seed=1)
    with Workspace.create(folder / "workspace", passphrase) as workspace:
        [outcome] = seal_files(workspace, [source])
        assert outcome.image_id is not None
        request = ReleaseRequest(
            image_id=outcome.image_id,
            to="ann",
            cipher="integer",
            recipients=(RECIPIENT.recipient,),
        )
        released = release(workspace, request, folder / "copy.dcm")
        assert released.package is not None
        yield Made(
            workspace,
            source,
            outcome.image_id,
            released.release_id,
            released.file,
            released.package,
        )


def test_the_recipient_gets_the_release_and_it_verifies(made: Made, tmp_path: Path) -> None:
    assert made.package == package_beside(made.file)
    sent = pydicom.dcmread(made.file)
    assert sent.SOPClassUID.name == "Secondary Capture Image Storage"
    assert verify(made.file, workspace=made.workspace).verdict is Verdict.UNVERIFIABLE
    output = tmp_path / "release.dcm"
    opened = open_cipher_release(made.file, made.package, RECIPIENT, output)
    assert (opened.form, opened.restored.is_exact) == ("integer", True)
    assert opened.size_bytes == output.stat().st_size
    report = verify(output, workspace=made.workspace)
    assert report.verdict is Verdict.AUTHENTIC
    assert report.release_id == made.release_id
    assert all(check.outcome != "fail" for check in report.checks)
    # The side information came along, so the mark can be taken out.
    original = open_release_file(made.workspace, output, tmp_path / "original.dcm")
    assert original.source == "release-file"
    assert np.array_equal(
        read(tmp_path / "original.dcm").stored_values, read(made.source).stored_values
    )


def test_nothing_of_the_release_is_in_the_cipher_image(made: Made, tmp_path: Path) -> None:
    open_cipher_release(made.file, made.package, RECIPIENT, tmp_path / "release.dcm")
    inside = pydicom.dcmread(tmp_path / "release.dcm")
    data = made.file.read_bytes()
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        assert str(inside[keyword].value).encode() not in data
    assert np.std(read(made.file).stored_values / 2**16) == pytest.approx(12**-0.5, abs=0.01)


def test_a_copy_that_lost_its_metadata_opens(made: Made, tmp_path: Path) -> None:
    dataset = pydicom.dcmread(made.file)
    dataset.remove_private_tags()
    dataset.save_as(tmp_path / "stripped.dcm")
    (tmp_path / "stripped.png").write_bytes(encode(read(made.file), "png"))
    for name in ("stripped.dcm", "stripped.png"):
        file = tmp_path / name
        output = tmp_path / f"from-{name}.dcm"
        assert open_cipher_release(file, made.package, RECIPIENT, output).restored.is_exact


def test_a_png_release_for_the_workspace_itself(made: Made, tmp_path: Path) -> None:
    request = ReleaseRequest(image_id=made.image_id, to="bob", cipher="integer")
    other = release(made.workspace, request, tmp_path / "copy.png")
    assert other.package is not None
    output = tmp_path / "release.png"
    open_cipher_release(other.file, other.package, made.workspace.identity, output)
    report = verify(output, workspace=made.workspace)
    assert report.verdict is Verdict.AUTHENTIC
    assert report.release_id == other.release_id
    # The package of one release does not open another one.
    with pytest.raises(CipherIntegrityError, match=r"copy\.dcm"):
        open_cipher_release(made.file, other.package, made.workspace.identity, output)


@pytest.mark.parametrize(
    ("form", "verdict"), [("digital", Verdict.AUTHENTIC), ("analog", Verdict.PROCESSED)]
)
def test_a_release_through_a_lossy_archive(
    made: Made, tmp_path: Path, form: str, verdict: Verdict
) -> None:
    request = ReleaseRequest(image_id=made.image_id, to="eve", cipher=form)
    other = release(made.workspace, request, tmp_path / "copy.dcm")
    assert other.package is not None
    dataset = pydicom.dcmread(other.file)
    stream = BytesIO()
    Image.fromarray(dataset.pixel_array).save(stream, "JPEG", quality=90)
    dataset.remove_private_tags()
    dataset.PixelData = encapsulate([stream.getvalue()])
    dataset["PixelData"].is_undefined_length = True
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.save_as(tmp_path / "lossy.dcm")
    output = tmp_path / "release.dcm"
    opened = open_cipher_release(
        tmp_path / "lossy.dcm", other.package, made.workspace.identity, output
    )
    assert opened.restored.is_exact is (form == "digital")
    report = verify(output, workspace=made.workspace)
    assert report.verdict is verdict
    assert report.release_id == other.release_id


def test_others_cannot_open_it(made: Made, tmp_path: Path) -> None:
    output = tmp_path / "never.dcm"
    with pytest.raises(NoMatchingIdentityError, match=r"copy\.dcm\.key"):
        open_cipher_release(made.file, made.package, made.workspace.identity, output)
    assert not output.exists()


def test_a_changed_value_is_refused(made: Made, tmp_path: Path) -> None:
    data = bytearray(made.file.read_bytes())
    data[-1] ^= 1
    (tmp_path / "changed.dcm").write_bytes(data)
    output = tmp_path / "never.dcm"
    with pytest.raises(CipherIntegrityError, match=r"changed\.dcm"):
        open_cipher_release(tmp_path / "changed.dcm", made.package, RECIPIENT, output)
    assert not output.exists()


@pytest.mark.parametrize(
    ("plain", "context", "message"),
    [
        (b"{}", b"medseal/cipher-release/v1", "unknown version"),
        (b'{"v":1}', b"medseal/cipher-release/v1", "malformed"),
        (b"no text", b"medseal/cipher-release/v1", "malformed"),
        (b'{"v":1}', b"medseal/plain-file/v1", "not that of a cipher image"),
    ],
)
def test_a_package_of_another_kind(
    made: Made, tmp_path: Path, plain: bytes, context: bytes, message: str
) -> None:
    package = tmp_path / "package"
    package.write_bytes(seal(plain, [RECIPIENT.recipient], associated_data=context).to_bytes())
    with pytest.raises(HeaderFormatError, match=message):
        open_cipher_release(made.file, package, RECIPIENT, tmp_path / "never.dcm")


def test_a_cut_package_and_an_output_without_a_format(made: Made, tmp_path: Path) -> None:
    package = tmp_path / "cut.key"
    package.write_bytes(made.package.read_bytes()[:-1])
    with pytest.raises(TruncatedPackageError, match=r"cut\.key"):
        open_cipher_release(made.file, package, RECIPIENT, tmp_path / "never.dcm")
    with pytest.raises(InputError, match="needs a suffix"):
        open_cipher_release(made.file, made.package, RECIPIENT, tmp_path / "never")


def test_an_output_that_holds_no_cipher_image_leaves_no_record(made: Made, tmp_path: Path) -> None:
    before = len(list(made.workspace.ledger.events()))
    request = ReleaseRequest(image_id=made.image_id, to="ann", cipher="integer")
    for name in ("copy.tif", "copy"):
        with pytest.raises(UnsupportedImageError, match=r"\.png or \.dcm"):
            release(made.workspace, request, tmp_path / name)
    (tmp_path / "taken.dcm.key").mkdir()
    with pytest.raises(StorageError, match="is a directory"):
        release(made.workspace, request, tmp_path / "taken.dcm")
    assert len(list(made.workspace.ledger.events())) == before
