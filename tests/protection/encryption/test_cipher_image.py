import numpy as np
import pytest

from medseal.errors import ImageMismatchError
from medseal.protection.encryption.cipher_image import NO_CLAIM, CipherImage
from tests.protection.encryption.test_cipher_header import example


def cipher_image(samples: int = 1, dtype: type = np.uint8) -> CipherImage:
    values = np.arange(2 * 3 * 4 * samples, dtype=dtype).reshape(2, 3, 4, samples)
    return CipherImage(stored_values=values, header=example())


def test_its_values_cannot_be_changed_from_outside() -> None:
    values = np.zeros((1, 2, 2, 1), np.uint8)
    cipher = CipherImage(stored_values=values, header=example())
    values[:] = 1
    assert not cipher.stored_values.any()
    with pytest.raises(ValueError, match="read-only"):
        cipher.stored_values[:] = 1


@pytest.mark.parametrize(
    "values",
    [
        np.zeros((2, 2), np.uint8),
        np.zeros((1, 0, 2, 1), np.uint8),
        np.zeros((1, 2, 2, 5), np.uint8),
        np.zeros((1, 2, 2, 1), np.int16),
        np.zeros((1, 2, 2, 1), np.float32),
    ],
)
def test_what_is_no_image_of_8_or_16_bits_is_refused(values: np.ndarray) -> None:
    with pytest.raises(ImageMismatchError, match="uint8 or uint16"):
        CipherImage(stored_values=values, header=example())


def test_values_that_came_back_replace_its_own() -> None:
    cipher = cipher_image()
    changed = cipher.stored_values + 1
    assert np.array_equal(cipher.with_values(changed[..., 0]).stored_values, changed)
    assert cipher.with_values(changed).header is cipher.header


@pytest.mark.parametrize(
    "values", [np.zeros((2, 4, 3, 1), np.uint8), np.zeros((2, 3, 4, 1), np.uint16)]
)
def test_values_of_another_shape_or_type_are_refused(values: np.ndarray) -> None:
    with pytest.raises(ImageMismatchError, match="the values given"):
        cipher_image().with_values(values)


@pytest.mark.parametrize(
    ("samples", "photometric"),
    [(1, "MONOCHROME2"), (2, "MONOCHROME2A"), (3, "RGB"), (4, "RGBA")],
)
def test_it_travels_as_an_image_that_names_nobody(samples: int, photometric: str) -> None:
    cipher = cipher_image(samples, np.uint16)
    image = cipher.to_image()
    assert image.photometric_interpretation == photometric
    assert image.bits_stored == 16
    assert not image.attributes
    assert image.modality is None
    back = CipherImage.from_image(image, cipher.header)
    assert np.array_equal(back.stored_values, cipher.stored_values)


def test_the_sentence_denies_a_claim() -> None:
    assert NO_CLAIM.startswith("No security claim rests on a learned method")
