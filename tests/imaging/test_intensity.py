import numpy as np

from medseal.imaging.intensity import (
    balance_colour,
    difference_to_local_mean,
    equalise_locally,
    stretch,
)

EVERYWHERE = np.ones((40, 50), np.uint8)


def picture(seed=1):
    generator = np.random.default_rng(seed)
    return generator.integers(30, 170, (40, 50, 3)).astype(np.uint8)


def test_a_tint_of_the_light_is_removed():
    neutral = picture()
    tinted = np.round(neutral * np.array([1.3, 1.0, 0.7])).astype(np.uint8)
    difference = balance_colour(tinted, EVERYWHERE) - balance_colour(neutral, EVERYWHERE).astype(
        float
    )
    assert np.abs(difference).mean() < 2
    assert np.abs(tinted - neutral.astype(float)).mean() > 15


def test_light_of_black_and_one_colour_is_left_alone():
    for image in (np.zeros((40, 50, 3), np.uint8), picture() * np.array([1, 0, 0], np.uint8)):
        np.testing.assert_array_equal(balance_colour(image, EVERYWHERE), image)


def test_light_is_estimated_on_the_content():
    image = picture()
    image[:, :25] = (0, 0, 255)
    content = EVERYWHERE.copy()
    content[:, :25] = 0
    expected = balance_colour(image[:, 25:].copy(), EVERYWHERE[:, 25:].copy())
    np.testing.assert_array_equal(balance_colour(image, content)[:, 25:], expected)


def test_a_slow_shading_disappears_in_the_local_difference():
    detail = np.zeros((120, 120), np.uint8)
    detail[::8] = 20
    shading = np.linspace(20, 150, 120).astype(np.uint8)
    content = np.ones((120, 120), np.uint8)
    difference = difference_to_local_mean(detail + shading, content, sigma=10)
    columns = difference[30:90, 30:90].mean(axis=0)
    assert np.ptp(columns) < 12
    assert np.abs(columns - 128).max() < 8
    assert difference[32, 60] - difference[36, 60] > 70  # 4 times 20


def test_the_edge_of_the_content_leaves_no_halo():
    image = np.zeros((60, 60, 3), np.uint8)
    content = np.zeros((60, 60), np.uint8)
    content[15:45, 15:45] = 1
    image[15:45, 15:45] = 140
    difference = difference_to_local_mean(image, content, sigma=6)
    np.testing.assert_allclose(difference, 128, atol=0.5)


def test_stretch_by_hand():
    image = np.array([[0, 50, 100, 150, 255]], np.uint8)
    content = np.array([[0, 1, 1, 1, 0]], np.uint8)
    # Percentiles 0+ and 100-: 50 to 150 become 0 to 255.
    assert stretch(image, content, percent=1e-6).tolist() == [[0, 0, 128, 255, 255]]


def test_stretch_without_percent_or_range_only_rounds():
    values = np.array([[-3.0, 7.4, 300.0]], np.float32)
    ones = np.ones((1, 3), np.uint8)
    assert stretch(values, ones, percent=0).tolist() == [[0, 7, 255]]
    flat = np.full((1, 3), 9, np.uint8)
    assert stretch(flat, ones, percent=5).tolist() == [[9, 9, 9]]
    assert stretch(flat, 0 * ones, percent=5).tolist() == [[9, 9, 9]]


def test_stretch_removes_gain_and_offset():
    image = picture()[:, :, 0]
    other = (image * 0.5 + 20).astype(np.uint8)
    first, second = (stretch(each, EVERYWHERE, percent=1.0).astype(int) for each in (image, other))
    assert np.abs(first - second).max() <= 4


def test_local_equalisation_lifts_weak_contrast_and_keeps_hue():
    weak = (100 + picture()[:, :, 0] // 20).astype(np.uint8)
    assert equalise_locally(weak, clip_limit=4.0).std() > 2 * weak.std()
    grey = np.repeat(weak[:, :, None], 3, axis=2)
    coloured = equalise_locally(grey, clip_limit=4.0)
    assert np.ptp(coloured.astype(int), axis=2).max() <= 1
