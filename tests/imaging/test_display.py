"""Display values and value range, against PS3.3 and against pydicom's own pipeline."""

import warnings

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing
from pydicom.pixels.processing import convert_color_space

from medseal.errors import ImageMismatchError, ImageTooLargeError, UnreadableImageError
from medseal.imaging import display_values, read, read_bytes, value_range
from tests.imaging.image_builders import PYDICOM_FILES, dicom_bytes, dicom_dataset, image

RAMP = np.arange(4096, dtype="<u2").reshape(64, 64)


def _shown(dataset):
    return display_values(read_bytes(dicom_bytes(dataset), name="x"))


def _windowed(values=RAMP, bits=12, **elements):
    dataset = dicom_dataset(values, bits)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("slope", "intercept"), [(1, 0), (2, -1024), (0.5, 7)])
def test_window_agrees_with_pydicom(function, slope, intercept):
    elements = {"WindowCenter": 400, "WindowWidth": 1000, "VOILUTFunction": function}
    dataset = _windowed(RescaleSlope=slope, RescaleIntercept=intercept, **elements)
    modality = apply_modality_lut(RAMP, dataset)
    expected = apply_windowing(modality, dataset)
    expected = (expected - intercept) / (4095 * slope) * 255
    np.testing.assert_allclose(_shown(dataset), expected, atol=1)


def test_a_negative_slope_inverts():
    falling = _windowed(RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2048, WindowWidth=4096)
    rising = _windowed(RAMP[::-1, ::-1].copy(), WindowCenter=2048, WindowWidth=4096)
    np.testing.assert_array_equal(_shown(falling), _shown(rising))


def test_edges_of_the_linear_window():
    # PS3.3 C.11.2.1.2: c = 2048, w = 4096 is the identity of 12 bits.
    shown = _shown(_windowed(WindowCenter=2048, WindowWidth=4096)).reshape(-1)
    assert (shown[0], shown[4095]) == (0, 255)
    np.testing.assert_allclose(shown, RAMP.reshape(-1) / 4095 * 255, atol=0.5)
    step = _shown(_windowed(WindowCenter=100, WindowWidth=1)).reshape(-1)
    assert (step[99], step[100]) == (0, 255)


def test_the_first_of_several_windows_counts():
    first = _shown(_windowed(WindowCenter=[400, 9], WindowWidth=[100, 1]))
    np.testing.assert_array_equal(first, _shown(_windowed(WindowCenter=400, WindowWidth=100)))


def test_monochrome1_is_inverted():
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    plain = _shown(_windowed(**window))
    dataset = _windowed(PhotometricInterpretation="MONOCHROME1", **window)
    np.testing.assert_array_equal(_shown(dataset), 255 - plain)
    dataset.PresentationLUTShape = "INVERSE"
    np.testing.assert_array_equal(_shown(dataset), 255 - plain)


def _lut_item(first, table, bits=16):
    item = Dataset()
    item.add_new("LUTDescriptor", "US", [len(table), first, bits])
    item.add_new("LUTData", "US", [int(value) for value in table])
    return item


def test_voi_lut_comes_before_the_window():
    table = np.linspace(0, 65535, 100).astype(int)[::-1]
    dataset = _windowed(WindowCenter=5, WindowWidth=5)
    dataset.VOILUTSequence = [_lut_item(1000, table)]
    shown = _shown(dataset).reshape(-1)
    assert (shown[0], shown[1000], shown[1099], shown[4095]) == (255, 255, 0, 0)
    assert value_range(read_bytes(dicom_bytes(dataset), name="x")) == (1000, 1099)


def test_modality_lut():
    table = np.concatenate([np.zeros(100), np.arange(100) * 10])
    dataset = _windowed(WindowCenter=500, WindowWidth=1000)
    dataset.ModalityLUTSequence = [_lut_item(50, table)]
    shown = _shown(dataset).reshape(-1)
    assert shown[149] == 0
    assert int(shown[50 + 100 + 50]) in {127, 128}
    assert shown[4095] == shown[249] == 253
    low, high = value_range(read_bytes(dicom_bytes(dataset), name="x"))
    assert (low, high) == (50, 249)


def test_without_window():
    eight = np.arange(256, dtype=np.uint8).reshape(16, 16)
    made = image(eight.reshape(1, 16, 16, 1), 8)
    np.testing.assert_array_equal(display_values(made), eight)
    assert value_range(made) == (0, 255)
    wide = image(RAMP.reshape(1, 64, 64, 1), 16)
    low, high = np.percentile(RAMP, (0.5, 99.5))
    assert value_range(wide) == (low, high)
    shown = display_values(wide).reshape(-1)
    assert (shown[0], shown[-1], shown[2048]) == (0, 255, 128)
    one = image(np.eye(4, dtype=np.uint8).reshape(1, 4, 4, 1), 1)
    assert np.unique(display_values(one)).tolist() == [0, 255]


def test_frames_have_their_own_window():
    dataset = dicom_dataset(np.stack([RAMP, RAMP]), 12)
    groups = []
    for centre in (500, 3000):
        voi, group = Dataset(), Dataset()
        voi.WindowCenter, voi.WindowWidth = centre, 100
        group.FrameVOILUTSequence = [voi]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    made = read_bytes(dicom_bytes(dataset), name="x")
    first, second = display_values(made, frame=0), display_values(made, frame=1)
    assert (first.reshape(-1)[1000], second.reshape(-1)[1000]) == (255, 0)
    with pytest.raises(ImageMismatchError, match="frame 2 of an image with 2"):
        display_values(made, frame=2)


def test_ybr_becomes_rgb():
    values = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    shown = _shown(dicom_dataset(values, 8, "YBR_FULL", samples=3))
    np.testing.assert_allclose(shown, convert_color_space(values, "YBR_FULL", "RGB"), atol=1)


def test_palette():
    path = PYDICOM_FILES / "examples_palette.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(path)
        expected = apply_color_lut(dataset.pixel_array, dataset)
    shown = display_values(read(path))
    np.testing.assert_array_equal(shown, expected >> 8 if expected.itemsize == 2 else expected)


def _palette(**elements):
    dataset = dicom_dataset(np.arange(16, dtype=np.uint8).reshape(4, 4), 8, "PALETTE COLOR")
    for colour in ("Red", "Green", "Blue"):
        setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [16, 0, 16])
        for keyword, value in elements.items():
            setattr(dataset, keyword.format(colour), value)
    return dataset


def test_palette_of_16_bits():
    table = (np.arange(16, dtype="<u2") * 4369).tobytes()
    shown = _shown(_palette(**{"{}PaletteColorLookupTableData": table}))
    np.testing.assert_array_equal(shown[..., 0], np.arange(16).reshape(4, 4) * 17)


def test_palette_that_is_missing_or_hostile():
    with pytest.raises(UnreadableImageError, match="palette"):
        _shown(_palette())
    bomb = np.tile(np.array([0, 0, 1, 65535, 9], "<u2"), 200).tobytes()
    with pytest.raises(ImageTooLargeError, match="segmented palette"):
        _shown(_palette(**{"Segmented{}PaletteColorLookupTableData": bomb}))
    copies = np.array([0, 0] + [2, 60000, 0, 0] * 2000, "<u2").tobytes()
    with pytest.raises(ImageTooLargeError, match="segmented palette"):
        _shown(_palette(**{"Segmented{}PaletteColorLookupTableData": copies}))


def test_wide_and_transparent_colours():
    values = np.array([0, 32768, 65535], np.uint16).reshape(1, 1, 1, 3)
    assert display_values(image(values, 16, "RGB")).tolist() == [[[0, 128, 255]]]
    alpha = np.array([1, 2, 3, 4], np.uint8).reshape(1, 1, 1, 4)
    assert display_values(image(alpha, 8, "RGBA")).tolist() == [[[1, 2, 3]]]
    grey = np.array([7, 9], np.uint8).reshape(1, 1, 1, 2)
    assert display_values(image(grey, 8, "MONOCHROME2A")).tolist() == [[7]]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_every_image_has_display_values_and_a_range(data):
    dtype = np.dtype(data.draw(st.sampled_from(["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"])))
    samples = data.draw(st.sampled_from([1, 2, 3, 4]))
    shape = (1, *data.draw(st.tuples(st.integers(1, 4), st.integers(1, 4))), samples)
    values = data.draw(arrays(dtype, shape))
    colour = {1: "MONOCHROME2", 2: "MONOCHROME2A", 3: "RGB", 4: "RGBA"}[samples]
    made = image(values, dtype.itemsize * 8, colour)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = display_values(made)
        low, high = value_range(made)
    assert shown.dtype == np.uint8
    assert shown.shape == (shape[1:3] if samples < 3 else (*shape[1:3], 3))
    assert low < high


@settings(max_examples=60, deadline=None)
@given(
    centre=st.floats(-1e6, 1e6),
    width=st.floats(-10, 1e6),
    slope=st.floats(-100, 100),
    intercept=st.floats(-1e5, 1e5),
)
def test_range_of_any_window(centre, width, slope, intercept):
    dataset = _windowed(
        WindowCenter=f"{centre:.8g}",
        WindowWidth=f"{width:.8g}",
        RescaleSlope=f"{slope:.6g}",
        RescaleIntercept=f"{intercept:.8g}",
    )
    low, high = value_range(read_bytes(dicom_bytes(dataset), name="x"))
    assert 0 <= low < high <= 4095


def test_range_is_the_window_in_stored_values():
    made = read(PYDICOM_FILES / "CT_small.dcm")
    assert "WindowCenter" not in made.attributes
    dataset = _windowed(WindowCenter=40, WindowWidth=400, RescaleSlope=1, RescaleIntercept=-1024)
    assert value_range(read_bytes(dicom_bytes(dataset), name="x")) == (864, 1264)
