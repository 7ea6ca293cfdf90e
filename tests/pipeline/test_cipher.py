"""Cipher images as files: dispatch by form, formats, lost headers."""

from pathlib import Path

import numpy as np
import pytest

from medseal.errors import (
    CipherHeaderError,
    CipherKeyError,
    ConfigurationError,
    UnreadableImageError,
    UnsupportedImageError,
)
from medseal.imaging import encode
from medseal.pipeline.cipher import (
    CIPHER_FORMS,
    cipher_image_in,
    decrypt_image,
    encode_cipher_image,
    encrypt_image,
    read_header_file,
)
from tests.protection.pictures import grey

KEY = bytes(range(32))


@pytest.mark.parametrize("suffix", [".png", ".dcm"])
def test_a_file_leads_back_to_the_cipher_image(suffix: str, tmp_path: Path) -> None:
    image = grey(40, 33)
    cipher = encrypt_image(image, KEY, form="integer")
    data = encode_cipher_image(cipher, Path(f"c{suffix}"))
    found = cipher_image_in(data, name="c")
    assert found.header == cipher.header
    assert np.array_equal(found.stored_values, cipher.stored_values)
    opened = decrypt_image(found, KEY)
    assert (opened.is_exact, opened.layer, opened.psnr_db) == (True, "", None)
    assert np.array_equal(opened.image.stored_values, image.stored_values)
    (tmp_path / "header").write_bytes(cipher.header.to_bytes())
    stripped = encode(cipher.to_image(), "tiff")
    with pytest.raises(CipherHeaderError, match="give the header file"):
        cipher_image_in(stripped, name="c")
    header = read_header_file(tmp_path / "header")
    found = cipher_image_in(stripped, name="c", header=header)
    assert np.array_equal(found.stored_values, cipher.stored_values)


def test_another_key_is_refused() -> None:
    cipher = encrypt_image(grey(32, 32), KEY, form="integer")
    with pytest.raises(CipherKeyError, match="does not belong"):
        decrypt_image(cipher, bytes(32))


def test_an_unknown_form_and_an_unknown_suffix() -> None:
    with pytest.raises(ConfigurationError, match="integer, analog, digital"):
        encrypt_image(grey(32, 32), KEY, form="cbc")
    cipher = encrypt_image(grey(32, 32), KEY, form="integer")
    with pytest.raises(UnsupportedImageError, match=r"written as \.png or \.dcm"):
        encode_cipher_image(cipher, Path("c.jpg"))


def test_another_attachment_is_no_header() -> None:
    data = encode(grey(32, 32), "png", attachment=b"side information of a release")
    with pytest.raises(CipherHeaderError, match="c: this is no header of a cipher image"):
        cipher_image_in(data, name="c")


def test_what_is_no_header_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="no such file"):
        read_header_file(tmp_path / "missing")
    (tmp_path / "header").write_bytes(b"text")
    with pytest.raises(CipherHeaderError, match="no header"):
        read_header_file(tmp_path / "header")


@pytest.mark.parametrize("form", CIPHER_FORMS)
def test_a_clean_channel_leads_back_exactly(form: str) -> None:
    image = grey(72, 80)
    opened = decrypt_image(encrypt_image(image, KEY, form=form), KEY)
    assert opened.is_exact
    assert opened.layer == ("clean" if form == "analog" else "")
    assert np.array_equal(opened.image.stored_values, image.stored_values)


def test_a_damaged_analog_image_says_that_it_is_approximate() -> None:
    cipher = encrypt_image(grey(72, 80), KEY, form="analog")
    noise = np.random.default_rng(1).normal(0, 6, cipher.stored_values.shape)
    damaged = np.clip(cipher.stored_values + noise.round(), 0, 255).astype(np.uint8)
    opened = decrypt_image(cipher.with_values(damaged), KEY)
    assert not opened.is_exact
    assert opened.layer in {"detail", "base", "plain"}
