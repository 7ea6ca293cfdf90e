"""Edits in copies that JPEG or a grey-value map explains are still told from the explanation."""

import numpy as np
import pytest

from medseal.protection.attacks import distortions, forgeries
from medseal.protection.tamper import check, fingerprint
from medseal.protection.tamper.exact import find
from medseal.protection.tamper.explanations import explanation
from tests.protection.pictures import KEY, grey, picture, texture

SIDE = 192
GAIN = 420
MAPPED, SAVED = "map of grey values", "saving as JPEG once more"


def clipped(seed):
    """Return a picture that JPEG does not leave as it is: bright places are cut off."""
    inside = texture(2 * SIDE, 2 * SIDE, seed=seed)[SIDE // 2 :, SIDE // 2 :][:SIDE, :SIDE]
    return picture(np.clip(inside * GAIN, 0, 255).astype(np.uint8))


def colour(seed):
    tints = np.array([1.0, 1.0, 0.9])
    values = np.rint(clipped(seed).stored_values * tints).astype(np.uint8)
    return picture(values, photometric="RGB")


def reason(copy, original):
    record = fingerprint(original, KEY)
    found = find(copy, record, KEY)
    assert found is not None
    assert found.differs.any()
    return explanation(copy, found, record)


@pytest.mark.parametrize(("make", "quality"), [(clipped, 75), (clipped, 90), (colour, 75)])
def test_saving_again_at_the_same_quality_is_no_edit(make, quality):
    once = distortions.jpeg(make(3), quality=quality)
    again = distortions.jpeg(once, quality=quality)
    assert SAVED in reason(again, once)
    assert check(again, fingerprint(once, KEY), KEY).outcome != "tampered"


@pytest.mark.parametrize("turns", [1, 2])
def test_saving_again_before_or_after_a_turn_is_no_edit(turns):
    once = distortions.jpeg(clipped(3), quality=75)
    before = distortions.quarter_turn(distortions.jpeg(once, quality=75), turns=turns)
    assert SAVED in reason(before, once)


@pytest.mark.parametrize(("make", "seed"), [(clipped, 0), (clipped, 1), (clipped, 2), (colour, 3)])
def test_an_edit_of_a_picture_that_was_a_jpeg_stays_an_edit(make, seed):
    once = distortions.jpeg(make(3), quality=75)
    record, rng = fingerprint(once, KEY), np.random.default_rng(seed)
    for forged, mask in (
        forgeries.change_block(once, rng, size=1, steps=1),
        forgeries.insert_lesion(once, rng, radius=6),
        forgeries.copy_move(once, rng, rows=30, columns=20),
        forgeries.remove(once, rng, radius=9),
    ):
        report = check(forged, record, KEY)
        assert report.outcome == "tampered", report.checks
        assert not (mask & ~report.proven).any()


def test_an_edit_of_a_picture_that_never_was_a_jpeg_has_no_explanation():
    original = clipped(3)
    forged, _ = forgeries.insert_lesion(original, np.random.default_rng(1), radius=6)
    assert reason(forged, original) == ""


def test_a_map_that_leaves_dark_values_alone_is_no_edit():
    row, column = np.ogrid[:256, :256]
    bright = (row > 140) & (column > 100)
    values = np.where(bright, 150 + (row * column) % 80, (3 * row + 5 * column) % 60)
    original = picture(values.astype(np.uint8))
    mapped = np.where(values > 100, np.rint(values * 1.08), values)
    assert MAPPED in reason(original.with_stored_values(_as_values(mapped)), original)
    moved = values.copy()
    moved[150:200, 120:200] = values[20:70, 20:100]
    assert reason(original.with_stored_values(_as_values(moved)), original) == ""


def _as_values(values):
    return values.astype(np.uint8)[None, :, :, None]


@pytest.mark.parametrize("shape", [(20, 20), (33, 700)])
def test_pictures_too_small_for_the_jpeg_grid_are_not_explained(shape):
    original = grey(*shape)
    values = original.stored_values.copy()
    values[0, 10, 10] ^= 1
    assert reason(original.with_stored_values(values), original) == ""


def test_sixteen_bits_are_no_jpeg():
    original = picture(np.rint(texture(SIDE, SIDE) * 60000).astype(np.uint16))
    values = original.stored_values.copy()
    values[0, 100, 100] ^= 1
    assert reason(original.with_stored_values(values), original) == ""
