import numpy as np
import pytest

from benchmarks.tamper_handling import BEYOND, EXACT_GROUPS, HANDLED, moved
from medseal.errors import ImageMismatchError
from medseal.imaging import values_digest
from medseal.protection.attacks import distortions, forgeries
from medseal.protection.attacks.levels import levels_of
from tests.protection.pictures import grey

IMAGE = grey(300, 260)
FORGED, MASK = forgeries.change_block(IMAGE, np.random.default_rng(0), size=40, steps=60)
BY_NAME = {each.name: each for each in HANDLED}


def copies(handled, seed=5):
    return (handled.apply(image, np.random.default_rng(seed)) for image in (IMAGE, FORGED))


def test_names_are_unique_and_each_kind_of_processing_is_there():
    assert len(BY_NAME) == len(HANDLED) > 40
    named = {each.processing for each in HANDLED if each.is_named}
    assert named == {"JPEG", "resize", "rotation", "crop", "window", "gamma"}


@pytest.mark.parametrize("name", [h.name for h in HANDLED if h.group in EXACT_GROUPS])
def test_what_counts_as_exact_keeps_every_value(name):
    handled = BY_NAME[name]
    clean, forged = copies(handled)
    assert np.array_equal(np.sort(clean.stored_values, None), np.sort(IMAGE.stored_values, None))
    if handled.group == "lossless":
        assert values_digest(forged) == values_digest(FORGED)
    assert np.array_equal(
        (clean.stored_values != forged.stored_values)[0, :, :, 0], moved(handled, MASK, 5, forged)
    )


@pytest.mark.parametrize(
    "name", [h.name for h in HANDLED if h.group not in {*EXACT_GROUPS, BEYOND}]
)
def test_the_mask_lies_where_the_copy_was_edited(name):
    handled = BY_NAME[name]
    clean, forged = copies(handled)
    there = moved(handled, MASK, 5, forged)
    change = np.abs(levels_of(forged, frame=0) - levels_of(clean, frame=0)) > 12
    assert change.any()
    assert (there & change).sum() / (there | change).sum() > 0.85


@pytest.mark.parametrize("name", [h.name for h in HANDLED if h.group == BEYOND])
def test_what_goes_beyond_gives_a_copy_with_a_mask_of_its_size(name):
    handled = BY_NAME[name]
    forged = handled.apply(FORGED, np.random.default_rng(1))
    there = moved(handled, MASK, 1, forged)
    assert there.shape == (forged.rows, forged.columns)
    assert 0.5 < there.mean() / MASK.mean() < 1.6


def test_settings_are_drawn():
    handled = BY_NAME["rotation to 7 degrees"]
    first, second = (handled.apply(IMAGE, np.random.default_rng(s)) for s in (1, 2))
    assert not np.array_equal(first.stored_values, second.stored_values)


def test_a_mask_of_another_size_is_refused():
    small = distortions.resize(IMAGE, factor=0.5)
    with pytest.raises(ImageMismatchError, match="none: the mask does not lie on the copy"):
        moved(BY_NAME["none"], MASK, 1, small)
