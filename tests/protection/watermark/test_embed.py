import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import (
    ConfigurationError,
    UnsupportedImageError,
    WatermarkCapacityError,
    WatermarkKeyError,
)
from medseal.imaging import read, value_range
from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.watermark import embed, extract
from tests.protection.pictures import KEY, PAYLOAD, grey, picture, texture

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def scaled(low, high, dtype, *, seed=0, rows=256, columns=300):
    return np.rint(texture(rows, columns, seed=seed) * (high - low) + low).astype(dtype)


KINDS = {
    "8 bit": grey,
    "10 bit": lambda: picture(scaled(0, 1023, np.uint16), bits=10),
    "12 bit in 16": lambda: picture(scaled(0, 4095, np.uint16), bits=12),
    "16 bit": lambda: picture(scaled(0, 65535, np.uint16)),
    "signed 12 bit": lambda: picture(scaled(-1024, 1023, np.int16), bits=12),
    "signed 16 bit": lambda: picture(scaled(-30000, 30000, np.int16)),
    "32 bit": lambda: picture(scaled(0, 2**31, np.uint32)),
    "float": lambda: picture(scaled(-1, 1, np.float64) + texture(256, 300).astype(np.float32)),
    "inverted": lambda: picture(scaled(255, 0, np.uint8), photometric="MONOCHROME1"),
    "colour": lambda: picture(
        np.stack([scaled(0, 255 - 40 * i, np.uint8) for i in range(3)], axis=2)[None],
        photometric="RGB",
    ),
    "YBR": lambda: picture(
        np.stack([scaled(0, 255, np.uint8, seed=i) for i in range(3)], axis=2)[None],
        photometric="YBR_FULL",
    ),
    "odd size": lambda: picture(scaled(0, 255, np.uint8, rows=257, columns=311)),
    "wide": lambda: picture(scaled(0, 255, np.uint8, rows=100, columns=900)),
    "volume": lambda: picture(
        np.stack([scaled(0, 4095, np.uint16, seed=i) for i in range(3)])[..., None], bits=12
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_payload_comes_back_and_quality_holds(kind):
    cover = KINDS[kind]()
    marked = embed(cover, PAYLOAD, KEY)
    found = extract(marked, KEY)
    assert found.detected
    assert found.payload == PAYLOAD
    low, high = value_range(cover)
    for before, after in zip(cover.stored_values, marked.stored_values, strict=True):
        assert psnr(before, after, data_range=high - low) >= 45.0
    assert marked.stored_values.dtype == cover.stored_values.dtype
    least, most = cover.storable_range
    assert marked.stored_values.min() >= least
    assert marked.stored_values.max() <= most


def test_structural_similarity_of_an_image_of_ordinary_size():
    cover = grey(512, 448)
    marked = embed(cover, PAYLOAD, KEY)
    likeness = ssim(cover.stored_values[0], marked.stored_values[0], data_range=255)
    assert likeness >= 0.99


def test_flat_air_is_left_alone():
    cover = grey(400, 400)
    marked = embed(cover, PAYLOAD, KEY)
    row, column = np.ogrid[-1:1:400j, -1:1:400j]
    air = np.hypot(row, column) > 0.93
    assert np.array_equal(marked.stored_values[0, air], cover.stored_values[0, air])


def test_the_same_input_gives_the_same_copy_and_another_payload_another():
    cover = grey()
    one, two = embed(cover, PAYLOAD, KEY), embed(cover, PAYLOAD, KEY)
    assert np.array_equal(one.stored_values, two.stored_values)
    other = embed(cover, b"release2", KEY)
    assert not np.array_equal(one.stored_values, other.stored_values)
    assert extract(other, KEY).payload == b"release2"


def test_chroma_is_left_alone():
    cover = KINDS["YBR"]()
    marked = embed(cover, PAYLOAD, KEY)
    assert np.array_equal(marked.stored_values[..., 1:], cover.stored_values[..., 1:])
    rgb = KINDS["colour"]()
    change = embed(rgb, PAYLOAD, KEY).stored_values.astype(int) - rgb.stored_values
    inside = (rgb.stored_values > 20).all(axis=3) & (rgb.stored_values < 235).all(axis=3)
    assert np.array_equal(change[inside][:, 0], change[inside][:, 1])
    assert np.array_equal(change[inside][:, 0], change[inside][:, 2])


def test_an_alpha_channel_is_left_alone():
    values = np.stack([scaled(0, 255, np.uint8)] * 3 + [scaled(0, 255, np.uint8, seed=9)], axis=2)
    cover = picture(values[None], photometric="RGBA")
    marked = embed(cover, PAYLOAD, KEY)
    assert np.array_equal(marked.stored_values[..., 3], cover.stored_values[..., 3])
    assert extract(marked, KEY).payload == PAYLOAD


def test_each_frame_alone_leads_to_the_record():
    marked = embed(KINDS["volume"](), PAYLOAD, KEY)
    for frame in marked.stored_values:
        alone = marked.with_stored_values(frame[None].copy())
        assert extract(alone, KEY).payload == PAYLOAD


def test_an_empty_slice_does_not_hinder_the_others():
    values = np.stack([np.zeros((256, 300), np.uint8), scaled(0, 255, np.uint8)] * 2)[..., None]
    cover = picture(values)
    marked = embed(cover, PAYLOAD, KEY)
    assert np.array_equal(marked.stored_values[0], cover.stored_values[0])
    assert extract(marked, KEY).payload == PAYLOAD


@given(
    psnr_db=st.floats(40, 52),
    seed=st.integers(0, 2**32 - 1),
    payload=st.binary(min_size=8, max_size=8),
)
@settings(max_examples=5, deadline=None)
def test_any_payload_at_any_quality(psnr_db, seed, payload):
    cover = grey(300, 320, seed=seed)
    marked = embed(cover, payload, KEY, psnr_db=psnr_db)
    assert psnr(cover.stored_values, marked.stored_values, data_range=255) >= psnr_db
    assert extract(marked, KEY).payload == payload


def test_values_outside_the_storable_range_and_not_numbers_stay():
    values = texture(256, 300).astype(np.float32)
    values[100:103, 100:103] = np.nan
    values[50, 50] = np.inf
    marked = embed(picture(values), PAYLOAD, KEY)
    kept = ~np.isfinite(values)
    assert np.array_equal(marked.stored_values[0, kept, 0], values[kept], equal_nan=True)
    assert extract(marked, KEY).payload == PAYLOAD


@pytest.mark.parametrize(
    ("cover", "error", "message"),
    [
        (picture(np.full((256, 256), 7, np.uint8)), WatermarkCapacityError, "too flat"),
        (picture(np.full((256, 256), 7.0)), WatermarkCapacityError, "constant|too flat"),
        (grey(63, 300), WatermarkCapacityError, "below 64 x 64 .* this is 63 x 300"),
        (
            picture(scaled(0, 255, np.uint8), photometric="PALETTE COLOR"),
            UnsupportedImageError,
            "palette indices cannot carry",
        ),
        (
            picture((np.indices((256, 256)).sum(axis=0) // 128 * 60).astype(np.uint8)),
            WatermarkCapacityError,
            "too small or too flat|too flat to carry",
        ),
    ],
)
def test_what_cannot_carry_a_mark_is_refused(cover, error, message):
    with pytest.raises(error, match=message):
        embed(cover, PAYLOAD, KEY)


@pytest.mark.parametrize("psnr_db", [29.9, 70.1, float("nan")])
def test_a_quality_out_of_range_is_refused(psnr_db):
    with pytest.raises(ConfigurationError, match="psnr_db lies between 30 and 70"):
        embed(grey(), PAYLOAD, KEY, psnr_db=psnr_db)


def test_keys_and_payloads_of_the_wrong_length_are_refused():
    with pytest.raises(WatermarkKeyError, match="key has 32 bytes"):
        embed(grey(), PAYLOAD, KEY[:-1])
    with pytest.raises(WatermarkKeyError, match="payload has 8 bytes"):
        embed(grey(), PAYLOAD[:-1], KEY)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "examples_overlay.dcm", "JPEG2000.dcm", "693_J2KI.dcm"]
)
def test_packaged_dicom_images(name):
    cover = read(PYDICOM_FILES / name)
    marked = embed(cover, PAYLOAD, KEY)
    low, high = value_range(cover)
    for before, after in zip(cover.stored_values, marked.stored_values, strict=True):
        assert psnr(before, after, data_range=high - low) >= 45.0
    assert extract(marked, KEY).payload == PAYLOAD


def test_large_frames_take_no_more_than_their_share_of_time():
    small, large = grey(512, 512), grey(2048, 2048)

    def seconds(cover):
        start = time.process_time()
        embed(cover, PAYLOAD, KEY)
        return time.process_time() - start

    seconds(small)
    # Sixteen times the places; a generous factor for a busy machine and cold caches.
    assert seconds(large) < 4 * 16 * max(seconds(small), seconds(small))
