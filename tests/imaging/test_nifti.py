"""NIfTI both ways, against nibabel."""

import gzip

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseal.errors import ImageTooLargeError, UnreadableImageError, UnsupportedImageError
from medseal.imaging import display_values, encode, read_bytes
from tests.imaging.image_builders import image

DTYPES = ["u1", "u2", "u4", "u8", "i1", "i2", "i4", "i8", "f4", "f8"]


def _foreign(values, slope=None, inter=None, kind=nibabel.Nifti1Image):
    made = kind(values, np.diag([0.5, 0.25, 3, 1]))
    made.header.set_slope_inter(slope, inter)
    made.header.set_xyzt_units("mm")
    return made.to_bytes()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_round_trip(data):
    dtype = np.dtype(data.draw(st.sampled_from(DTYPES)))
    shape = (*data.draw(st.tuples(*[st.integers(1, 5)] * 3)), 1)
    values = data.draw(arrays(dtype, shape))
    made = image(values, dtype.itemsize * 8, spacing_mm=(2.0, 0.5))
    for format_name in ("nifti", "nifti.gz"):
        again = read_bytes(encode(made, format_name), name="x")
        np.testing.assert_array_equal(again.stored_values, values)
        assert again.stored_values.dtype == dtype
        assert again.spacing_mm == (2.0, 0.5)
    assert encode(made, "nifti.gz") == encode(made, "nifti.gz")


@pytest.mark.parametrize("samples", [3, 4])
def test_colour(samples):
    values = np.random.default_rng(0).integers(0, 256, (2, 4, 5, samples), np.uint8)
    made = image(values, 8, "RGB" if samples == 3 else "RGBA")
    np.testing.assert_array_equal(read_bytes(encode(made, "nifti"), name="x").stored_values, values)


@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_rows_columns_and_frames_of_a_foreign_volume(kind):
    values = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    made = read_bytes(_foreign(values, kind=kind), name="x")
    assert (made.columns, made.rows, made.frames) == (2, 3, 20)
    assert made.stored_values[1 + 4 * 2, 2, 1, 0] == values[1, 2, 1, 2]
    assert made.spacing_mm == (0.25, 0.5)


def test_scaling_is_kept_aside():
    values = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    file = nibabel.Nifti1Image(values, np.eye(4))
    data = bytearray(file.to_bytes())
    data[112:120] = np.array([2.5, -7], "<f4").tobytes()
    made = read_bytes(bytes(data), name="x")
    assert made.stored_values.dtype == np.int16
    assert made.stored_values.max() == 23
    assert (made.attributes["scl_slope"], made.attributes["scl_inter"]) == (2.5, -7.0)
    again = read_bytes(encode(made, "nifti"), name="y")
    assert again.attributes["scl_slope"] == 2.5
    assert display_values(made).shape == (3, 2)


def test_affine_and_axes_survive():
    values = np.arange(2 * 3 * 4 * 5, dtype=np.int16).reshape(2, 3, 4, 5)
    affine = np.array([[0, -2, 0, 5], [1, 0, 0, 6], [0, 0, 3, 7], [0, 0, 0, 1.0]])
    made = read_bytes(nibabel.Nifti1Image(values, affine).to_bytes(), name="x")
    again = nibabel.Nifti1Image.from_bytes(encode(made, "nifti"))
    np.testing.assert_array_equal(again.affine, affine)
    np.testing.assert_array_equal(np.asanyarray(again.dataobj), values)


def test_bits_stored_are_remembered():
    made = image(np.full((2, 3, 3, 1), 4095, np.uint16), 12, "MONOCHROME1")
    again = read_bytes(encode(made, "nifti"), name="x")
    assert (again.bits_stored, again.photometric_interpretation) == (12, "MONOCHROME1")


def test_refusals(monkeypatch):
    data = _foreign(np.zeros((8, 8, 8), np.int16))
    with pytest.raises(UnreadableImageError, match="are stated"):
        read_bytes(data[:-1], name="x")
    huge = bytearray(data)
    huge[42:48] = np.array([32767, 32767, 32767], "<i2").tobytes()
    with pytest.raises(ImageTooLargeError, match="exceed the limits"):
        read_bytes(bytes(huge), name="x")
    pair = bytearray(data)
    pair[344:348] = b"ni1\0"
    with pytest.raises(UnsupportedImageError, match="a NIfTI pair"):
        read_bytes(bytes(pair), name="x")
    with pytest.raises(UnsupportedImageError, match="convert them to float"):
        read_bytes(_foreign(np.zeros((2, 2, 2), np.complex64)), name="x")
    with pytest.raises(UnsupportedImageError, match="gzip file without a NIfTI"):
        read_bytes(gzip.compress(b"text"), name="x")
    with pytest.raises(UnreadableImageError, match="ends early"):
        read_bytes(gzip.compress(data)[:-20], name="x")
    monkeypatch.setattr("medseal.imaging.limits.MAX_FILE_BYTES", 1000)
    with pytest.raises(ImageTooLargeError, match="inflates to more"):
        read_bytes(gzip.compress(data), name="x")


@pytest.mark.parametrize("samples", [2, 3])
def test_what_nifti_cannot_hold(samples):
    values = np.zeros((1, 2, 2, samples), np.uint16)
    with pytest.raises(UnsupportedImageError, match=r"write a \.tif file"):
        encode(image(values, 16, {2: "MONOCHROME2A", 3: "RGB"}[samples]), "nifti")
