import numpy as np
import pytest

from medseal.errors import ImageMismatchError
from tests.imaging.image_builders import image


def test_values_are_read_only_and_contiguous():
    source = np.zeros((2, 5, 3, 1), np.uint16)
    made = image(source[:, ::-1], 12)
    assert made.stored_values.flags.c_contiguous
    with pytest.raises(ValueError, match="read-only"):
        made.stored_values[0] = 1
    source[:] = 9
    assert made.stored_values.max() == 0, "a writeable array must be copied"
    assert (made.frames, made.rows, made.columns, made.samples) == (2, 5, 3, 1)


def test_big_endian_values_become_native():
    made = image(np.arange(4, dtype=">i2").reshape(1, 2, 2, 1), 16)
    assert made.stored_values.dtype == np.dtype("=i2")
    assert made.stored_values.reshape(-1).tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("shape", "dtype", "bits", "message"),
    [
        ((4, 4), np.uint8, 8, "frames, rows, columns, samples"),
        ((1, 0, 4, 1), np.uint8, 8, "frames, rows, columns, samples"),
        ((1, 4, 4, 5), np.uint8, 8, "1 to 4 samples"),
        ((1, 4, 4, 1), np.complex64, 8, "numbers"),
        ((1, 4, 4, 1), np.bool_, 1, "numbers"),
        ((1, 4, 4, 1), np.uint8, 9, "9 bits do not fit"),
        ((1, 4, 4, 1), np.uint8, 0, "0 bits do not fit"),
    ],
)
def test_what_is_no_image_is_refused(shape, dtype, bits, message):
    with pytest.raises(ImageMismatchError, match=message):
        image(np.zeros(shape, dtype), bits)


def test_sign_must_fit_the_dtype():
    made = image(np.zeros((1, 2, 2, 1), np.uint8), 8)
    with pytest.raises(ImageMismatchError, match="is_signed"):
        made.with_stored_values(np.zeros((1, 2, 2, 1), np.int8))
    changed = made.with_stored_values(np.zeros((1, 2, 2, 1), np.int8), is_signed=True)
    assert changed.is_signed
    assert changed.source_format == made.source_format


def test_storable_range():
    assert image(np.zeros((1, 1, 1, 1), np.uint16), 12).storable_range == (0, 4095)
    assert image(np.zeros((1, 1, 1, 1), np.int16), 13).storable_range == (-4096, 4095)
    floats = np.array([-1.5, np.nan, 7.0], np.float32).reshape(1, 1, 3, 1)
    assert image(floats, 32).storable_range == (-1.5, 7.0)


def test_repr_shows_no_attribute():
    made = image(np.zeros((1, 1, 1, 1), np.uint8), 8, attributes={"PatientID": "SECRET"})
    assert "SECRET" not in repr(made)
