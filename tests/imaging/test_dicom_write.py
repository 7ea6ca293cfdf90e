"""Writing DICOM: what is read back equals what was written, and the data set says so."""

from io import BytesIO

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging import encode, read, read_bytes, read_with_digests
from medseal.imaging.dicom import dataset_of, with_dataset
from tests.imaging.image_builders import PYDICOM_FILES, dicom_bytes, dicom_dataset, image


def _is_readable(path):
    try:
        read_with_digests(path.read_bytes(), name=path.name)
    except (UnreadableImageError, UnsupportedImageError):
        return False
    return True


# Which packaged files must be readable is tested in test_dicom.py.
FILES = [path for path in sorted(PYDICOM_FILES.glob("*.dcm")) if _is_readable(path)]


def _dataset(data):
    return pydicom.dcmread(BytesIO(data))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_packaged_files_written_again(path):
    made, digests = read_with_digests(path.read_bytes(), name=path.name)
    again, again_digests = read_with_digests(encode(made, "dicom"), name="again")
    np.testing.assert_array_equal(again.stored_values, made.stored_values)
    assert again_digests.values == digests.values
    for keyword in ("PatientID", "SOPInstanceUID", "WindowCenter", "RescaleSlope", "PixelSpacing"):
        assert again.attributes.get(keyword) == made.attributes.get(keyword)
    written = _dataset(encode(made, "dicom"))
    assert written.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert written.file_meta.MediaStorageSOPInstanceUID == written.SOPInstanceUID


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_round_trip_of_any_grey_instance(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "i1", "<u2", "<i2", "<u4", "<i4"])))
    shape = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)))
    values = data.draw(arrays(dtype, shape))
    # Two's complement: -8 to 7 need three bits and the sign.
    extremes = (int(values.min()), int(values.max()))
    least = max((~value if value < 0 else value).bit_length() for value in extremes)
    least = max(least + (dtype.kind == "i"), 1 + (dtype.kind == "i"))
    bits = data.draw(st.integers(least, dtype.itemsize * 8))
    made = read_bytes(dicom_bytes(dicom_dataset(values, bits)), name="x")
    again = read_bytes(encode(made, "dicom"), name="y")
    np.testing.assert_array_equal(again.stored_values[..., 0], values)
    assert (again.bits_stored, again.is_signed) == (bits, dtype.kind == "i")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_round_trip_of_secondary_capture(data):
    samples = data.draw(st.sampled_from([1, 3]))
    frames = data.draw(st.integers(1, 3))
    dtype = np.dtype("u1" if samples == 3 else data.draw(st.sampled_from(["u1", "u2"])))
    shape = (frames, *data.draw(st.tuples(st.integers(1, 5), st.integers(1, 5))), samples)
    values = data.draw(arrays(dtype, shape))
    colour = "RGB" if samples == 3 else "MONOCHROME2"
    bits = dtype.itemsize * 8
    again = read_bytes(encode(image(values, bits, colour), "dicom"), name="y")
    np.testing.assert_array_equal(again.stored_values, values)
    assert (again.bits_stored, again.photometric_interpretation) == (bits, colour)


@pytest.mark.parametrize(
    ("frames", "dtype", "samples", "uid"),
    [
        (1, np.uint16, 1, "1.2.840.10008.5.1.4.1.1.7"),
        (3, np.uint8, 1, "1.2.840.10008.5.1.4.1.1.7.2"),
        (3, np.uint16, 1, "1.2.840.10008.5.1.4.1.1.7.3"),
        (3, np.uint8, 3, "1.2.840.10008.5.1.4.1.1.7.4"),
    ],
)
def test_class_and_modules_of_secondary_capture(frames, dtype, samples, uid):
    values = np.zeros((frames, 4, 5, samples), dtype)
    colour = "RGB" if samples == 3 else "MONOCHROME2"
    made = image(values, values.itemsize * 8, colour, spacing_mm=(0.5, 0.25))
    dataset = _dataset(encode(made, "dicom"))
    assert dataset.SOPClassUID == dataset.file_meta.MediaStorageSOPClassUID == uid
    assert dataset.ConversionType == "WSD"
    assert (dataset.Rows, dataset.Columns, dataset.PixelSpacing) == (4, 5, [0.5, 0.25])
    assert len({dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID}) == 3
    for keyword in ("PatientName", "PatientID", "PatientBirthDate", "StudyID", "AccessionNumber"):
        assert keyword in dataset, f"{keyword} is type 2 and must be there, empty"
    assert ("PlanarConfiguration" in dataset) == (samples == 3)
    assert (frames == 1) or list(dataset.PageNumberVector) == [1, 2, 3]
    assert (frames == 1) or dataset.FrameIncrementPointer == 0x00182001
    other = _dataset(encode(made, "dicom"))
    assert other.SOPInstanceUID != dataset.SOPInstanceUID


def test_a_lossy_source_is_marked():
    values = np.zeros((1, 4, 4, 1), np.uint8)
    made = image(values, 8)
    assert "LossyImageCompression" not in _dataset(encode(made, "dicom"))
    lossy = made.with_stored_values(values, source_format="jpeg")
    assert _dataset(encode(lossy, "dicom")).LossyImageCompression == "01"


def test_image_pixel_module_follows_the_values():
    made = read(PYDICOM_FILES / "CT_small.dcm")
    source = dataset_of(made)
    source.add_new("SmallestImagePixelValue", "SS", 128)
    source.add_new("LargestImagePixelValue", "SS", 2191)
    made = with_dataset(made, source)
    assert "PixelPaddingValue" in made.attributes
    values = np.clip(made.stored_values[:, ::2, ::4], 0, None).astype(np.uint16)
    small = made.with_stored_values(values, is_signed=False, bits_stored=12)
    dataset = _dataset(encode(small, "dicom"))
    assert (dataset.Rows, dataset.Columns) == (64, 32)
    assert (dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit) == (16, 12, 11)
    assert dataset.PixelRepresentation == 0
    for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue", "PixelPaddingValue"):
        assert keyword not in dataset
    np.testing.assert_array_equal(dataset.pixel_array, values[0, :, :, 0])


def test_single_bits_are_packed_again():
    bits = np.random.default_rng(0).integers(0, 2, (3, 3, 3), np.uint8)
    dataset = dicom_dataset(bits, 1)
    dataset.BitsAllocated, dataset.HighBit = 1, 0
    dataset.PixelData = np.packbits(bits.reshape(-1), bitorder="little").tobytes()
    written = encode(read_bytes(dicom_bytes(dataset), name="x"), "dicom")
    assert _dataset(written).BitsAllocated == 1
    np.testing.assert_array_equal(read_bytes(written, name="y").stored_values[..., 0], bits)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_values(dtype):
    values = np.array([[1.5, -2.25], [np.pi, 0]], dtype)
    made = read_bytes(dicom_bytes(dicom_dataset(np.zeros((2, 2), "<u2"), 16)), name="x")
    floats = made.with_stored_values(
        values.reshape(1, 2, 2, 1), is_signed=True, bits_stored=values.itemsize * 8
    )
    again = read_bytes(encode(floats, "dicom"), name="y")
    np.testing.assert_array_equal(again.stored_values[0, :, :, 0], values)
    assert again.stored_values.dtype == dtype


@pytest.mark.parametrize(
    ("values", "colour", "message"),
    [
        (np.zeros((1, 2, 2, 4), np.uint8), "RGBA", "no alpha channel; write a .png"),
        (np.zeros((1, 2, 2, 1), np.float32), "MONOCHROME2", "floating values; write a .tif"),
        (np.zeros((2, 2, 2, 1), np.int16), "MONOCHROME2", "2 frames of int16"),
        (np.zeros((2, 2, 2, 1), np.uint16), "MONOCHROME1", "MONOCHROME1; write a .tif"),
        (np.zeros((1, 2, 2, 1), np.uint64), "MONOCHROME2", "64 bits; write a .tif"),
    ],
)
def test_what_dicom_cannot_hold(values, colour, message):
    with pytest.raises(UnsupportedImageError, match=message):
        encode(image(values, values.itemsize * 8, colour), "dicom")
