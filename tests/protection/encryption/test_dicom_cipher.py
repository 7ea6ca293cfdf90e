"""Cipher images as DICOM objects: valid, anonymous, exact through real servers and syntaxes."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pynetdicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import ImplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless

from medseal.errors import (
    CipherHeaderError,
    EncryptedAttributesMissingError,
    InputError,
    UnsupportedImageError,
)
from medseal.imaging import read_bytes
from medseal.imaging.dicom import dataset_of
from medseal.pipeline.release_cipher import MAX_PACKAGE_BYTES
from medseal.protection.encryption import cms, cms_envelope
from medseal.protection.encryption.cipher_image import NO_CLAIM, CipherHeader, CipherImage
from medseal.protection.encryption.dicom_cipher import (
    PRIVATE_CREATOR,
    PRIVATE_GROUP,
    decode_cipher_dicom,
    encode_cipher_dicom,
    with_original_attributes,
)
from tests.protection.encryption.test_cms import FIRST, FIRST_KEY

DCIODVFY = shutil.which("dciodvfy") or ""
STORESCP, STORESCU = shutil.which("storescp") or "", shutil.which("storescu") or ""
KEY = bytes(range(32))
KINDS = [
    ((1, 33, 47, 1), "u1", "1.2.840.10008.5.1.4.1.1.7"),
    ((1, 16, 17, 1), "u2", "1.2.840.10008.5.1.4.1.1.7"),
    ((1, 15, 17, 3), "u1", "1.2.840.10008.5.1.4.1.1.7"),
    ((1, 16, 16, 3), "u2", "1.2.840.10008.5.1.4.1.1.7"),
    ((3, 17, 15, 1), "u1", "1.2.840.10008.5.1.4.1.1.7.2"),
    ((3, 16, 16, 1), "u2", "1.2.840.10008.5.1.4.1.1.7.3"),
    ((2, 15, 15, 3), "u1", "1.2.840.10008.5.1.4.1.1.7.4"),
]


def cipher_image(shape: tuple[int, ...] = (1, 32, 40, 1), dtype: str = "u1") -> CipherImage:
    """Return random pixels under a header with a tag; this module never asks what they mean."""
    values = np.random.default_rng(3).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)
    header = CipherHeader(
        form="integer",
        backbone="unet",
        nonce=bytes(range(16)),
        frames=shape[0],
        rows=shape[1],
        columns=shape[2],
        samples=shape[3],
        bits_allocated=values.dtype.itemsize * 8,
        bits_stored=values.dtype.itemsize * 8,
        is_signed=False,
        photometric_interpretation="MONOCHROME2",
        parameters=b"\x06",
        plain_tag=bytes(32),
    )
    return CipherImage(stored_values=values, header=header.with_tag(KEY))


def same(found: CipherImage, expected: CipherImage) -> bool:
    return found.header == expected.header and np.array_equal(
        found.stored_values, expected.stored_values
    )


def saved(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


@pytest.mark.parametrize(("shape", "dtype", "uid"), KINDS)
def test_round_trip_and_description_of_the_values(
    shape: tuple[int, ...], dtype: str, uid: str
) -> None:
    cipher = cipher_image(shape, dtype)
    data = encode_cipher_dicom(cipher)
    assert same(decode_cipher_dicom(data, name="file"), cipher)
    read = pydicom.dcmread(BytesIO(data))
    assert read.SOPClassUID == uid
    assert read.PixelRepresentation == 0
    assert read.BitsStored == read.BitsAllocated == read.HighBit + 1
    assert np.array_equal(read.pixel_array.reshape(shape), cipher.stored_values)
    for keyword in (
        *("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"),
        *("WindowCenter", "WindowWidth", "VOILUTSequence"),
    ):
        assert keyword not in read
    assert NO_CLAIM in read.DerivationDescription


@pytest.mark.skipif(not DCIODVFY, reason="needs dicom3tools")
@pytest.mark.parametrize(("shape", "dtype"), [kind[:2] for kind in KINDS])
def test_dciodvfy_finds_no_error(shape: tuple[int, ...], dtype: str, tmp_path: Path) -> None:
    file = tmp_path / "cipher.dcm"
    file.write_bytes(encode_cipher_dicom(cipher_image(shape, dtype)))
    command = [DCIODVFY, str(file)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert "SCImage" in finished.stderr
    assert "Error" not in finished.stderr


def test_each_file_is_another_instance_of_another_patient() -> None:
    cipher = cipher_image()
    first, second = (pydicom.dcmread(BytesIO(encode_cipher_dicom(cipher))) for _ in range(2))
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "PatientID"):
        assert first[keyword].value != second[keyword].value


def ct_image() -> bytes:
    file = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    dataset = pydicom.dcmread(file)
    dataset.PatientID, dataset.PatientName = "unmistakable", "Doe^Janet"
    return saved(dataset)


def test_attributes_of_the_original_travel_encrypted_or_not_at_all() -> None:
    original = read_bytes(ct_image(), name="ct")
    cipher = cipher_image((1, 128, 128, 1), "u2")
    without = encode_cipher_dicom(cipher, original=original)
    hidden = encode_cipher_dicom(cipher, original=original, recipients=[FIRST])
    plain = dataset_of(original)
    for data in (without, hidden):
        for word in ("unmistakable", "Janet", str(plain.SOPInstanceUID), str(plain.StudyDate)):
            assert word.encode() not in data
    restored = with_original_attributes(original, hidden, FIRST, FIRST_KEY)
    attributes = dataset_of(restored)
    for keyword in ("PatientID", "SOPInstanceUID", "SOPClassUID", "RescaleIntercept"):
        assert attributes[keyword] == plain[keyword]
    assert "ConversionType" not in attributes
    assert restored.modality == "CT"
    with pytest.raises(EncryptedAttributesMissingError, match="no encrypted attributes"):
        with_original_attributes(original, without, FIRST, FIRST_KEY)


def test_an_original_without_a_data_set() -> None:
    original = cipher_image().to_image()
    with pytest.raises(UnsupportedImageError, match="no DICOM data set"):
        encode_cipher_dicom(cipher_image(), original=original, recipients=[FIRST])


def test_a_copy_that_lost_its_private_block() -> None:
    cipher = cipher_image()
    dataset = pydicom.dcmread(BytesIO(encode_cipher_dicom(cipher)))
    dataset.remove_private_tags()
    data = saved(dataset)
    with pytest.raises(CipherHeaderError, match="give the header file"):
        decode_cipher_dicom(data, name="file")
    assert same(decode_cipher_dicom(data, name="file", header=cipher.header), cipher)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value[:1], "cut or too long|no header|private block"),
        (lambda value: b"\xff\xff" + value[2:], "private block"),
        (lambda value: value + b"\0\0", "private block"),
        (lambda value: value[:40] + bytes((value[40] ^ 1,)) + value[41:], "damaged"),
    ],
)
def test_a_damaged_private_block(change: object, message: str) -> None:
    dataset = pydicom.dcmread(BytesIO(encode_cipher_dicom(cipher_image())))
    block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)
    block[1].value = change(block[1].value)  # type: ignore[operator]
    with pytest.raises(CipherHeaderError, match=message):
        decode_cipher_dicom(saved(dataset), name="file")


def test_another_block_before_ours_and_implicit_vr() -> None:
    cipher = cipher_image()
    data = encode_cipher_dicom(cipher)
    dataset = pydicom.dcmread(BytesIO(data))
    value = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)[1].value
    dataset.remove_private_tags()
    dataset.private_block(PRIVATE_GROUP, "SOMEBODY ELSE", create=True).add_new(1, "LO", "theirs")
    dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True).add_new(1, "OB", value)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    stream = BytesIO()
    pydicom.dcmwrite(stream, dataset, implicit_vr=True, little_endian=True)
    assert same(decode_cipher_dicom(stream.getvalue(), name="file"), cipher)


@pytest.mark.parametrize(("shape", "dtype"), [((1, 32, 40, 1), "u2"), ((2, 16, 16, 1), "u1")])
def test_a_lossless_transfer_syntax(shape: tuple[int, ...], dtype: str) -> None:
    cipher = cipher_image(shape, dtype)
    dataset = pydicom.dcmread(BytesIO(encode_cipher_dicom(cipher)))
    dataset.compress(RLELossless, generate_instance_uid=False)
    assert same(decode_cipher_dicom(saved(dataset), name="file"), cipher)


def as_jpeg(data: bytes, quality: int) -> bytes:
    """Return a DICOM file with each grey frame as JPEG baseline (PS3.5, 8.2.1)."""
    dataset = pydicom.dcmread(BytesIO(data))
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    streams = []
    for frame in frames:
        stream = BytesIO()
        Image.fromarray(frame).save(stream, "JPEG", quality=quality)
        streams.append(stream.getvalue())
    dataset.PixelData = encapsulate(streams)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.LossyImageCompression = "01"
    return saved(dataset)


def test_a_lossy_transfer_syntax_gives_the_values_of_its_codec() -> None:
    cipher = cipher_image((2, 32, 40, 1))
    found = decode_cipher_dicom(as_jpeg(encode_cipher_dicom(cipher), 90), name="file")
    assert found.header == cipher.header
    difference = found.stored_values.astype(int) - cipher.stored_values
    assert 0 < np.abs(difference).mean() < 8


def test_other_files() -> None:
    stream = BytesIO()
    Image.new("L", (8, 8)).save(stream, "PNG")
    with pytest.raises(UnsupportedImageError, match="not a DICOM file"):
        decode_cipher_dicom(stream.getvalue(), name="file")
    with pytest.raises(CipherHeaderError, match="no header of a cipher image inside"):
        decode_cipher_dicom(ct_image(), name="file")
    with pytest.raises(InputError, match="file"):
        decode_cipher_dicom(encode_cipher_dicom(cipher_image())[:-100], name="file")


@pytest.mark.parametrize("shape", [(1, 8, 8, 2), (1, 8, 8, 4)])
def test_an_alpha_channel_does_not_fit(shape: tuple[int, ...]) -> None:
    with pytest.raises(UnsupportedImageError, match="no alpha channel"):
        encode_cipher_dicom(cipher_image(shape))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def dcmtk_archive(folder: Path) -> Iterator[int]:
    """Run dcmtk's storage server on the loopback interface."""
    port = free_port()
    command = [STORESCP, "--output-directory", str(folder), str(port)]
    with subprocess.Popen(command) as process:  # noqa: S603
        try:
            for _ in range(100):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield port
        finally:
            process.terminate()


@pytest.mark.skipif(not (STORESCP and STORESCU), reason="needs dcmtk")
def test_dcmtk_stores_and_returns_it(tmp_path: Path) -> None:
    cipher = cipher_image((1, 64, 48, 1), "u2")
    sent, archive = tmp_path / "sent.dcm", tmp_path / "archive"
    sent.write_bytes(encode_cipher_dicom(cipher))
    archive.mkdir()
    with dcmtk_archive(archive) as port:
        command = [STORESCU, "127.0.0.1", str(port), str(sent)]
        subprocess.run(command, check=True, timeout=30)  # noqa: S603
    [stored] = archive.iterdir()
    assert same(decode_cipher_dicom(stored.read_bytes(), name="stored"), cipher)


@pytest.mark.parametrize(("shape", "dtype"), [((1, 64, 48, 1), "u2"), ((2, 15, 15, 3), "u1")])
def test_pynetdicom_stores_and_returns_it(
    shape: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    cipher = cipher_image(shape, dtype)
    dataset = pydicom.dcmread(BytesIO(encode_cipher_dicom(cipher)))
    stored = tmp_path / "stored.dcm"

    def store(event: object) -> int:
        received = event.dataset  # type: ignore[attr-defined]
        received.file_meta = event.file_meta  # type: ignore[attr-defined]
        received.save_as(stored, enforce_file_format=True)
        return 0x0000

    entity = pynetdicom.AE()
    entity.add_supported_context(dataset.SOPClassUID)
    entity.add_requested_context(dataset.SOPClassUID)
    handlers = [(pynetdicom.evt.EVT_C_STORE, store)]
    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    try:
        link = entity.associate("127.0.0.1", server.server_address[1])
        assert link.is_established
        assert link.send_c_store(dataset).Status == 0x0000
        link.release()
    finally:
        server.shutdown()
    assert same(decode_cipher_dicom(stored.read_bytes(), name="stored"), cipher)


def test_the_specification_has_the_figures_of_the_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "spec" / "cipher-files.md").read_text()
    page = " ".join(page.split())
    assert f"creator `{PRIVATE_CREATOR}` in group {PRIVATE_GROUP:04X}" in page
    limits = f"{cms_envelope.MIN_RSA_BITS} bits, 1 to {cms_envelope.MAX_RECIPIENTS} certificates"
    assert f"at least {limits}" in page
    assert f"At most {cms.MAX_ITEMS} items of {cms_envelope.MAX_CONTENT_BYTES >> 20} MiB." in page
    assert f"at most {MAX_PACKAGE_BYTES >> 20} MiB. Its content" in page
