import numpy as np
import pytest

from medseal.classification.augment.site import COLOUR_SHIFTS, shift_names, shift_site
from medseal.errors import ConfigurationError, ImageMismatchError


def picture(colour):
    y, x = np.mgrid[:60, :90]
    grey = (60 + 80 * (np.hypot(y - 30, x - 40) < 22) + x // 3).astype(np.uint8)
    return np.stack([grey, grey // 2, grey // 3], axis=2) if colour else grey


@pytest.mark.parametrize("name", shift_names(colour=True))
@pytest.mark.parametrize("colour", [True, False])
def test_each_shift_changes_the_image_keeps_its_shape_and_is_fixed(name, colour):
    if not colour and name in COLOUR_SHIFTS:
        with pytest.raises(ImageMismatchError, match=f"{name} needs an image of three channels"):
            shift_site(picture(colour), name=name)
        return
    image = picture(colour)
    shifted = shift_site(image, name=name)
    np.testing.assert_array_equal(image, picture(colour))
    assert shifted.shape == image.shape
    assert shifted.dtype == np.uint8
    assert np.abs(shifted.astype(int) - image).mean() > 0.3
    assert np.ptp(shifted) > 20
    np.testing.assert_array_equal(shifted, shift_site(image, name=name))


@pytest.mark.parametrize("name", shift_names(colour=True))
def test_each_shift_takes_an_image_of_one_value(name):
    assert shift_site(np.full((1, 1, 3), 9, np.uint8), name=name).shape == (1, 1, 3)


def test_mirror_twice_is_the_image():
    image = picture(colour=True)
    twice = shift_site(shift_site(image, name="mirror"), name="mirror")
    np.testing.assert_array_equal(twice, image)


def test_low_contrast_by_hand():
    image = np.array([[0, 100, 255]], np.uint8)
    assert shift_site(image, name="low-contrast").tolist() == [[64, 114, 192]]


def test_the_warm_camera_is_redder_and_the_cold_one_bluer():
    image = np.full((4, 4, 3), 120, np.uint8)
    warm, cold = (shift_site(image, name=name)[0, 0] for name in ("warm-camera", "cold-camera"))
    assert warm[0] > 120 > warm[2]
    assert cold[0] < 120 < cold[2]


def test_wrong_names_and_images_are_refused():
    with pytest.raises(ConfigurationError, match="no shift of site is called fog"):
        shift_site(picture(colour=False), name="fog")
    for wrong in (np.zeros((4, 4), np.uint16), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ImageMismatchError, match="must be 8-bit and not empty"):
            shift_site(wrong, name="crop")
    for wrong in (np.zeros((4, 4, 4), np.uint8), np.zeros(4, np.uint8)):
        with pytest.raises(ImageMismatchError, match=r"must be \(rows, columns\) or"):
            shift_site(wrong, name="crop")
