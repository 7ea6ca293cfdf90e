import numpy as np
import pytest

from medseal.errors import InputError
from medseal.imaging import value_range
from medseal.metrics.image_quality import psnr
from medseal.protection.attacks import distortions
from tests.protection.pictures import grey, picture, texture


def twelve_bit(rows=120, columns=90, frames=2):
    values = np.stack([texture(rows, columns, seed=s) for s in range(frames)])
    return picture(np.rint(values * 3000 + 400).astype(np.uint16)[..., None], bits=12)


def signed():
    return picture(np.rint(texture(100, 80) * 3000 - 1500).astype(np.int16), bits=12)


def colour():
    values = np.stack([texture(96, 110, seed=s) * 255 for s in range(3)], axis=2)
    return picture(values.astype(np.uint8)[None], photometric="RGB")


def rng():
    return np.random.default_rng(7)


IN_STORED_VALUES = {
    "noise": lambda i: distortions.gaussian_noise(i, sigma=3, rng=rng()),
    "salt and pepper": lambda i: distortions.salt_and_pepper(i, share=0.05, rng=rng()),
    "blur": lambda i: distortions.blur(i, sigma=1.5),
    "median": lambda i: distortions.median(i, size=3),
    "rotate": lambda i: distortions.rotate(i, degrees=4),
    "brightness": lambda i: distortions.brightness(i, share=0.1),
    "contrast": lambda i: distortions.contrast(i, factor=0.8),
    "gamma": lambda i: distortions.gamma(i, exponent=0.8),
    "JPEG 2000": lambda i: distortions.jpeg2000(i, psnr_db=40),
}
SHOWN = {
    "JPEG": lambda i: distortions.jpeg(i, quality=60),
    "window": lambda i: distortions.window_to_8_bit(i, low=0.1, high=0.9),
}


@pytest.mark.parametrize("make", [grey, twelve_bit, signed, colour])
@pytest.mark.parametrize("name", IN_STORED_VALUES)
def test_stored_values_stay_what_they_are(name, make):
    image = make()
    result = IN_STORED_VALUES[name](image)
    assert result.stored_values.shape == image.stored_values.shape
    assert result.stored_values.dtype == image.stored_values.dtype
    assert result.bits_stored == image.bits_stored
    least, most = image.storable_range
    assert result.stored_values.min() >= least
    assert result.stored_values.max() <= most
    assert not np.array_equal(result.stored_values, image.stored_values)


@pytest.mark.parametrize("make", [grey, twelve_bit, signed, colour])
@pytest.mark.parametrize("name", SHOWN)
def test_what_a_viewer_shows_has_8_bits(name, make):
    image = make()
    result = SHOWN[name](image)
    assert result.stored_values.dtype == np.uint8
    assert result.stored_values.shape == image.stored_values.shape
    assert result.bits_stored == 8
    assert not result.is_signed


def test_strength_means_the_same_at_every_bit_depth():
    for image in (grey(200, 200), twelve_bit(200, 200, 1)):
        low, high = value_range(image)
        noisy = distortions.gaussian_noise(image, sigma=5, rng=rng())
        inside = (image.stored_values > low + (high - low) / 4) & (
            image.stored_values < high - (high - low) / 4
        )
        change = noisy.stored_values.astype(float) - image.stored_values
        assert np.std(change[inside]) / (high - low) * 255 == pytest.approx(5, rel=0.05)


def test_lower_jpeg_quality_is_worse():
    image = grey()
    values = [
        psnr(image.stored_values, distortions.jpeg(image, quality=q).stored_values, data_range=255)
        for q in (95, 75, 50, 20)
    ]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1] + 5


def test_jpeg_2000_reaches_its_signal_to_noise_ratio():
    for image in (grey(), signed()):
        copy = distortions.jpeg2000(image, psnr_db=40)
        span = image.storable_range[1] - image.storable_range[0]
        assert psnr(image.stored_values, copy.stored_values, data_range=span) > 36


def test_jpeg_2000_refuses_floats():
    with pytest.raises(InputError, match="whole numbers of at most 16 bits"):
        distortions.jpeg2000(picture(texture(64, 64)), psnr_db=40)


def test_the_share_of_salt_and_pepper():
    image = picture(np.full((300, 300), 100, np.uint8))
    strewn = distortions.salt_and_pepper(image, share=0.1, rng=rng()).stored_values
    assert np.mean(strewn != 100) == pytest.approx(0.1, abs=0.01)
    assert set(np.unique(strewn)) == {0, 100, 255}


def test_geometry():
    image = twelve_bit(120, 90)
    assert distortions.resize(image, factor=0.5).stored_values.shape == (2, 60, 45, 1)
    assert distortions.resize_to(image, rows=50, columns=200).stored_values.shape[1:3] == (50, 200)
    part = distortions.crop(image, top=10, left=20, rows=30, columns=40)
    assert np.array_equal(part.stored_values, image.stored_values[:, 10:40, 20:60])
    once = distortions.quarter_turn(image, turns=1)
    assert np.array_equal(once.stored_values[1, :, :, 0], np.rot90(image.stored_values[1, :, :, 0]))
    assert np.array_equal(
        distortions.quarter_turn(once, turns=3).stored_values, image.stored_values
    )
    for axis in ("rows", "columns"):
        twice = distortions.flip(distortions.flip(image, axis=axis), axis=axis)
        assert np.array_equal(twice.stored_values, image.stored_values)


@pytest.mark.parametrize(
    ("top", "left", "rows", "columns"),
    [(-1, 0, 5, 5), (0, 0, 0, 5), (100, 0, 21, 5), (0, 85, 5, 6)],
)
def test_a_crop_outside_is_refused(top, left, rows, columns):
    with pytest.raises(InputError, match="does not lie inside the image"):
        distortions.crop(twelve_bit(), top=top, left=left, rows=rows, columns=columns)


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match="mirrored along 'rows' or 'columns'"):
        distortions.flip(grey(), axis="depth")


def test_the_same_generator_gives_the_same_noise():
    one, two = (distortions.gaussian_noise(grey(), sigma=4, rng=rng()) for _ in range(2))
    assert np.array_equal(one.stored_values, two.stored_values)


def test_an_expanded_rotation_keeps_the_corners():
    values = np.zeros((40, 60), np.uint8)
    values[:6, :6] = 255
    turned = distortions.rotate_expanded(picture(values), degrees=6)
    assert turned.rows > 40
    assert turned.columns > 60
    assert 30 <= (turned.stored_values > 127).sum() <= 42
