"""Tests of the two functions in `medseal.protection.encryption.cnn` itself."""

import dataclasses

import numpy as np
import pytest

from medseal.errors import CipherHeaderError, CipherKeyError, ConfigurationError
from medseal.protection.encryption import cnn
from tests.protection.encryption.cnn.test_integer import KEY, random_image


@pytest.mark.parametrize("backbone", cnn.BACKBONES)
def test_the_integer_variant_is_the_default_and_comes_back_exactly(backbone: cnn.Backbone) -> None:
    image = random_image((2, 9, 7, 3), "u1")
    cipher = cnn.encrypt(image, KEY, backbone=backbone)
    assert cipher.header.form == "integer"
    assert cipher.header.backbone == backbone
    assert np.array_equal(cnn.decrypt(cipher, KEY).stored_values, image.stored_values)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"variant": "float"}, "variant is one of"), ({"backbone": "vgg"}, "backbone is one of")],
)
def test_an_unknown_option_is_refused(options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        cnn.encrypt(random_image((1, 4, 4, 1)), KEY, **options)


@pytest.mark.parametrize("key", [b"", bytes(31), bytearray(32)])
def test_a_key_of_another_kind_is_refused(key: bytes) -> None:
    with pytest.raises(CipherKeyError, match="32 bytes"):
        cnn.encrypt(random_image((1, 4, 4, 1)), key)
    cipher = cnn.encrypt(random_image((1, 4, 4, 1)), KEY)
    with pytest.raises(CipherKeyError, match="32 bytes"):
        cnn.decrypt(cipher, key)


def test_the_wrong_key_is_refused() -> None:
    cipher = cnn.encrypt(random_image((1, 4, 4, 1)), KEY)
    with pytest.raises(CipherKeyError, match="does not belong"):
        cnn.decrypt(cipher, bytes(32))


def test_a_digital_cipher_image_names_its_own_decoder() -> None:
    cipher = cnn.encrypt(random_image((1, 4, 4, 1)), KEY)
    header = dataclasses.replace(cipher.header, form="digital", backbone="").with_tag(KEY)
    with pytest.raises(CipherHeaderError, match=r"channel\.decode"):
        cnn.decrypt(dataclasses.replace(cipher, header=header), KEY)
