import numpy as np
import pytest

from medseal.protection.attacks import filters
from tests.protection.pictures import texture

FILTERS = {
    "gaussian_noise": lambda p: filters.gaussian_noise(p, sigma=4, rng=rng()),
    "salt_and_pepper": lambda p: filters.salt_and_pepper(p, share=0.02, rng=rng()),
    "blur": lambda p: filters.blur(p, sigma=1),
    "median": lambda p: filters.median(p, size=3),
    "sharpen": lambda p: filters.sharpen(p, sigma=1, amount=1),
    "motion_blur": lambda p: filters.motion_blur(p, length=7, degrees=30),
    "bilateral": lambda p: filters.bilateral(p, sigma_levels=12, sigma_pixels=2),
    "non_local_means": lambda p: filters.non_local_means(p, strength=6),
}
SMOOTHING = ("blur", "median", "motion_blur", "bilateral", "non_local_means")


def rng():
    return np.random.default_rng(5)


def plane(*, colour=False):
    layers = [texture(96, 80, seed=s) * 255 for s in range(3)]
    return (np.stack(layers, axis=2) if colour else layers[0]).astype(np.float32)


def detail(levels):
    return float(np.mean(np.diff(levels, axis=0) ** 2) + np.mean(np.diff(levels, axis=1) ** 2))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", FILTERS)
def test_shape_type_and_the_same_result_again(name, colour):
    levels = plane(colour=colour)
    before = levels.copy()
    one, two = FILTERS[name](levels), FILTERS[name](levels)
    assert one.dtype == np.float32
    assert one.shape == levels.shape
    assert np.array_equal(one, two)
    assert np.array_equal(levels, before)
    assert not np.array_equal(one, levels)


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", SMOOTHING)
def test_smoothing_takes_detail_and_keeps_the_mean(name, colour):
    flat = np.full_like(plane(colour=colour), 120)
    noisy = filters.gaussian_noise(flat, sigma=5, rng=rng())
    smooth = FILTERS[name](noisy)
    assert detail(smooth) < 0.5 * detail(noisy)
    assert smooth.mean() == pytest.approx(120, abs=0.5)


def test_sharpening_adds_detail():
    assert detail(FILTERS["sharpen"](plane())) > 1.5 * detail(plane())


def test_noise_has_its_deviation():
    noisy = filters.gaussian_noise(np.full((300, 300), 9, np.float32), sigma=5, rng=rng())
    assert noisy.std() == pytest.approx(5, rel=0.02)
    assert noisy.mean() == pytest.approx(9, abs=0.1)


def test_salt_and_pepper_hit_all_samples_of_a_place():
    strewn = filters.salt_and_pepper(np.full((300, 300, 3), 9, np.float32), share=0.1, rng=rng())
    assert np.mean(strewn[:, :, 0] == 0) == pytest.approx(0.05, abs=0.005)
    assert np.mean(strewn[:, :, 0] == 255) == pytest.approx(0.05, abs=0.005)
    assert np.array_equal(strewn[:, :, 0], strewn[:, :, 2])


def test_motion_smears_along_its_line_only():
    dot = np.zeros((31, 31), np.float32)
    dot[15, 15] = 70
    along_columns = filters.motion_blur(dot, length=7, degrees=0)
    assert along_columns[15, 12:19] == pytest.approx(10, abs=1e-4)
    assert along_columns.sum() == pytest.approx(70, abs=1e-3)
    along_rows = filters.motion_blur(dot, length=7, degrees=90)
    assert along_rows[12:19, 15] == pytest.approx(10, abs=0.1)


def test_a_bilateral_filter_keeps_an_edge():
    edge = np.where(np.arange(40) < 20, 50, 200) * np.ones((40, 1))
    levels = filters.gaussian_noise(edge.astype(np.float32), sigma=4, rng=rng())
    smooth = filters.bilateral(levels, sigma_levels=12, sigma_pixels=2)
    assert smooth[:, 19].mean() < 55
    assert smooth[:, 20].mean() > 195
