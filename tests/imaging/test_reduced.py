"""Reduced decoding gives the small image that the full decoding gives, or None."""

from io import BytesIO

import cv2
import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, HTJ2KLossless, JPEG2000Lossless, RLELossless

from medseal.errors import ImageTooLargeError, InputError, UnreadableImageError
from medseal.imaging import display_values, read_bytes
from medseal.imaging.preprocess import PreprocessConfig, standardise
from medseal.imaging.reduced import MAX_FACTOR, needed_size, read_reduced
from tests.imaging.image_builders import dicom_bytes, dicom_dataset


def scene(rows, columns, *, low=0, high=255):
    """A smooth picture with an edge, which makes a low-pass band overshoot."""
    row, column = np.mgrid[0 : 1 : rows * 1j, 0 : 1 : columns * 1j]
    picture = 0.3 + 0.2 * np.sin(9 * row) * np.cos(7 * column)
    picture[(row - 0.5) ** 2 + (column - 0.5) ** 2 < 0.05] = 1.0
    picture[(row < 0.1) & (column < 0.1)] = 0.0
    return np.rint(low + (high - low) * picture).astype(np.int32)


def jpeg(values):
    stream = BytesIO()
    Image.fromarray(values).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def colours(rows, columns):
    grey = scene(rows, columns).astype(np.uint8)
    return np.stack([grey, 255 - grey, grey // 2], axis=2)


def dicom(values, *, syntax=JPEG2000Lossless, bits=12, **changes):
    """Compressed frames in a DICOM file; values (rows, columns) or (frames, rows, columns)."""
    dataset = dicom_dataset(values, bits)
    planes = values if values.ndim == 3 else values[None]
    if syntax == JPEG2000Lossless:
        options = {"level": 0, "reversible": True, "codecformat": "j2k", "bitspersample": bits}
        frames = [imagecodecs.jpeg2k_encode(plane, **options) for plane in planes]
    else:
        frames = [imagecodecs.htj2k_encode(plane, reversible=True) for plane in planes]
    dataset.PixelData = encapsulate(frames)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    for name, value in changes.items():
        setattr(dataset, name, value)
    return dicom_bytes(dataset, syntax)


def correlation(one, other):
    return float(np.corrcoef(one.ravel().astype(float), other.ravel().astype(float))[0, 1])


@pytest.mark.parametrize("make", [colours, lambda r, c: scene(r, c).astype(np.uint8)])
def test_a_jpeg_gives_nearly_the_input_of_its_full_decoding(make):
    data = jpeg(make(450, 600))
    reduced = read_reduced(data, rows=224, columns=224, name="a.jpg")
    assert reduced is not None
    assert reduced.factor == 2
    assert reduced.shown[0].shape[:2] == (225, 300)
    config = PreprocessConfig(equalise_histogram=False)
    full = standardise(display_values(read_bytes(data, name="a.jpg")), config=config)
    small = standardise(reduced.shown[0], config=config)
    assert correlation(full, small) > 0.999
    assert np.abs(full.astype(int) - small).mean() < 1


@pytest.mark.parametrize(
    ("rows", "columns", "factor"),
    [(447, 600, None), (448, 448, 2), (895, 4000, 2), (896, 896, 4), (1792, 1792, 8)],
)
def test_neither_side_becomes_smaller_than_the_network_wants(rows, columns, factor):
    data = jpeg(np.zeros((rows, columns), np.uint8))
    reduced = read_reduced(data, rows=224, columns=224, name="a.jpg")
    assert (reduced and reduced.factor) == factor
    if reduced:
        assert min(reduced.shown[0].shape) >= 224
        assert reduced.factor <= MAX_FACTOR


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless])
@pytest.mark.parametrize("signed", [False, True])
def test_twelve_bits_stay_twelve_bits(syntax, signed):
    dtype, low = (np.int16, -2048) if signed else (np.uint16, 0)
    values = scene(512, 512, low=low, high=low + 4095).astype(dtype)
    # A window over the whole range: a shift of the values by one bit would halve the display.
    data = dicom(values, syntax=syntax, WindowCenter=low + 2048, WindowWidth=4096)
    reduced = read_reduced(data, rows=128, columns=128, name="a.dcm")
    assert reduced is not None
    assert (reduced.factor, reduced.modality) == (4, "OT")
    full = display_values(read_bytes(data, name="a.dcm"))
    area = cv2.resize(full, (128, 128), interpolation=cv2.INTER_AREA)
    difference = np.abs(reduced.shown[0].astype(int) - area)
    assert correlation(area, reduced.shown[0]) > 0.98
    assert np.median(difference) <= 1
    # An edge overshoots, a few samples wide. Wrapped round it would be white on black.
    assert np.percentile(difference, 99) < 40
    assert difference[area < 3].max(initial=0) < 128


def test_every_frame_is_decoded():
    values = np.stack([scene(256, 256, high=4000), scene(256, 256, high=1600)]).astype(np.uint16)
    data = dicom(values, WindowCenter=2048, WindowWidth=4096)
    reduced = read_reduced(data, rows=64, columns=64, name="a.dcm")
    assert reduced is not None
    assert [frame.shape for frame in reduced.shown] == [(64, 64), (64, 64)]
    assert reduced.shown[0].mean() > 2 * reduced.shown[1].mean()
    with pytest.raises(ValueError, match="read-only"):
        reduced.shown[0][0, 0] = 1


@pytest.mark.parametrize(
    "make",
    [
        lambda v: dicom(v[:511]),  # a side that the factor does not divide
        lambda v: dicom(v, PixelRepresentation=1),  # the codestream knows of no sign
        lambda v: dicom(v << 4, syntax=HTJ2KLossless, bits=16),
        lambda v: dicom(v << 2, syntax=HTJ2KLossless),  # more bits than stated
        lambda v: dicom(v, PhotometricInterpretation="PALETTE COLOR"),
        lambda v: dicom(v, Rows=256),  # the full decoder refuses it
        lambda v: dicom_bytes(dicom_dataset(v, 12)),  # not compressed
    ],
)
def test_what_cannot_be_reduced_safely_is_left_to_the_full_decoder(make):
    values = scene(512, 512, high=4095).astype(np.uint16)
    assert read_reduced(make(values), rows=255, columns=128, name="a.dcm") is None


def test_other_formats_are_left_to_the_full_decoder():
    stream = BytesIO()
    Image.fromarray(np.zeros((512, 512), np.uint8)).save(stream, "PNG")
    assert read_reduced(stream.getvalue(), rows=64, columns=64, name="a.png") is None
    cmyk = BytesIO()
    Image.fromarray(np.zeros((512, 512, 4), np.uint8), "CMYK").save(cmyk, "JPEG")
    assert read_reduced(cmyk.getvalue(), rows=64, columns=64, name="a.jpg") is None


def test_a_crop_keeps_room():
    assert needed_size(PreprocessConfig(rows=96, columns=128)) == (96, 128)
    assert needed_size(PreprocessConfig(rows=96, columns=128, crop="foreground")) == (192, 256)
    assert needed_size(PreprocessConfig(rows=96, columns=128, margin_share=0.1)) == (192, 256)


def test_damaged_files_are_refused():
    data = jpeg(colours(512, 512))
    with pytest.raises(UnreadableImageError, match=r"a\.jpg: cannot decode the JPEG file"):
        read_reduced(data[: len(data) // 2], rows=64, columns=64, name="a.jpg")
    whole = dicom(scene(512, 512, high=4095).astype(np.uint16))
    with pytest.raises(UnreadableImageError, match=r"a\.dcm: "):
        read_reduced(whole[: len(whole) // 2], rows=64, columns=64, name="a.dcm")
    with pytest.raises(UnreadableImageError, match="empty"):
        read_reduced(b"", rows=64, columns=64, name="a.jpg")


def test_sizes_are_bounded():
    huge = bytearray(jpeg(np.zeros((64, 64), np.uint8)))
    place = huge.find(b"\xff\xc0") + 5
    huge[place : place + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageTooLargeError, match="exceed the limits"):
        read_reduced(bytes(huge), rows=64, columns=64, name="a.jpg")
    with pytest.raises(InputError, match="1 to 4096"):
        read_reduced(jpeg(colours(64, 64)), rows=0, columns=64, name="a.jpg")


def test_rle_is_left_to_the_full_decoder():
    dataset = dicom_dataset(scene(512, 512, high=4095).astype(np.uint16), 12)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.compress(RLELossless)
    data = dicom_bytes(dataset, RLELossless)
    assert read_reduced(data, rows=64, columns=64, name="a.dcm") is None
