import time
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.errors import (
    ConfigurationError,
    UnsupportedImageError,
    WatermarkCapacityError,
    WatermarkKeyError,
)
from medseal.imaging import read, value_range
from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.attacks.distortions import jpeg
from medseal.protection.watermark import embed, extract
from medseal.protection.watermark.quantisation import CANDIDATES
from tests.protection.pictures import KEY, PAYLOAD, grey, loud, picture, texture

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
    "float": lambda: picture(texture(256, 300).astype(np.float32) * 7 - 3),
    "double": lambda: picture(texture(256, 300) * 1e-5),
    "inverted": lambda: picture(scaled(255, 0, np.uint8), photometric="MONOCHROME1"),
    "colour": lambda: picture(
        np.stack([scaled(0, 255 - 40 * i, np.uint8) for i in range(3)], axis=2)[None],
        photometric="RGB",
    ),
    "YBR": lambda: picture(
        np.stack([scaled(0, 255, np.uint8, seed=i) for i in range(3)], axis=2)[None],
        photometric="YBR_FULL",
    ),
    "steps": lambda: picture((np.indices((256, 256)).sum(axis=0) // 128 * 60).astype(np.uint8)),
    "odd size": lambda: picture(scaled(0, 255, np.uint8, rows=257, columns=311)),
    "wide": lambda: picture(scaled(0, 255, np.uint8, rows=100, columns=900)),
    "volume": lambda: picture(
        np.stack([scaled(0, 4095, np.uint16, seed=i) for i in range(3)])[..., None], bits=12
    ),
}


def check_limits(cover, marked, *, least_ssim):
    """Check what is promised of every frame."""
    assert marked.stored_values.dtype == cover.stored_values.dtype
    assert marked.stored_values.shape == cover.stored_values.shape
    least, most = cover.storable_range
    assert least <= marked.stored_values.min() <= marked.stored_values.max() <= most
    low, high = value_range(cover)
    for before, after in zip(cover.stored_values, marked.stored_values, strict=True):
        assert psnr(before, after, data_range=high - low) >= 45.0
        # As levels: similarity depends on where black lies.
        pair = (values[..., :3].astype(np.float64) - low for values in (before, after))
        assert ssim(*pair, data_range=high - low) >= least_ssim


@pytest.mark.parametrize("kind", KINDS)
def test_the_payload_comes_back_and_quality_holds(kind):
    cover = KINDS[kind]()
    marked = embed(cover, PAYLOAD, KEY)
    # Below a long side of 384 similarity may give way, in two steps.
    check_limits(cover, marked, least_ssim=0.95 if max(cover.rows, cover.columns) < 384 else 0.99)
    found = extract(marked, KEY)
    assert found.detected
    assert found.payload == PAYLOAD


@pytest.mark.parametrize(
    ("size", "bits"),
    [((512, 448), 8), ((384, 200), 8), ((700, 900), 8), ((512, 448), 12), ((384, 200), 12)],
)
def test_similarity_of_images_of_ordinary_size(size, bits):
    values = scaled(0, 2**bits - 1, np.uint16, rows=size[0], columns=size[1])
    cover = picture(values, bits=bits)
    marked = embed(cover, PAYLOAD, KEY)
    check_limits(cover, marked, least_ssim=0.99)
    assert extract(marked, KEY).payload == PAYLOAD


@pytest.mark.parametrize("make", [mr_phantom, ct_phantom])
def test_phantoms_of_two_frames(make):
    cover = make(generator=np.random.default_rng(2), rows=384, columns=384, frames=2)
    marked = embed(cover, PAYLOAD, KEY)
    check_limits(cover, marked, least_ssim=0.99)
    assert extract(marked, KEY).payload == PAYLOAD


def test_similarity_of_signed_values():
    cover = picture(np.rint(texture(640, 512, seed=3) * 3000 - 1500).astype(np.int16))
    marked = embed(cover, PAYLOAD, KEY)
    check_limits(cover, marked, least_ssim=0.99)
    assert extract(marked, KEY).payload == PAYLOAD


def test_what_is_allowed_is_used():
    cover = grey(512, 448)
    marked = embed(cover, PAYLOAD, KEY)
    pair = cover.stored_values[0], marked.stored_values[0]
    assert psnr(*pair, data_range=255) < 45.3 or ssim(*pair, data_range=255) < 0.991


@pytest.mark.parametrize("seed", range(2))
def test_what_is_far_louder_than_the_mark_bears_it_too(seed):
    cover = loud(400, 448, seed=seed)
    marked = embed(cover, PAYLOAD, KEY)
    check_limits(cover, marked, least_ssim=0.99)
    for copy in (marked, jpeg(marked, quality=60)):
        assert extract(copy, KEY).payload == PAYLOAD
    assert not extract(cover, KEY).detected


def test_frames_are_marked_as_each_needs_it():
    values = np.concatenate([grey(384, 384).stored_values, loud(384, 384).stored_values])
    cover = picture(values)
    marked = embed(cover, PAYLOAD, KEY)
    check_limits(cover, marked, least_ssim=0.99)
    counts = []
    for frame in marked.stored_values:
        found = extract(marked.with_stored_values(frame[None].copy()), KEY)
        assert found.payload == PAYLOAD
        counts.append(found.false_positive_rate * 2**32)
    # The first is read by the spread mark, the second by the quantised one.
    assert counts[0] <= 6
    assert counts[1] > CANDIDATES


def test_flat_air_is_left_alone():
    cover = grey(400, 400)
    marked = embed(cover, PAYLOAD, KEY)
    row, column = np.ogrid[-1:1:400j, -1:1:400j]
    # Windows of similarity and of the reader reach beyond the edge.
    air = np.hypot(row, column) > 0.95
    assert np.array_equal(marked.stored_values[0, air], cover.stored_values[0, air])


def test_the_same_input_gives_the_same_copy_and_another_payload_another():
    cover = grey()
    one, two = embed(cover, PAYLOAD, KEY), embed(cover, PAYLOAD, KEY)
    assert np.array_equal(one.stored_values, two.stored_values)
    other = embed(cover, b"release2", KEY)
    assert not np.array_equal(one.stored_values, other.stored_values)
    assert extract(other, KEY).payload == b"release2"


def test_the_chroma_of_ybr_is_left_alone():
    cover = KINDS["YBR"]()
    marked = embed(cover, PAYLOAD, KEY)
    assert np.array_equal(marked.stored_values[..., 1:], cover.stored_values[..., 1:])


def test_of_rgb_the_samples_that_hide_most_bear_most():
    # Blue is even, red and green are not.
    planes = [scaled(0, 255, np.uint8, seed=1), scaled(0, 255, np.uint8, seed=2)]
    smooth = np.rint(60 * (texture(256, 300) > 0) * np.linspace(0.5, 1, 300)).astype(np.uint8)
    cover = picture(np.stack([*planes, smooth], axis=2)[None], photometric="RGB")
    marked = embed(cover, PAYLOAD, KEY)
    change = marked.stored_values.astype(int) - cover.stored_values
    red, green, blue = (change**2).mean(axis=(0, 1, 2))
    assert min(red, green) > 3 * blue
    assert extract(marked, KEY).payload == PAYLOAD


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
    psnr_db=st.floats(40, 47),
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


def noise(*size, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, 255, size).astype(dtype)


@pytest.mark.parametrize(
    ("cover", "error", "message"),
    [
        (lambda: picture(np.full((256, 256), 7, np.uint8)), WatermarkCapacityError, "too flat"),
        (lambda: picture(np.zeros((256, 256), np.int16)), WatermarkCapacityError, "too flat"),
        (lambda: picture(np.full((256, 256), 7.0)), WatermarkCapacityError, "too flat"),
        (lambda: picture(np.full((256, 256), np.nan)), WatermarkCapacityError, "too flat"),
        (lambda: picture(np.full((256, 256), np.inf)), WatermarkCapacityError, "too flat"),
        (
            lambda: picture(np.where(np.indices((256, 256))[0] < 128, 0, 255).astype(np.uint8)),
            WatermarkCapacityError,
            "too flat or too small",
        ),
        (lambda: picture(noise(63, 300)), WatermarkCapacityError, "63 x 300 is too small"),
        (lambda: picture(noise(300, 63)), WatermarkCapacityError, "300 x 63 .* is 64 x 64"),
        (lambda: picture(noise(1, 1)), WatermarkCapacityError, "1 x 1 is too small"),
        (
            lambda: picture(noise(256, 256), photometric="PALETTE COLOR"),
            UnsupportedImageError,
            "palette indices cannot carry",
        ),
    ],
    ids=[
        "constant",
        "zero",
        "constant float",
        "not a number",
        "infinite",
        "two halves",
        "few rows",
        "few columns",
        "one value",
        "palette",
    ],
)
def test_what_cannot_carry_a_mark_is_refused(cover, error, message):
    with pytest.raises(error, match=message):
        embed(cover(), PAYLOAD, KEY)


def test_a_saturated_image_bears_the_mark_between_its_extremes():
    values = np.clip(texture(384, 360) * 400 - 80, 0, 255).astype(np.uint8)
    cover = picture(values)
    assert ((values == 0) | (values == 255)).mean() > 0.35
    marked = embed(cover, PAYLOAD, KEY)
    check_limits(cover, marked, least_ssim=0.99)
    assert extract(marked, KEY).payload == PAYLOAD


@pytest.mark.parametrize("psnr_db", [29.9, 70.1, float("nan")])
def test_a_quality_out_of_range_is_refused(psnr_db):
    with pytest.raises(ConfigurationError, match="psnr_db must lie between 30 and 70"):
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
