import cv2
import numpy as np
import pytest

from medseal.imaging.lungs import lung_region
from medseal.imaging.preprocess import PreprocessConfig, standardise


def chest(*, lungs=True):
    """A bright body on black with two dark ellipses, rows 60-170, columns 50-100 and 125-175."""
    image = np.zeros((224, 224), np.uint8)
    image[10:, 20:204] = 190
    if lungs:
        for column in (75, 150):
            cv2.ellipse(image, (column, 115), (25, 55), 0, 0, 360, 90, cv2.FILLED)
    noise = np.random.default_rng(2).integers(-6, 7, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def assert_box(region, expected, tolerance):
    found = np.array([region.top, region.bottom, region.left, region.right])
    assert np.abs(found - np.array(expected)).max() <= tolerance, found


def test_box_round_both_lungs_with_its_margin():
    assert_box(lung_region(chest()), (49, 181, 42, 183), 8)


def test_letters_and_a_frame_do_not_move_the_box():
    image = chest()
    cv2.putText(image, "R", (24, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 255, 2)
    image[:3], image[-3:] = 255, 255
    assert_box(lung_region(image), (49, 181, 42, 183), 8)


def test_large_and_squeezed_copies_give_the_same_box():
    large = cv2.resize(chest(), (672, 896), interpolation=cv2.INTER_LINEAR)
    assert_box(lung_region(large), np.array([49 * 4, 181 * 4, 42 * 3, 183 * 3]), 32)


@pytest.mark.parametrize("image", [chest(lungs=False), np.full((224, 224), 90, np.uint8)])
def test_a_usual_box_where_no_lungs_are_seen(image):
    assert_box(lung_region(image), (11, 195, 21, 203), 1)


def test_an_image_of_one_point_is_kept():
    assert_box(lung_region(np.zeros((1, 1), np.uint8)), (0, 1, 0, 1), 0)


def test_preprocessing_cuts_the_lungs_out():
    image = chest()
    config = PreprocessConfig(rows=96, columns=96, crop="lungs")
    region = lung_region(image)
    whole = PreprocessConfig(rows=96, columns=96)
    expected = standardise(region.cut(image), config=whole)
    np.testing.assert_array_equal(standardise(image, config=config), expected)
