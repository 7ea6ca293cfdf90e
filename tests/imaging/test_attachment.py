"""Attachments: every format carries them beside untouched values; what is damaged is refused."""

import struct
import zlib
from io import BytesIO

import nibabel
import numpy as np
import pydicom
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pydicom.uid import ImplicitVRLittleEndian

from medseal.errors import ImageTooLargeError, UnreadableImageError
from medseal.imaging import deidentify, encode, read, read_bytes
from medseal.imaging.attachment import (
    DICOM_GROUP,
    MAX_ATTACHMENT_BYTES,
    PNG_CHUNK,
    PRIVATE_CREATOR,
    TIFF_TAG,
    attachment_of,
    framed,
)
from medseal.imaging.limits import MAX_DATASET_BYTES
from tests.imaging.image_builders import PYDICOM_FILES, image

FORMATS = ["dicom", "png", "tiff", "nifti", "nifti.gz"]
GREY = image(np.arange(6 * 5, dtype=np.uint16).reshape(1, 6, 5, 1), 12)
STACK = image(np.arange(3 * 6 * 5, dtype=np.uint8).reshape(3, 6, 5, 1), 8)
COLOUR = image(np.arange(6 * 5 * 3, dtype=np.uint8).reshape(1, 6, 5, 3), 8, "RGB")


def carried(content, name="copy"):
    return attachment_of(content, read_bytes(content, name=name).source_format, name=name)


@pytest.mark.parametrize("format_name", FORMATS)
@given(data=st.binary(min_size=1, max_size=70))
def test_what_goes_in_comes_out(format_name, data):
    content = encode(GREY, format_name, attachment=data)
    copy = read_bytes(content, name="copy")
    assert attachment_of(content, copy.source_format, name="copy") == data
    np.testing.assert_array_equal(copy.stored_values, GREY.stored_values)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("size", [255, 65_535, 65_536, 1_000_003])
def test_any_length(format_name, size):
    data = np.random.default_rng(size).bytes(size)
    assert carried(encode(GREY, format_name, attachment=data)) == data


@pytest.mark.parametrize("format_name", ["dicom", "tiff", "nifti", "nifti.gz"])
def test_frames_and_colours(format_name):
    for pictured in (STACK, COLOUR):
        content = encode(pictured, format_name, attachment=b"bytes")
        assert carried(content) == b"bytes"
        values = read_bytes(content, name="copy").stored_values
        np.testing.assert_array_equal(values, pictured.stored_values)


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_file_without_one(format_name):
    assert carried(encode(GREY, format_name)) is None


def test_a_jpeg_file_never_has_one():
    buffer = BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(buffer, "JPEG")
    assert carried(buffer.getvalue()) is None


@pytest.mark.parametrize("format_name", FORMATS)
def test_it_is_not_carried_over_to_the_next_file(format_name):
    copy = read_bytes(encode(GREY, format_name, attachment=b"bytes"), name="copy")
    assert carried(encode(copy, format_name)) is None


def test_a_real_instance_keeps_its_other_private_elements():
    source = read(PYDICOM_FILES / "CT_small.dcm")
    before = source.attributes.dataset
    content = encode(source, "dicom", attachment=b"bytes")
    after = pydicom.dcmread(BytesIO(content))
    private = {tag for tag in before.keys() if tag.is_private}  # noqa: SIM118  tags are wanted
    assert private
    assert private < set(after.keys())
    assert carried(content) == b"bytes"


def test_another_block_in_our_group_stays():
    dataset = read(PYDICOM_FILES / "CT_small.dcm").attributes.dataset_copy()
    other = dataset.private_block(DICOM_GROUP, "SOMEBODY ELSE", create=True)
    other.add_new(0x01, "OB", b"theirs")
    buffer = BytesIO()
    dataset.PixelData = bytes(2 * 128 * 128)
    dataset["PixelData"].VR = "OW"
    pydicom.dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True)
    content = encode(read_bytes(buffer.getvalue(), name="x"), "dicom", attachment=b"ours")
    assert carried(content) == b"ours"
    again = encode(read_bytes(content, name="copy"), "dicom", attachment=b"new")
    assert carried(again) == b"new"
    kept = pydicom.dcmread(BytesIO(again)).private_block(DICOM_GROUP, "SOMEBODY ELSE")
    assert kept[0x01].value == b"theirs"


def test_it_survives_implicit_vr_where_private_elements_have_no_type():
    dataset = pydicom.dcmread(BytesIO(encode(GREY, "dicom", attachment=b"odd")))
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    buffer = BytesIO()
    pydicom.dcmwrite(buffer, dataset, implicit_vr=True, little_endian=True)
    assert carried(buffer.getvalue()) == b"odd"


def test_the_data_set_says_that_the_block_identifies_nobody():
    dataset = pydicom.dcmread(BytesIO(encode(GREY, "dicom", attachment=b"bytes")))
    [item] = dataset.PrivateDataElementCharacteristicsSequence
    assert item.PrivateGroupReference == DICOM_GROUP
    assert item.PrivateCreatorReference == PRIVATE_CREATOR
    assert item.BlockIdentifyingInformationStatus == "SAFE"
    again = pydicom.dcmread(BytesIO(encode(read_bytes(_bytes(dataset), name="x"), "dicom")))
    assert "PrivateDataElementCharacteristicsSequence" not in again


def _bytes(dataset):
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


def test_deidentification_removes_it_like_any_private_block():
    copy = read_bytes(encode(GREY, "dicom", attachment=b"bytes"), name="copy")
    plain, report = deidentify(copy)
    assert report.removed_private == 2
    assert carried(encode(plain, "dicom")) is None


def test_other_programs_read_the_files():
    data = b"opaque"
    png = Image.open(BytesIO(encode(GREY, "png", attachment=data)))
    np.testing.assert_array_equal(np.asarray(png), GREY.stored_values[0, :, :, 0])
    nifti = nibabel.Nifti1Image.from_bytes(encode(GREY, "nifti", attachment=data))
    np.testing.assert_array_equal(np.asarray(nifti.dataobj)[:, :, 0].T, png)
    [extension] = nifti.header.extensions
    assert extension.get_sizeondisk() % 16 == 0
    with tifffile.TiffFile(BytesIO(encode(STACK, "tiff", attachment=data))) as file:
        assert [TIFF_TAG in page.tags for page in file.pages] == [True, False, False]


def _png_with(body, times=1):
    plain = encode(GREY, "png")
    chunk = struct.pack(">L", len(body)) + PNG_CHUNK + body
    chunk += struct.pack(">L", zlib.crc32(PNG_CHUNK + body))
    return plain[:-12] + times * chunk + plain[-12:]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"MSI\x01",
        b"MSI\x01" + bytes(4),
        framed(b"bytes")[:-1],
        framed(b"bytes") + b"x",
        framed(b"bytes") + bytes(16),
        b"MSI\x02" + framed(b"bytes")[4:],
        b"MSI\x01\xff\xff\xff\xffbytes",
    ],
    ids=[
        "empty",
        "no length",
        "no bytes",
        "cut off",
        "more",
        "much padding",
        "other version",
        "huge length",
    ],
)
def test_a_damaged_frame_is_refused(body):
    assert carried(_png_with(framed(b"bytes") + bytes(15))) == b"bytes"
    with pytest.raises(UnreadableImageError, match="damaged or cut off"):
        carried(_png_with(body))


def test_two_are_refused():
    with pytest.raises(UnreadableImageError, match="several releases"):
        carried(_png_with(framed(b"bytes"), times=2))
    dataset = pydicom.dcmread(BytesIO(encode(GREY, "dicom", attachment=b"bytes")))
    dataset.add_new((DICOM_GROUP, 0x0011), "LO", PRIVATE_CREATOR)
    dataset.add_new((DICOM_GROUP, 0x1101), "OB", framed(b"others"))
    with pytest.raises(UnreadableImageError, match="several releases"):
        carried(_bytes(dataset))


@pytest.mark.parametrize("length", [0, 8, -16, 2**31 - 1])
def test_a_nifti_extension_that_leads_out_of_the_header(length):
    content = bytearray(encode(GREY, "nifti", attachment=b"bytes"))
    content[352:356] = struct.pack("<l", length)
    with pytest.raises(UnreadableImageError, match="damaged or cut off"):
        carried(bytes(content))


def test_the_limit():
    assert 2 * MAX_ATTACHMENT_BYTES <= MAX_DATASET_BYTES
    with pytest.raises(ImageTooLargeError, match="do not fit beside an image"):
        framed(bytes(MAX_ATTACHMENT_BYTES + 1))
    data = bytes(MAX_ATTACHMENT_BYTES)
    assert carried(encode(GREY, "dicom", attachment=data)) == data
    assert carried(encode(GREY, "nifti", attachment=data)) == data
