import numpy as np
import pytest

from medseal.errors import UnsupportedImageError
from medseal.imaging import MedicalImage
from medseal.protection.attacks.handling import HANDLING, LOSSY_CHAINS
from tests.protection.pictures import grey, picture, texture

ALL = {
    f"{place}: {item.name}": item
    for place, items in (
        ("handling", HANDLING),
        ("chain", LOSSY_CHAINS),
    )
    for item in items
}


def twelve():
    return picture(np.rint(texture(96, 80, seed=3) * 4000).astype(np.uint16), bits=12)


def marked(rows, columns):
    mask = np.zeros((rows, columns), np.bool_)
    mask[rows // 3 : rows // 3 + 16, columns // 4 : columns // 4 + 20] = True
    return mask


def beacon(mask):
    """Return a black image that is white where the mask is True."""
    return picture(np.where(mask, 255, 0).astype(np.uint8))


def test_names_are_unique_and_every_group_is_there():
    for items in (HANDLING, LOSSY_CHAINS):
        assert len({item.name for item in items}) == len(items)
    assert {item.group for item in HANDLING} == {"lossless", "geometric", "lossy"}
    assert len(LOSSY_CHAINS) == 6 + 4 + 15


@pytest.mark.parametrize("name", ALL)
def test_the_mask_has_the_size_of_the_copy_and_both_are_repeatable(name):
    image = grey(96, 80, seed=2)
    mask = marked(96, 80)
    copy, moved = ALL[name].apply_with_mask(image, mask, np.random.default_rng(4))
    assert isinstance(copy, MedicalImage)
    assert moved.shape == (copy.rows, copy.columns)
    assert moved.dtype == np.bool_
    assert moved.any()
    again = ALL[name].apply(image, np.random.default_rng(4))
    assert np.array_equal(copy.stored_values, again.stored_values)


@pytest.mark.parametrize("name", ALL)
def test_twelve_bits_go_through(name):
    copy = ALL[name].apply(twelve(), np.random.default_rng(1))
    assert np.isfinite(copy.stored_values.astype(float)).all()
    assert copy.stored_values.std() > 1


def test_what_a_format_cannot_hold_is_refused():
    signed = picture(np.rint(texture(96, 80, seed=3) * 4000 - 900).astype(np.int16))
    png = next(item for item in HANDLING if item.name == "PNG")
    with pytest.raises(UnsupportedImageError, match="PNG"):
        png.apply(signed, np.random.default_rng(1))


@pytest.mark.parametrize("name", [n for n, item in ALL.items() if item.group == "lossless"])
def test_what_is_lossless_can_be_undone(name):
    image = grey(96, 80, seed=2)
    values = ALL[name].apply(image, np.random.default_rng(1)).stored_values
    mirrored = "inversion" in name
    assert np.array_equal(255 - values if mirrored else values, image.stored_values)


@pytest.mark.parametrize("name", [n for n, item in ALL.items() if item.group == "geometric"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_mask_goes_where_the_image_goes(name, seed):
    mask = marked(120, 100)
    copy, moved = ALL[name].apply_with_mask(beacon(mask), mask, np.random.default_rng(seed))
    seen = copy.stored_values[0, :, :, 0] > 127
    union = (seen | moved).sum()
    assert (seen & moved).sum() >= 0.8 * union


@pytest.mark.parametrize(
    "name", ["handling: scale 0.5", "chain: rotation 7", "chain: scale + crop"]
)
def test_a_mask_of_one_place_does_not_vanish(name):
    mask = np.zeros((96, 80), np.bool_)
    mask[41, 37] = True
    _, moved = ALL[name].apply_with_mask(grey(96, 80), mask, np.random.default_rng(2))
    assert 1 <= moved.sum() <= 6
    _, nothing = ALL[name].apply_with_mask(
        grey(96, 80), np.zeros((96, 80), np.bool_), np.random.default_rng(2)
    )
    assert not nothing.any()


def test_settings_are_drawn_within_their_bounds():
    crop = next(item for item in LOSSY_CHAINS if item.name == "crop")
    scale = next(item for item in LOSSY_CHAINS if item.name == "scale")
    image = grey(100, 100)
    cropped = [crop.apply(image, np.random.default_rng(s)).rows for s in range(20)]
    assert 80 <= min(cropped) < max(cropped) <= 100
    scaled = [scale.apply(image, np.random.default_rng(s)).rows for s in range(20)]
    assert 50 <= min(scaled) < 75
    assert 140 < max(scaled) <= 200
