"""Compressed transfer syntaxes: lossless ones keep every value, damaged ones raise."""

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from medseal.errors import MedsealError, UnreadableImageError, UnsupportedImageError
from medseal.imaging import read, read_bytes, read_with_digests
from medseal.imaging.codestreams import read_j2k_header, read_jpeg_header
from tests.imaging.image_builders import PYDICOM_FILES, dicom_bytes, dicom_dataset

RLE, JPEG_LOSSLESS, JPEG_LS = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
)
J2K, HTJ2K, JPEG = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.50"


def _rle(frame):
    planes = np.moveaxis(frame.reshape(*frame.shape[:2], -1), -1, 0)
    big_first = planes.astype(planes.dtype.newbyteorder(">"))[..., None].view(np.uint8)
    segments = []
    for plane in big_first:
        for byte in range(plane.shape[-1]):
            rows = [imagecodecs.packbits_encode(row.tobytes()) for row in plane[..., byte]]
            segments.append(b"".join(rows))
    segments = [segment + b"\0" * (len(segment) % 2) for segment in segments]
    offsets = [64 + sum(map(len, segments[:i])) for i in range(len(segments))]
    header = np.zeros(16, "<u4")
    header[0] = len(segments)
    header[1 : 1 + len(segments)] = offsets
    return header.tobytes() + b"".join(segments)


ENCODERS = {
    RLE: _rle,
    JPEG_LOSSLESS: lambda frame: imagecodecs.jpeg8_encode(
        frame, lossless=True, bitspersample=frame.dtype.itemsize * 8
    ),
    JPEG_LS: imagecodecs.jpegls_encode,
    J2K: lambda frame: imagecodecs.jpeg2k_encode(
        frame, level=0, reversible=True, codecformat="j2k"
    ),
    HTJ2K: lambda frame: imagecodecs.htj2k_encode(frame, reversible=True),
}


def _compressed(dataset, values, syntax, **options):
    dataset.PixelData = encapsulate([ENCODERS[syntax](frame) for frame in values], **options)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dicom_bytes(dataset, syntax)


@pytest.mark.parametrize("syntax", list(ENCODERS))
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_lossless_grey_frames(syntax, dtype):
    rng = np.random.default_rng(1)
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max + 1, (3, 32, 40)).astype(dtype)
    dataset = dicom_dataset(values, info.bits)
    _, native = read_with_digests(dicom_bytes(dataset), name="x")
    # JPEG and JPEG-LS know no sign: their encoders get the same bits without one.
    bare = (
        values.view(f"u{info.bits // 8}") if syntax in {JPEG_LS, JPEG_LOSSLESS, HTJ2K} else values
    )
    made, compressed = read_with_digests(_compressed(dataset, bare, syntax), name="x")
    np.testing.assert_array_equal(made.stored_values[..., 0], values)
    assert made.stored_values.dtype == dtype
    assert compressed.values == native.values
    assert compressed.dataset == native.dataset
    assert compressed.frames != native.frames


@pytest.mark.parametrize("syntax", [RLE, JPEG_LS, J2K, HTJ2K])
def test_lossless_colour(syntax):
    values = np.random.default_rng(2).integers(0, 256, (2, 32, 40, 3), np.uint8)
    dataset = dicom_dataset(values, 8, "RGB", samples=3)
    _, native = read_with_digests(dicom_bytes(dataset), name="x")
    if syntax in {J2K, HTJ2K}:
        dataset.PhotometricInterpretation = "YBR_RCT"
    made, compressed = read_with_digests(_compressed(dataset, values, syntax), name="x")
    np.testing.assert_array_equal(made.stored_values, values)
    assert made.photometric_interpretation == "RGB"
    assert compressed.values == native.values


@pytest.mark.parametrize("has_bot", [True, False])
@pytest.mark.parametrize("fragments", [1, 3])
def test_fragments_and_offset_tables(has_bot, fragments):
    values = np.random.default_rng(3).integers(0, 4096, (4, 20, 20)).astype(np.uint16)
    dataset = dicom_dataset(values, 12)
    data = _compressed(dataset, values, J2K, has_bot=has_bot, fragments_per_frame=fragments)
    made = read_bytes(data, name="x")
    np.testing.assert_array_equal(made.stored_values[..., 0], values)


def test_wrong_number_of_frames():
    values = np.zeros((4, 20, 20), np.uint16)
    dataset = dicom_dataset(values, 12)
    dataset.NumberOfFrames = 5
    with pytest.raises(UnreadableImageError, match="4 fragments do not make 5 frames"):
        read_bytes(_compressed(dataset, values, J2K), name="x")


@pytest.mark.parametrize("syntax", [J2K, JPEG_LS, JPEG_LOSSLESS, HTJ2K])
def test_codestream_of_another_size_is_never_decoded(syntax, monkeypatch):
    values = np.zeros((1, 64, 64), np.uint8)
    dataset = dicom_dataset(values[0], 8)
    dataset.Rows = 32
    data = _compressed(dataset, values, syntax)
    for name in ("jpeg2k_decode", "jpegls_decode", "jpeg8_decode", "htj2k_decode"):
        monkeypatch.delattr(imagecodecs, name)
    with pytest.raises(UnreadableImageError, match="64 x 64 x 1, the data set states 32 x 64"):
        read_bytes(data, name="x")


@pytest.mark.parametrize("syntax", list(ENCODERS))
def test_cut_frames_are_refused(syntax):
    values = np.random.default_rng(4).integers(0, 256, (1, 64, 64), np.uint8)
    dataset = dicom_dataset(values[0], 8)
    encoded = ENCODERS[syntax](values[0])
    dataset.PixelData = encapsulate([encoded[: len(encoded) * 2 // 3]])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnreadableImageError, match=r"^x: .*(ends early|cannot decode)"):
        read_bytes(dicom_bytes(dataset, syntax), name="x")


def test_unknown_syntax_says_what_to_do():
    dataset = dicom_dataset(np.zeros((4, 4), np.uint8), 8)
    dataset.PixelData = encapsulate([b"1234"])
    dataset["PixelData"].is_undefined_length = True
    with pytest.raises(UnsupportedImageError, match="transcode the file to Explicit VR"):
        read_bytes(dicom_bytes(dataset, "1.2.840.10008.1.2.4.100"), name="x")


def test_precision_beyond_the_cells():
    values = np.zeros((1, 16, 16), np.uint16)
    dataset = dicom_dataset(values[0].astype(np.uint8), 8)
    with pytest.raises(UnsupportedImageError, match="16 bits in cells of 8"):
        read_bytes(_compressed(dataset, values, J2K), name="x")


def test_more_bits_than_stated_keep_their_values():
    values = np.full((1, 16, 16), 5000, np.uint16)
    made = read_bytes(_compressed(dicom_dataset(values[0], 12), values, J2K), name="x")
    assert made.stored_values.max() == 5000
    assert made.bits_stored == 16


def test_baseline_jpeg_colours_stay_as_encoded():
    made = read(PYDICOM_FILES / "SC_rgb_jpeg_dcmtk.dcm")
    assert made.photometric_interpretation == "YBR_FULL"
    assert made.decoder.startswith("libjpeg_turbo 3.")
    # Red, the first bar: 76, 85, 255 in YBR.
    np.testing.assert_allclose(made.stored_values[0, 5, 50], (76, 85, 255), atol=1)


@pytest.mark.parametrize(("subsampling", "marker"), [("420", True), ("444", True), ("444", False)])
def test_the_codestream_decides_between_rgb_and_ybr(subsampling, marker):
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[..., 0] = 255
    space = "YCBCR" if marker else "RGB"
    encoded = imagecodecs.jpeg8_encode(
        colours, level=95, colorspace="RGB", outcolorspace=space, subsampling=subsampling
    )
    assert read_jpeg_header(encoded, name="x").colour == ("YBR_FULL" if marker else "RGB")
    dataset = dicom_dataset(colours, 8, "RGB" if marker else "YBR_FULL_422", samples=3)
    dataset.PixelData = encapsulate([encoded])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    made = read_bytes(dicom_bytes(dataset, JPEG), name="x")
    assert made.photometric_interpretation == ("YBR_FULL" if marker else "RGB")
    expected = (76, 85, 255) if marker else (255, 0, 0)
    np.testing.assert_allclose(made.stored_values[0, 5, 5], expected, atol=2)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60), start=st.sampled_from([b"\xff\xd8", b"\xffO\xffQ", b""]))
def test_headers_of_any_bytes(data, start):
    for reader in (read_jpeg_header, read_j2k_header):
        try:
            header = reader(start + data, name="x")
        except MedsealError as error:
            assert str(error).startswith("x: ")  # noqa: PT017  the error is one of two outcomes
        else:
            assert header.precision > 0
