import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.encryption.baselines.method import (
    as_image,
    checked,
    flat,
    generator_of,
    padded,
)
from tests.protection.encryption.baselines.images import KEY, OTHER, picture


def test_padding_fills_whole_blocks_with_zeros() -> None:
    image = picture(3, 7)
    data = padded(image)
    assert len(data) == 32
    assert data[:21] == image.tobytes()
    assert data[21:] == bytes(11)
    assert len(padded(picture(4, 4))) == 16


def test_values_come_back_in_order() -> None:
    image = picture(4, 6)
    assert np.array_equal(as_image(image.tobytes() + b"tag", (4, 6)), image)
    assert np.array_equal(as_image(flat(image.tobytes()), (4, 6)), image)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="too few"):
        as_image(bytes(5), (2, 3))
    for bad in (np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2), np.uint16), np.zeros((0, 2), "u1")):
        with pytest.raises(InputError, match="rows, columns"):
            checked(bad)


def test_random_numbers_follow_from_key_and_purpose() -> None:
    draws = [
        generator_of(key, purpose).bytes(8)
        for key, purpose in ((KEY, "a"), (KEY, "a"), (KEY, "b"), (OTHER, "a"))
    ]
    assert draws[0] == draws[1]
    assert len(set(draws)) == 3
