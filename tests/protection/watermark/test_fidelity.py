import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from medseal.metrics.image_quality import ssim
from medseal.protection.watermark import fidelity
from medseal.protection.watermark.fidelity import similarity
from tests.protection.pictures import texture


def pair(rows=200, columns=180, *, amplitude=2.0, seed=0):
    rng = np.random.default_rng(seed)
    cover = (texture(rows, columns, seed=seed) * 255).astype(np.float32)
    change = rng.normal(0, amplitude, (rows, columns)).astype(np.float32)
    return cover, change * (cover > 0)


def both(cover, change):
    marked = cover.astype(np.float64) + change
    cover = cover.astype(np.float64)
    gaussian = ssim(cover, marked, data_range=255)
    _, places = structural_similarity(
        cover, marked, data_range=255, win_size=7, use_sample_covariance=False, full=True
    )
    return gaussian, float(places[5:-5, 5:-5].mean())


@pytest.mark.parametrize("amplitude", [0.3, 1.5, 8.0])
@pytest.mark.parametrize("size", [(200, 180), (64, 300), (11, 11)])
def test_it_is_the_lesser_of_both_definitions(size, amplitude):
    cover, change = pair(*size, amplitude=amplitude)
    assert similarity(cover, change) == pytest.approx(min(both(cover, change)), abs=1e-4)


def test_either_window_may_be_the_stricter():
    cover, change = pair()
    even = np.full_like(cover, 100)
    gaussian, square = both(cover, change)
    assert gaussian < square - 5e-4
    assert similarity(cover, change) == pytest.approx(gaussian, abs=1e-4)
    smooth = cv2.GaussianBlur(change * 4, (0, 0), 3)
    gaussian, square = both(even, smooth)
    assert square < gaussian - 5e-4
    assert similarity(even, smooth) == pytest.approx(square, abs=1e-4)


def test_strips_give_what_the_whole_gives(monkeypatch):
    cover, change = pair(211, 90)
    whole = similarity(cover, change)
    for rows in (17, 64, 201):
        monkeypatch.setattr(fidelity, "_STRIP_ROWS", rows)
        assert similarity(cover, change) == pytest.approx(whole, abs=1e-7)


def test_equal_images_and_louder_changes():
    cover, change = pair()
    assert similarity(cover, change * 0) == pytest.approx(1, abs=1e-6)
    louder = [similarity(cover, change * factor) for factor in (0.5, 1, 2, 4)]
    assert louder == sorted(louder, reverse=True)


def test_a_small_change_of_a_bright_image_is_not_lost_in_single_precision():
    rng = np.random.default_rng(3)
    cover = np.full((128, 128), 250, np.float32)
    change = rng.normal(0, 0.05, cover.shape).astype(np.float32)
    exact = min(both(cover, change))
    assert 1 - similarity(cover, change) == pytest.approx(1 - exact, rel=0.02)


def test_an_estimate_from_every_third_place_is_about_the_same():
    cover, change = pair(300, 280)
    whole = similarity(cover, change)
    assert 1 - similarity(cover, change, is_estimate=True) == pytest.approx(1 - whole, rel=0.3)


def test_a_line_is_too_small_for_a_window():
    assert similarity(np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)) == 0
