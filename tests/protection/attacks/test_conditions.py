import numpy as np
import pytest

from medseal.protection.attacks.conditions import EXTRA, STANDARD
from tests.protection.pictures import picture, texture

ALL = {condition.name: condition for condition in (*STANDARD, *EXTRA)}


def make_grey():
    return picture(np.rint(texture(128, 112) * 255).astype(np.uint8))


def make_volume():
    values = np.stack([texture(112, 128, seed=s) for s in range(2)])
    return picture(np.rint(values * 3000 - 1000).astype(np.int16)[..., None], bits=13)


def make_colour():
    values = np.stack([texture(112, 120, seed=s) * 255 for s in range(3)], axis=2)
    return picture(values.astype(np.uint8)[None], photometric="RGB")


def applied(name, image, seed=3):
    return ALL[name].apply(image, np.random.default_rng(seed))


@pytest.mark.parametrize("make", [make_grey, make_volume, make_colour])
@pytest.mark.parametrize("name", ALL)
def test_each_condition_takes_every_kind_of_image(name, make):
    image = make()
    one, two = applied(name, image), applied(name, image)
    assert np.array_equal(one.stored_values, two.stored_values)
    assert (one.frames, one.samples) == (image.frames, image.samples)
    assert one.bits_stored in {8, image.bits_stored}
    if name != "none":
        assert one.stored_values.shape != image.stored_values.shape or not np.array_equal(
            one.stored_values, image.stored_values
        )
    if not ALL[name].blind_geometry:
        assert one.stored_values.shape == image.stored_values.shape


def test_names_are_unique():
    assert len(ALL) == len(STANDARD) + len(EXTRA)


def test_every_standard_rate_and_no_extra_one_is_stated():
    rates = {condition.name: condition.least_exact_rate for condition in STANDARD}
    free = {name for name, rate in rates.items() if rate is None}
    assert free == {"JPEG 2000, 10 : 1", "JPEG 2000, 25 : 1", "rotation 180", "transposition"}
    assert [rates[f"JPEG {quality}"] for quality in (90, 70, 50, 30)] == [0.99, 0.98, 0.97, 0.9]
    assert (rates["blur 1"], rates["blur 2"], rates["none"]) == (0.99, 0.97, 0.999)
    assert all(condition.least_exact_rate is None for condition in EXTRA)


@pytest.mark.parametrize(
    ("name", "area"),
    [
        ("crop 10 % of each side, black", 0.81),
        ("crop 25 % of each side, black", 0.5625),
        ("crop 50 % of each side, black", 0.25),
        ("crop 50 % of the area, black", 0.5),
    ],
)
def test_crops_keep_the_area_that_they_state(name, area):
    image = picture(np.full((200, 160), 90, np.uint8))
    kept = [applied(name, image, seed).stored_values[0, :, :, 0] == 90 for seed in range(4)]
    assert [mask.mean() for mask in kept] == pytest.approx([area] * 4, abs=0.01)
    assert not np.array_equal(kept[0], kept[1])


def test_what_places_do_not_move_stays_in_place():
    image = make_grey()
    for condition in (*STANDARD, *EXTRA):
        if condition.blind_geometry or condition.name == "inversion":
            continue
        copy = condition.apply(image, np.random.default_rng(3))
        kept = copy.stored_values > 0
        correlation = np.corrcoef(image.stored_values[kept], copy.stored_values[kept])[0, 1]
        assert correlation > 0.5, condition.name
