"""The digital form: exact after a lossy channel, or refused."""

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from medseal.errors import (
    CipherChannelError,
    CipherHeaderError,
    CipherIntegrityError,
    CipherKeyError,
    ConfigurationError,
    ImageMismatchError,
    UnsupportedImageError,
)
from medseal.imaging import MedicalImage
from medseal.protection.encryption import channel
from medseal.protection.encryption.channel import decode, decode_with_report, encode
from medseal.protection.encryption.channel_layout import Layout
from medseal.protection.encryption.cipher_image import CipherHeader, CipherImage

Change = Callable[[np.ndarray], np.ndarray]
KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))


def picture(
    shape: tuple[int, int, int, int] = (1, 96, 96, 1), kind: str = "u1", bits: int = 8
) -> MedicalImage:
    """A smooth picture with a little noise."""
    rng = np.random.default_rng(7)
    frames, rows, columns, samples = shape
    wave = np.sin(np.arange(rows)[:, None] / 9) + np.cos(np.arange(columns)[None] / 13)
    scaled = (wave[None, :, :, None] + 2) / 4 * (2**bits - 1) * 0.9
    noise = rng.normal(0, 2 ** (bits - 8), (frames, rows, columns, samples))
    values = np.clip(scaled + noise, 0, 2**bits - 1)
    signed = kind.startswith("i")
    values = values - 2 ** (bits - 1) if signed else values
    return MedicalImage(
        stored_values=values.astype(kind),
        bits_stored=bits,
        is_signed=signed,
        photometric_interpretation="RGB" if samples == 3 else "MONOCHROME2",
        source_format="png",
        decoder="test",
    )


def damaged(cipher: CipherImage, change: Change) -> CipherImage:
    plane = cipher.stored_values[0, :, :, 0]
    return cipher.with_values(np.clip(np.rint(change(plane)), 0, 255).astype(np.uint8))


def jpeg(quality: int) -> Change:
    def change(plane: np.ndarray) -> np.ndarray:
        _, data = cv2.imencode(".jpg", plane, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))

    return change


def same(image: MedicalImage, other: MedicalImage) -> bool:
    return (
        image.stored_values.dtype == other.stored_values.dtype
        and np.array_equal(image.stored_values, other.stored_values)
        and image.bits_stored == other.bits_stored
        and image.photometric_interpretation == other.photometric_interpretation
    )


@pytest.mark.parametrize(
    ("shape", "kind", "bits"),
    [
        ((1, 96, 96, 1), "u1", 8),
        ((1, 16, 16, 1), "u1", 8),
        ((1, 1, 1, 1), "u1", 1),
        ((1, 40, 70, 3), "u1", 8),
        ((3, 30, 20, 1), "u2", 12),
        ((1, 64, 64, 1), "i2", 16),
        ((2, 20, 20, 4), "i1", 8),
    ],
)
@pytest.mark.parametrize("quality", [50, 70])
def test_every_kind_of_image_is_exact_at_its_quality(
    shape: tuple[int, int, int, int], kind: str, bits: int, quality: int
) -> None:
    image = picture(shape, kind, bits)
    cipher = encode(image, KEY, quality=quality)
    assert cipher.stored_values.dtype == np.uint8
    assert cipher.stored_values.shape[::3] == (1, 1)
    assert same(decode(cipher, KEY), image)
    assert same(decode(damaged(cipher, jpeg(quality)), KEY), image)


@pytest.mark.parametrize(("quality", "most"), [(30, 4.0), (50, 3.0), (70, 2.2), (95, 1.6)])
def test_room_by_quality(quality: int, most: float) -> None:
    image = picture((1, 160, 160, 1))
    cipher = encode(image, KEY, quality=quality)
    assert cipher.stored_values.size <= most * image.stored_values.size
    assert same(decode(damaged(cipher, jpeg(quality)), KEY), image)


def test_noise_and_tone() -> None:
    image = picture()
    cipher = encode(image, KEY)
    rng = np.random.default_rng(3)
    ends = rng.choice([0, 255], cipher.stored_values.shape[1:3])
    hit = rng.random(ends.shape) < 0.01
    for change in (
        lambda plane: plane + rng.normal(0, 5.1, plane.shape),
        lambda plane: np.where(hit, ends, plane),
        lambda plane: plane + 7.0,
        lambda plane: plane * 0.8 + 20,
        lambda plane: 255 * (plane / 255) ** 1.2,
    ):
        assert same(decode(damaged(cipher, change), KEY), image)


def test_a_crop_is_filled_in_and_reported() -> None:
    image = picture()
    cipher = encode(image, KEY)

    def crop(plane: np.ndarray) -> np.ndarray:
        kept = plane.copy()
        kept[: plane.shape[0] // 10] = 0
        return kept

    found, report = decode_with_report(damaged(cipher, crop), KEY)
    assert same(found, image)
    assert report.erased == pytest.approx(0.1, abs=0.03)
    assert 0.03 * report.coded_bits < report.corrected_bits < 0.2 * report.coded_bits
    assert report.is_exact


def test_a_clean_channel_needs_no_correction() -> None:
    _, report = decode_with_report(encode(picture(), KEY), KEY)
    assert report.corrected_bits == 0
    assert report.coded_bits > 0


def test_three_equal_colours_are_one_grey() -> None:
    image = picture()
    cipher = encode(image, KEY)
    colours = np.repeat(cipher.stored_values, 3, axis=3)
    back = CipherImage(stored_values=colours, header=cipher.header)
    assert same(decode(back, KEY), image)


def test_a_header_travels_as_bytes() -> None:
    image = picture()
    cipher = encode(image, KEY)
    header = CipherHeader.from_bytes(cipher.header.to_bytes())
    assert same(decode(CipherImage.from_image(cipher.to_image(), header), KEY), image)


def test_two_encodings_differ() -> None:
    first, second = encode(picture(), KEY), encode(picture(), KEY)
    assert first.header.nonce != second.header.nonce
    equal = np.mean(first.stored_values == second.stored_values)
    # As many equal values as chance gives: one in the number of levels.
    assert equal == pytest.approx(1 / len(np.unique(first.stored_values)), abs=0.05)


def test_levels_are_evenly_used() -> None:
    values = encode(picture((1, 1, 1, 1), bits=1), KEY).stored_values
    flat = encode(
        dataclasses.replace(picture(), stored_values=np.zeros((1, 96, 96, 1), np.uint8)), KEY
    )
    for found in (values, flat.stored_values):
        _, counts = np.unique(found, return_counts=True)
        assert counts.min() > 0.8 * counts.max() - 20


def test_another_key_is_refused() -> None:
    cipher = encode(picture(), KEY)
    with pytest.raises(CipherKeyError, match="does not belong"):
        decode(cipher, OTHER_KEY)
    with pytest.raises(CipherKeyError, match="32 bytes"):
        encode(picture(), b"short")


def test_too_much_damage_is_refused() -> None:
    cipher = encode(picture(), KEY)
    with pytest.raises(CipherChannelError, match="cannot be corrected"):
        decode(damaged(cipher, lambda plane: cv2.GaussianBlur(plane, (0, 0), 1.5)), KEY)
    with pytest.raises(CipherChannelError, match="cannot be corrected"):
        decode(damaged(cipher, lambda plane: plane * 0.0), KEY)


def test_another_shape_is_refused() -> None:
    cipher = encode(picture(), KEY)
    smaller = cv2.resize(cipher.stored_values[0, :, :, 0], None, fx=0.5, fy=0.5)
    back = CipherImage(stored_values=smaller[None, :, :, None], header=cipher.header)
    with pytest.raises(ImageMismatchError, match="undo scaling"):
        decode(back, KEY)
    wide = CipherImage(stored_values=cipher.stored_values.astype(np.uint16), header=cipher.header)
    with pytest.raises(ImageMismatchError, match="uint16"):
        decode(wide, KEY)


def test_pixels_of_another_cipher_image_are_refused() -> None:
    first, second = encode(picture(), KEY), encode(picture(), KEY)
    with pytest.raises(CipherIntegrityError, match="cannot be corrected"):
        decode(first.with_values(second.stored_values), KEY)


def test_a_forged_message_is_refused() -> None:
    """Levels of another sealed message, laid out with the right key's order but another seal."""
    image = picture()
    cipher = encode(image, KEY)
    layout = Layout.from_header(cipher.header)
    message = np.random.default_rng(6).bytes(layout.sealed_bytes)
    forged = channel._travelling(message, layout, KEY, cipher.header.nonce)
    with pytest.raises(CipherIntegrityError, match="other bytes than the sealed"):
        decode(cipher.with_values(forged[None, :, :, None]), KEY)


def test_an_exchanged_header_is_refused() -> None:
    cipher = encode(picture(), KEY)
    other = dataclasses.replace(cipher.header, bits_stored=7)
    with pytest.raises(CipherKeyError, match="header was exchanged"):
        decode(CipherImage(stored_values=cipher.stored_values, header=other), KEY)


@pytest.mark.parametrize(
    "parameters",
    [b"", bytes(16), b"\x01\x46\x07\x00" + bytes(12), b"\x01\x46\x02\x00" + bytes(12)],
)
def test_malformed_parameters_are_refused(parameters: bytes) -> None:
    cipher = encode(picture(), KEY)
    header = dataclasses.replace(cipher.header, parameters=parameters).with_tag(KEY)
    with pytest.raises(CipherHeaderError, match=r"form|version|room"):
        decode(CipherImage(stored_values=cipher.stored_values, header=header), KEY)


def test_bad_arguments() -> None:
    for quality in (29, 96):
        with pytest.raises(ConfigurationError, match="quality is 30 to 95"):
            encode(picture(), KEY, quality=quality)
    floating = dataclasses.replace(
        picture(),
        stored_values=np.zeros((1, 8, 8, 1), np.float32),
        bits_stored=32,
        is_signed=True,
    )
    with pytest.raises(UnsupportedImageError, match="whole numbers"):
        encode(floating, KEY)
