import numpy as np
import pytest

from medseal.protection.encryption.cnn.analog_shape import Shape


def shape(samples: int = 3, bits: int = 8) -> Shape:
    return Shape(rows=5, columns=7, samples=samples, bits=bits)


@pytest.mark.parametrize("samples", [1, 2, 3, 4])
def test_planes_are_stacked_and_taken_apart(samples: int) -> None:
    frame = np.arange(5 * 7 * samples).reshape(5, 7, samples)
    stack = shape(samples).stack(frame)
    assert stack.shape == shape(samples).stacked == (5 * samples, 7)
    assert np.array_equal(stack[:5], frame[..., 0])
    assert np.array_equal(shape(samples).unstacked(stack), frame)


@pytest.mark.parametrize(
    ("samples", "bits", "expected"),
    [(3, 8, ((5, 7, 3), np.uint8)), (3, 12, ((15, 7), np.uint16)), (1, 7, ((5, 7), np.uint8))],
)
def test_colour_of_8_bits_is_coded_together(samples, bits, expected) -> None:
    made = shape(samples, bits)
    coded = made.coded(np.zeros(made.stacked, np.int64))
    assert (coded.shape, coded.dtype) == expected


def test_no_packets_give_a_picture_within_the_range() -> None:
    picture = shape(1, 10).picture(b"", 1)
    assert picture.shape == (5, 7)
    assert picture.max() <= shape(1, 10).white == 1023


def test_a_small_image_fills_the_circle() -> None:
    assert shape(1, 8).plain_gain == 1
    assert round(shape(1, 12).white * shape(1, 12).plain_gain) == 255
