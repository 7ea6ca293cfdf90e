import cv2
import numpy as np
import pytest

from medseal.imaging.foreground import disc_region, foreground_region, whole_region


def head():
    """A grey ellipse with texture on noisy black, in rows 40 to 160 and columns 60 to 160."""
    generator = np.random.default_rng(1)
    image = generator.integers(0, 8, (240, 300)).astype(np.uint8)
    y, x = np.mgrid[:240, :300]
    inside = ((y - 100) / 60) ** 2 + ((x - 110) / 50) ** 2 < 1
    image[inside] = generator.integers(90, 200, int(inside.sum()))
    return image


def assert_box(region, expected, tolerance):
    found = np.array([region.top, region.bottom, region.left, region.right])
    assert np.abs(found - np.array(expected)).max() <= tolerance, found


def test_box_round_the_head():
    assert_box(foreground_region(head()), (40, 160, 60, 160), 5)


def test_letters_rulers_and_frames_do_not_widen_the_box():
    image = head()
    cv2.putText(image, "R 12", (220, 30), cv2.FONT_HERSHEY_SIMPLEX, 0.7, 255, 2)
    image[230, 20:280] = 255
    image[0:2], image[-2:], image[:, 0:2], image[:, -2:] = 200, 200, 200, 200
    assert_box(foreground_region(image), (40, 160, 60, 160), 5)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_plain_border_of_any_grey_is_left_out(grey):
    framed = cv2.copyMakeBorder(head(), 30, 50, 20, 0, cv2.BORDER_CONSTANT, value=grey)
    assert_box(foreground_region(framed), (70, 190, 80, 180), 6)


def test_large_and_small_copies_give_the_same_box():
    image = head()
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_LINEAR)
    assert_box(foreground_region(large), np.array([40, 160, 60, 160]) * 4, 20)


@pytest.mark.parametrize("value", [0, 77, 255])
def test_an_image_without_an_object_is_kept_whole(value):
    assert_box(foreground_region(np.full((50, 80), value, np.uint8)), (0, 50, 0, 80), 0)
    assert_box(disc_region(np.full((50, 80, 3), value, np.uint8)), (0, 50, 0, 80), 0)


def test_holes_of_the_object_are_content():
    image = head()
    image[90:110, 100:120] = 0
    region = foreground_region(image)
    mask = region.mask(region.bottom - region.top, region.right - region.left)
    assert mask[100 - region.top, 110 - region.left] == 1
    assert mask[0, 0] == 0


def fundus(rows, columns, centre_y, centre_x, radius):
    y, x = np.mgrid[:rows, :columns]
    disc = np.hypot(y - centre_y, x - centre_x) < radius
    image = np.zeros((rows, columns, 3), np.uint8)
    image[disc] = (180, 90, 40)
    return image


@pytest.mark.parametrize(
    ("rows", "columns", "centre", "radius"),
    [
        (300, 300, (150, 150), 140),
        (200, 300, (100, 150), 140),  # cut at top and bottom
        (300, 300, (150, 150), 180),  # only the corners are black
        (200, 400, (130, 180), 120),  # cut at the bottom
    ],
)
def test_the_disc_is_found_also_where_the_frame_cuts_it(rows, columns, centre, radius):
    region = disc_region(fundus(rows, columns, *centre, radius))
    expected = (centre[0] - radius, centre[0] + radius, centre[1] - radius, centre[1] + radius)
    assert_box(region, expected, 8)


def test_a_squeezed_disc_is_found_as_its_ellipse():
    squeezed = cv2.resize(fundus(340, 510, 170, 255, 215), (224, 224))
    assert_box(disc_region(squeezed), (-45 * 0.66, 385 * 0.66, 40 * 0.44, 470 * 0.44), 6)


def test_a_notch_at_the_rim_does_not_move_the_disc():
    image = fundus(300, 300, 150, 150, 120)
    cv2.rectangle(image, (225, 55), (260, 85), (170, 90, 40), -1)
    assert_box(disc_region(image), (30, 270, 30, 270), 5)


def test_the_cut_reaches_outside_the_image_in_black_and_is_no_content():
    image = fundus(200, 300, 100, 150, 140)
    region = disc_region(image)
    cut = region.cut(image)
    assert cut.shape == (region.bottom - region.top, region.right - region.left, 3)
    assert cut[5].max() == 0
    mask = region.mask(100, 100)
    assert mask[3].max() == 0
    assert mask[50, 50] == 1
    assert mask[15, 15] == 0


def test_shrunk_takes_the_same_share_of_each_side():
    region = whole_region(100, 200).shrunk(0.1)
    assert (region.top, region.bottom, region.left, region.right) == (10, 90, 20, 180)
    assert whole_region(1, 1).shrunk(0.4).cut(np.full((1, 1), 7, np.uint8)).tolist() == [[7]]
