"""Reading DICOM, against pydicom's own decoding of its packaged test files."""

import struct
import tracemalloc
import warnings

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from medseal.errors import ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from medseal.imaging import read, read_bytes
from medseal.imaging.dicom import dataset_of, with_dataset
from tests.imaging.image_builders import PYDICOM_FILES, dicom_bytes, dicom_dataset

FILES = sorted(PYDICOM_FILES.glob("*.dcm"))
# pydicom finds no decoder for these two: 12-bit JPEG.
ONLY_OURS = {"JPGExtended.dcm", "JPEG-lossy.dcm"}
UNREADABLE = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "a compressed frame is",
    "MR_truncated.dcm": "ends 62 bytes early",
    "badVR.dcm": "NumberOfFrames",
    "meta_missing_tsyntax.dcm": "lacks BitsAllocated",
    "nested_priv_SQ.dcm": "lacks BitsAllocated",
    "rtplan_truncated.dcm": "ends inside element",
}
# no_meta.dcm begins with a stray byte.
NOT_AN_IMAGE = ("no pixel data", "a DICOMDIR", "not a DICOM")


def _reference(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path, force=True)
        syntax = dataset.file_meta.get("TransferSyntaxUID", ImplicitVRLittleEndian)
        return get_decoder(syntax).as_array(dataset, raw=True)[0]


def _outcome(path):
    """The image, or the message of the error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return read(path)
        except (UnreadableImageError, UnsupportedImageError) as error:
            return error


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_stored_values_are_those_of_pydicom(path):
    made = _outcome(path)
    if isinstance(made, Exception):
        message = str(made)
        assert message.startswith(f"{path}: ")
        assert "\n" not in message
        assert any(text in message for text in (*NOT_AN_IMAGE, UNREADABLE.get(path.name, "?")))
        if not isinstance(made, UnreadableImageError):
            with pytest.raises(Exception, match=r"Pixel Data|Transfer Syntax"):
                _reference(path)
    elif path.name in ONLY_OURS:
        assert (made.bits_stored, made.stored_values.shape) == (12, (1, 1024, 256, 1))
    else:
        expected = _reference(path).reshape(made.stored_values.shape)
        np.testing.assert_array_equal(made.stored_values, expected)


def test_most_packaged_files_are_read():
    read_count = sum(not isinstance(_outcome(path), Exception) for path in FILES)
    assert read_count >= len(FILES) * 2 // 3


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("dtype", ["<u2", "<i2", "u1", "<u4"])
def test_uncompressed_cells(syntax, dtype):
    values = np.arange(-6, 6).astype(dtype).reshape(3, 4)
    bits = values.dtype.itemsize * 8
    made = read_bytes(dicom_bytes(dicom_dataset(values, bits), syntax), name="x")
    assert made.stored_values.dtype == values.dtype
    np.testing.assert_array_equal(made.stored_values[0, :, :, 0], values)


@pytest.mark.parametrize("columns", [3, 4])
def test_big_endian_bytes_in_words(columns):
    values = np.arange(3 * columns, dtype=np.uint8).reshape(3, columns)
    dataset = dicom_dataset(values, 8)
    padded = dataset.PixelData
    dataset.PixelData = np.frombuffer(padded, ">u2").astype("<u2").tobytes()
    dataset["PixelData"].VR = "OW"
    made = read_bytes(dicom_bytes(dataset, ExplicitVRBigEndian), name="x")
    np.testing.assert_array_equal(made.stored_values[0, :, :, 0], values)


def test_unused_high_bits_are_cleared_or_filled_with_the_sign():
    unsigned = np.array([[0x1FFF, 0xF001]], "<u2")
    assert _values(unsigned, 12) == [0x0FFF, 0x0001]
    signed = np.array([[0x0FFF, 0x17FF]], "<u2").view("<i2")
    assert _values(signed, 12) == [-1, 2047]


def _values(values, bits):
    data = dicom_bytes(dicom_dataset(values, bits))
    return read_bytes(data, name="x").stored_values.reshape(-1).tolist()


def test_planar_colour_equals_colour_by_pixel():
    values = np.random.default_rng(0).integers(0, 256, (2, 3, 5, 3), np.uint8)
    dataset = dicom_dataset(values, 8, "RGB", samples=3)
    dataset.PlanarConfiguration = 1
    dataset.PixelData = values.transpose(0, 3, 1, 2).tobytes()
    made = read_bytes(dicom_bytes(dataset), name="x")
    np.testing.assert_array_equal(made.stored_values, values)


def test_single_bits_run_across_frames():
    bits = np.random.default_rng(0).integers(0, 2, (3, 3, 3), np.uint8)
    dataset = dicom_dataset(bits, 1)
    dataset.BitsAllocated, dataset.HighBit = 1, 0
    dataset.PixelData = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    made = read_bytes(dicom_bytes(dataset), name="x")
    np.testing.assert_array_equal(made.stored_values[..., 0], bits)
    assert made.bits_stored == 1


def test_without_preamble_and_meta():
    values = np.arange(12, dtype="<u2").reshape(3, 4)
    whole = dicom_bytes(dicom_dataset(values, 12), ImplicitVRLittleEndian)
    start = whole.index(b"\x08\x00\x16\x00")
    made = read_bytes(whole[start:], name="x")
    np.testing.assert_array_equal(made.stored_values[0, :, :, 0], values)
    meta_only = read_bytes(whole[132:], name="x")
    np.testing.assert_array_equal(meta_only.stored_values, made.stored_values)


def test_deflated_bomb_is_refused(monkeypatch):
    values = np.zeros((1000, 1000), "<u2")
    data = dicom_bytes(dicom_dataset(values, 12), DeflatedExplicitVRLittleEndian)
    assert len(data) < 10_000
    monkeypatch.setattr("medseal.imaging.limits.MAX_FILE_BYTES", 1_000_000)
    with pytest.raises(ImageTooLargeError, match="inflates to more"):
        read_bytes(data, name="x")


@pytest.mark.parametrize(
    ("keyword", "value"), [("Rows", 65535), ("NumberOfFrames", 2_000_000_000), ("Columns", 65535)]
)
def test_stated_sizes_cost_nothing(keyword, value):
    dataset = dicom_dataset(np.zeros((4, 4), "<u2"), 12)
    setattr(dataset, keyword, value)
    data = dicom_bytes(dataset)
    tracemalloc.start()
    with pytest.raises((ImageTooLargeError, UnreadableImageError), match=r"exceed|are stated"):
        read_bytes(data, name="x")
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def _nested(depth):
    item = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    sequence = struct.pack("<HH2sHL", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF)
    return (sequence + item) * depth


def test_deep_nesting_is_refused():
    data = dicom_bytes(dicom_dataset(np.zeros((4, 4), "<u2"), 12))
    at = data.index(b"\xe0\x7f\x10\x00")
    with pytest.raises(UnreadableImageError, match="cannot parse"):
        read_bytes(data[:at] + _nested(20_000) + data[at:], name="x")


def test_too_many_elements_are_refused():
    data = dicom_bytes(dicom_dataset(np.zeros((4, 4), "<u2"), 12))
    at = data.index(b"\xe0\x7f\x10\x00")
    elements = b"".join(
        struct.pack("<HH2sH", 0x0029, 0x1000 + i % 9, b"LO", 0) for i in range(50_001)
    )
    with pytest.raises(ImageTooLargeError, match="elements"):
        read_bytes(data[:at] + elements + data[at:], name="x")


def test_attributes_are_a_lazy_read_only_view():
    made = read(PYDICOM_FILES / "CT_small.dcm")
    assert made.attributes["PatientID"] == "1CT1"
    assert made.attributes["PixelSpacing"] == (0.661468, 0.661468)
    assert made.spacing_mm == (0.661468, 0.661468)
    assert made.modality == "CT"
    assert "PixelData" not in made.attributes
    assert len(dict(made.attributes)) == len(made.attributes)
    assert "CompressedSamples" in str(made.attributes["PatientName"])
    assert "CompressedSamples" not in repr(made.attributes)
    for missing in ("NoSuchKeyword", "AcquisitionDuration", "PixelData"):
        with pytest.raises(KeyError, match=missing):
            made.attributes[missing]


def test_dataset_of_is_independent():
    made = read(PYDICOM_FILES / "CT_small.dcm")
    dataset = dataset_of(made)
    dataset.PatientID = "OTHER"
    assert made.attributes["PatientID"] == "1CT1"
    changed = with_dataset(made, dataset)
    assert changed.attributes["PatientID"] == "OTHER"
    assert np.shares_memory(changed.stored_values, made.stored_values)


def test_damaged_value_of_an_attribute():
    data = (PYDICOM_FILES / "badVR.dcm").read_bytes()
    with pytest.raises(UnreadableImageError, match=r"^bad: cannot read NumberOfFrames"):
        read_bytes(data, name="bad")


def test_spacing_of_an_enhanced_image():
    dataset = dicom_dataset(np.zeros((2, 4, 4), "<u2"), 12)
    measures, groups = Dataset(), Dataset()
    measures.PixelSpacing = [0.5, 0.25]
    groups.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [groups]
    assert read_bytes(dicom_bytes(dataset), name="x").spacing_mm == (0.5, 0.25)


def test_what_is_no_image_is_named():
    directory = dicom_dataset(np.zeros((4, 4), "<u2"), 12)
    directory.SOPClassUID = "1.2.840.10008.1.3.10"
    del directory.PixelData
    with pytest.raises(UnsupportedImageError, match=r"^x: a DICOMDIR"):
        read_bytes(dicom_bytes(directory), name="x")
    with pytest.raises(UnsupportedImageError, match="RT Plan Storage"):
        read(PYDICOM_FILES / "rtplan.dcm")


@pytest.mark.parametrize(
    ("keyword", "value", "error", "message"),
    [
        ("SamplesPerPixel", 2, UnsupportedImageError, "2 samples per pixel"),
        ("BitsAllocated", 12, UnsupportedImageError, "12 allocated"),
        ("BitsStored", 17, UnsupportedImageError, "17 bits stored"),
        ("PhotometricInterpretation", "CMYK", UnsupportedImageError, "CMYK"),
        ("PhotometricInterpretation", "RGB", UnsupportedImageError, "RGB"),
        ("Rows", None, UnreadableImageError, "lacks Rows"),
        ("BitsAllocated", None, UnreadableImageError, "lacks BitsAllocated"),
        ("Rows", 5, UnreadableImageError, "40 are stated"),
    ],
)
def test_contradictions(keyword, value, error, message):
    dataset = dicom_dataset(np.zeros((4, 4), "<u2"), 12)
    if value is None:
        del dataset[keyword]
    else:
        setattr(dataset, keyword, value)
    with pytest.raises(error, match=message):
        read_bytes(dicom_bytes(dataset), name="x")


def test_compressed_syntax_without_encapsulation():
    data = dicom_bytes(dicom_dataset(np.zeros((4, 4), "<u2"), 12))
    rle = data.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", 1)
    with pytest.raises(UnreadableImageError, match="needs encapsulated pixel data"):
        read_bytes(rle, name="x")
