"""The hybrid: exact as far as it can be corrected, approximate on demand beyond."""

import dataclasses
import warnings

import cv2
import numpy as np
import pytest

from medseal.errors import CipherChannelError, CipherHeaderError
from medseal.metrics.image_quality import psnr
from medseal.protection.encryption.channel import (
    ApproximateImageWarning,
    decode,
    decode_with_report,
    encode,
)
from medseal.protection.encryption.channel_hybrid import Below
from medseal.protection.encryption.channel_layout import Layout
from medseal.protection.encryption.cipher_image import CipherImage
from tests.protection.encryption.test_channel import KEY, damaged, jpeg, picture, same


@pytest.fixture(scope="module")
def sent() -> CipherImage:
    return encode(picture((1, 96, 90, 1)), KEY, hybrid=True)


def worse(cipher: CipherImage) -> CipherImage:
    """Noise in the digital part alone: it lies above."""
    rows = Layout.from_header(cipher.header).rows
    noise = np.random.default_rng(1).normal(0, 80, (rows, cipher.stored_values.shape[2]))

    def change(plane: np.ndarray) -> np.ndarray:
        return np.concatenate([plane[:rows] + noise, jpeg(90)(plane[rows:])])

    return damaged(cipher, change)


def test_it_has_both_parts(sent: CipherImage) -> None:
    layout = Layout.from_header(sent.header)
    assert layout.below is not None
    assert sent.stored_values.shape == (1, *layout.sides, 1)
    assert layout.below.sides == (96, 96)


def test_it_is_exact_as_the_digital_form_is(sent: CipherImage) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found, report = decode_with_report(damaged(sent, jpeg(70)), KEY, allow_approximate=True)
    assert same(found, picture((1, 96, 90, 1)))
    assert report.is_exact


def test_beyond_it_is_refused_unless_asked_for(sent: CipherImage) -> None:
    with pytest.raises(CipherChannelError, match="approximate image"):
        decode(worse(sent), KEY)


def test_beyond_it_is_approximate_and_says_so(sent: CipherImage) -> None:
    with pytest.warns(ApproximateImageWarning, match="no tag vouches"):
        found, report = decode_with_report(worse(sent), KEY, allow_approximate=True)
    plain = picture((1, 96, 90, 1))
    assert not report.is_exact
    assert report.corrected_bits == 0
    assert found.stored_values.shape == plain.stored_values.shape
    assert (
        psnr(plain.stored_values[0, :, :, 0], found.stored_values[0, :, :, 0], data_range=255) > 30
    )


def test_a_plain_digital_form_stays_refused() -> None:
    cipher = encode(picture(), KEY)
    blurred = damaged(cipher, lambda plane: cv2.GaussianBlur(plane, (0, 0), 1.5))
    with pytest.raises(CipherChannelError, match="cannot be corrected"):
        decode(blurred, KEY, allow_approximate=True)


def test_the_fields_of_the_analog_part_are_strict(sent: CipherImage) -> None:
    below = Layout.from_header(sent.header).below
    assert below is not None
    data = below.to_bytes()
    assert Below.from_bytes(data) == below
    with pytest.raises(CipherHeaderError, match="is cut"):
        Below.from_bytes(data[:20])
    with pytest.raises(CipherHeaderError, match="cannot be"):
        Below.from_bytes(bytes(len(data)))


def test_another_width_is_refused(sent: CipherImage) -> None:
    layout = Layout.from_header(sent.header)
    other = dataclasses.replace(layout, rows=8 * layout.rows, columns=layout.columns - 8)
    header = dataclasses.replace(sent.header, parameters=other.to_bytes()).with_tag(KEY)
    with pytest.raises(CipherHeaderError, match="differ in width"):
        decode(CipherImage(stored_values=sent.stored_values, header=header), KEY)
