import dataclasses

import cv2
import numpy as np
import pytest

from medseal.errors import (
    CipherHeaderError,
    CipherIntegrityError,
    CipherKeyError,
    ConfigurationError,
    UnsupportedImageError,
)
from medseal.metrics.image_quality import psnr
from medseal.protection.encryption import cnn
from medseal.protection.encryption.cnn import analog
from medseal.protection.encryption.cnn.analog import (
    DegradedImageWarning,
    decrypt,
    decrypt_with_report,
    encrypt,
)
from tests.protection.pictures import picture, texture

KEY = bytes(range(32))


def image(rows=96, columns=100, dtype="u1", samples=1, frames=1, bits=None):
    info = np.iinfo(dtype)
    bits = bits or info.bits
    low = -(1 << (bits - 1)) if info.min < 0 else 0
    planes = [
        np.rint(texture(rows, columns, seed=number) * ((1 << bits) - 1) + low)
        for number in range(samples * frames)
    ]
    values = np.stack(planes).reshape(frames, samples, rows, columns).transpose(0, 2, 3, 1)
    photometric = {1: "MONOCHROME2", 3: "RGB"}[samples]
    return picture(np.ascontiguousarray(values.astype(dtype)), bits=bits, photometric=photometric)


def jpeg(cipher, quality):
    values = cipher.stored_values.copy()
    for frame in values:
        coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        frame[..., 0] = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)
    return cipher.with_values(values)


def same_kind(first, second) -> bool:
    names = ("bits_stored", "is_signed", "photometric_interpretation")
    return (
        first.stored_values.dtype == second.stored_values.dtype
        and first.stored_values.shape == second.stored_values.shape
        and all(getattr(first, name) == getattr(second, name) for name in names)
    )


@pytest.mark.parametrize("backbone", cnn.BACKBONES)
def test_the_public_functions_give_an_8_bit_image_back_exactly(backbone) -> None:
    plain = image()
    cipher = cnn.encrypt(plain, KEY, variant="analog", backbone=backbone)
    assert (cipher.header.form, cipher.header.backbone) == ("analog", backbone)
    assert cipher.stored_values.dtype == np.uint8
    assert cipher.stored_values.shape == (1, 96, 100, 1)
    opened = cnn.decrypt(cipher, KEY)
    assert same_kind(opened, plain)
    assert np.array_equal(opened.stored_values, plain.stored_values)


@pytest.mark.parametrize("backbone", cnn.BACKBONES)
def test_after_jpeg_the_network_is_ahead_of_the_linear_estimate(backbone) -> None:
    plain = image(160, 150)
    cipher = jpeg(encrypt(plain, KEY, backbone=backbone), 70)
    network, report = decrypt_with_report(cipher, KEY)
    linear, other = decrypt_with_report(cipher, KEY, decoder="linear")
    first, second = (
        psnr(plain.stored_values[0], shown.stored_values[0], data_range=255.0)
        for shown in (network, linear)
    )
    assert (report.layer, report.backbone, other.backbone) == ("detail", backbone, "")
    assert first > second
    assert second > 36
    assert report.psnr_db == pytest.approx(second, abs=2)


@pytest.mark.parametrize(
    "options",
    [
        {"samples": 3},
        {"frames": 2},
        {"dtype": "u2", "bits": 12},
        {"dtype": "i2"},
        {"dtype": "u2", "samples": 3},
        {"rows": 17, "columns": 23},
    ],
    ids=["colour", "frames", "12 bits", "signed", "deep colour", "small"],
)
def test_every_kind_of_image_is_carried(options) -> None:
    plain = image(**options)
    cipher = encrypt(plain, KEY, backbone="unet")
    frames, rows, columns, samples = plain.stored_values.shape
    assert cipher.stored_values.shape == (frames, rows * samples, columns, 1)
    opened = decrypt(cipher, KEY)
    assert same_kind(opened, plain)
    white = float((1 << plain.bits_stored) - 1)
    for frame in range(frames):
        shown = psnr(plain.stored_values[frame], opened.stored_values[frame], data_range=white)
        assert shown > 50


def test_the_cipher_image_is_uniform_and_tells_nothing_of_the_image() -> None:
    plain = image(200, 200)
    values = encrypt(plain, KEY, backbone="unet").stored_values[0, :, :, 0]
    counts = np.bincount(values.reshape(-1), minlength=256)
    expected = values.size / 256
    # 255 degrees of freedom: six standard deviations.
    assert ((counts - expected) ** 2 / expected).sum() < 255 + 6 * np.sqrt(510)
    limit = 5 / np.sqrt(values.size)
    shown = plain.stored_values[0, :, :, 0].astype(float)
    assert abs(np.corrcoef(values.reshape(-1), shown.reshape(-1))[0, 1]) < limit
    assert abs(np.corrcoef(values[1:].reshape(-1), values[:-1].reshape(-1))[0, 1]) < limit


def test_the_same_image_is_never_sent_twice_alike() -> None:
    plain = image()
    first, second = (encrypt(plain, KEY, backbone="unet") for _ in range(2))
    assert first.header.nonce != second.header.nonce
    assert np.mean(first.stored_values == second.stored_values) < 0.02


def test_the_header_is_that_of_any_image_of_the_kind() -> None:
    flat = picture(np.zeros((96, 100), np.uint8))
    headers = [encrypt(shown, KEY, backbone="unet").header for shown in (image(), flat)]
    same = [dataclasses.replace(h, nonce=bytes(16), header_tag=b"") for h in headers]
    assert same[0] == same[1]


def test_beyond_the_detail_there_is_a_warning_and_the_base() -> None:
    plain = image(160, 150)
    cipher = encrypt(plain, KEY, backbone="unet")
    values = cipher.stored_values.copy()
    values[:, :80] = 0
    with pytest.warns(DegradedImageWarning, match="blurred"):
        opened = decrypt(cipher.with_values(values), KEY)
    shown = psnr(plain.stored_values[0], opened.stored_values[0], data_range=255.0)
    assert 20 < shown < 40


def test_beyond_the_base_there_is_an_error() -> None:
    cipher = encrypt(image(), KEY, backbone="unet")
    noise = np.random.default_rng(1).integers(0, 256, cipher.stored_values.shape, np.uint8)
    with pytest.raises(CipherIntegrityError, match="endures"):
        decrypt(cipher.with_values(noise), KEY)


def test_the_wrong_key_is_refused() -> None:
    cipher = encrypt(image(20, 20), KEY, backbone="unet")
    with pytest.raises(CipherKeyError, match="does not belong"):
        decrypt(cipher, bytes(32))
    with pytest.raises(CipherKeyError, match="32 bytes"):
        encrypt(image(20, 20), b"short", backbone="unet")


def test_pixels_of_another_shape_are_refused() -> None:
    cipher = encrypt(image(20, 24), KEY, backbone="unet")
    cut = dataclasses.replace(cipher, stored_values=cipher.stored_values[:, :19])
    with pytest.raises(CipherHeaderError, match="shape and type"):
        decrypt(cut, KEY)


def test_another_layout_is_refused() -> None:
    cipher = encrypt(image(20, 24), KEY, backbone="unet")
    header = dataclasses.replace(cipher.header, parameters=b"\x02").with_tag(KEY)
    with pytest.raises(CipherHeaderError, match="update medseal"):
        decrypt(dataclasses.replace(cipher, header=header), KEY)


@pytest.mark.parametrize(
    ("plain", "message"),
    [
        (picture(np.zeros((8, 8), np.float32)), "whole numbers"),
        (picture(np.zeros((8, 8), np.uint32)), "whole numbers"),
        (picture(np.zeros((8, 8), np.uint8), photometric="PALETTE COLOR"), "palette"),
        (picture(np.full((8, 8), 300, np.uint16), bits=8), "exceed"),
    ],
    ids=["float", "32 bits", "palette", "beyond"],
)
def test_images_that_cannot_be_carried_are_refused(plain, message) -> None:
    with pytest.raises(UnsupportedImageError, match=message):
        encrypt(plain, KEY, backbone="unet")


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="backbone is one of"):
        encrypt(image(8, 8), KEY, backbone="vgg")
    cipher = encrypt(image(8, 8), KEY, backbone="unet")
    with pytest.raises(ConfigurationError, match="decoder is one of"):
        decrypt_with_report(cipher, KEY, decoder="median")
    assert "linear" in analog.DECODERS
