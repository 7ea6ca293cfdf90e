"""psnr and ssim against their definitions and against scikit-image."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.metrics import structural_similarity

from medseal.errors import ImageMismatchError, InputError
from medseal.metrics.image_quality import psnr, ssim


def _pair(shape, dtype, high, noise, seed):
    rng = np.random.default_rng(seed)
    first = rng.integers(0, high, shape)
    second = np.clip(first + rng.normal(0, noise, shape), 0, high - 1)
    return first.astype(dtype), second.astype(dtype)


def test_psnr_of_a_known_error():
    first = np.zeros((4, 4), np.uint8)
    second = np.full((4, 4), 5, np.uint8)
    assert psnr(first, second, data_range=255) == pytest.approx(20 * math.log10(255 / 5))


def test_psnr_of_unsigned_values_does_not_wrap():
    first, second = np.array([[0]], np.uint8), np.array([[255]], np.uint8)
    assert psnr(first, second, data_range=255) == 0.0
    assert psnr(second, first, data_range=255) == 0.0


def test_equal_images():
    first, _ = _pair((16, 16), np.int16, 4096, 0, 0)
    assert psnr(first, first, data_range=4095) == math.inf
    assert ssim(first, first, data_range=4095) == pytest.approx(1.0)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(11, 40),
    columns=st.integers(11, 40),
    high=st.sampled_from([256, 4096, 65536]),
    noise=st.floats(0, 3000),
    seed=st.integers(0, 2**16),
)
def test_ssim_agrees_with_scikit_image(rows, columns, high, noise, seed):
    first, second = _pair((rows, columns), np.uint16, high, noise, seed)
    expected = structural_similarity(
        first.astype(float),
        second.astype(float),
        data_range=high - 1,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(first, second, data_range=high - 1) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_colour_is_the_mean_over_samples():
    first, second = _pair((30, 25, 3), np.uint8, 256, 20, 1)
    each = [ssim(first[..., i], second[..., i], data_range=255) for i in range(3)]
    assert ssim(first, second, data_range=255) == pytest.approx(np.mean(each))
    assert 0.0 < np.mean(each) < 0.999


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_mismatch_is_refused(metric):
    first = np.zeros((12, 12), np.uint8)
    with pytest.raises(ImageMismatchError, match="one shape and dtype"):
        metric(first, np.zeros((12, 13), np.uint8), data_range=255)
    with pytest.raises(ImageMismatchError, match="one shape and dtype"):
        metric(first, first.astype(np.uint16), data_range=255)
    with pytest.raises(ImageMismatchError, match="without values"):
        metric(first[:0], first[:0], data_range=255)
    with pytest.raises(InputError, match="positive"):
        metric(first, first, data_range=0)


def test_ssim_needs_a_whole_window():
    small = np.zeros((10, 40), np.uint8)
    with pytest.raises(ImageMismatchError, match="11 x 11"):
        ssim(small, small, data_range=255)
