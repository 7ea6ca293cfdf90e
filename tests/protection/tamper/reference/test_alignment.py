"""Copies come back to the places and levels of their record; what is none of it says why not."""

import numpy as np
import pytest

from medseal.protection.attacks import geometry, grey_values
from medseal.protection.tamper.canonical import CanonicalGrid, resampled, tile_means
from medseal.protection.tamper.reference.alignment import Aligned, Unreadable, align
from medseal.protection.tamper.reference.picture import CoarsePicture
from tests.protection.pictures import texture

SHAPE = (256, 240)
GRID = CanonicalGrid.of(1, *SHAPE)


def original():
    return (255 * texture(*SHAPE, seed=2)).astype(np.float32)


RECORD = resampled(original(), GRID.shape)
PICTURE = CoarsePicture.of(RECORD)


def laid(copy, shape=SHAPE):
    return align(np.asarray(copy, np.float32), PICTURE, shape=shape)


def aligned(copy):
    found = laid(copy)
    assert isinstance(found, Aligned)
    for plane in (found.copy, found.clipped, found.unknown):
        assert plane.shape == GRID.shape
    assert found.copy.dtype == np.float32
    return found


def apart(found):
    """Return how far off the levels are where they are known."""
    return np.abs(found.copy - RECORD)[~found.unknown]


def body(found):
    """Return how far off they are in the middle of the disc, away from its sharp edge."""
    rows, columns = GRID.shape
    inner = np.s_[rows // 4 : -rows // 4, columns // 4 : -columns // 4]
    assert not found.unknown[inner].any()
    return np.abs(found.copy - RECORD)[inner]


def test_a_copy_without_a_change_is_its_record():
    found = aligned(original())
    assert apart(found).max() < 0.01
    assert not found.unknown.any()
    assert not found.registration.moved
    # Only the air is at an end.
    assert np.array_equal(found.clipped, RECORD <= 0.75)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_copy_turned_by_quarters_is_exact(turns):
    found = aligned(np.rot90(original(), turns).copy())
    assert apart(found).max() < 0.1
    assert found.registration.orientation.quarter_turns == turns


def test_a_turned_copy_comes_back():
    found = aligned(geometry.rotate(original(), degrees=5))
    assert found.registration.degrees == pytest.approx(5, abs=0.1)
    assert apart(found).mean() < 1.5
    assert np.quantile(body(found), 0.99) < 4
    assert 0 < found.unknown.mean() < 0.1


def test_a_crop_comes_back_and_the_rest_is_unknown():
    found = aligned(original()[12:-9, 7:-11])
    assert np.quantile(apart(found), 0.99) < 0.1
    rows, columns = (side / length for side, length in zip(GRID.shape, SHAPE, strict=True))
    assert found.unknown[: int(12 * rows) - 1].all()
    assert found.unknown[:, -int(11 * columns) + 1 :].all()
    assert not found.unknown[int(13 * rows) : -int(10 * rows), int(8 * columns) : -40].any()


def test_what_is_unknown_is_filled_from_the_coarse_picture():
    found = aligned(original()[12:-9, 7:-11])
    hidden = tile_means(found.unknown.astype(np.float32)) == 1
    assert hidden.any()
    coarse, means = PICTURE.coarse, tile_means(found.copy)
    # Drawn between the middles of tiles, so that edges are blurred.
    assert np.abs(means - coarse)[hidden].mean() < 6
    outer = tile_means(RECORD)
    assert np.abs(means - outer)[hidden].mean() < 12
    assert not found.clipped[found.unknown].any()


@pytest.mark.parametrize(("rows", "columns"), [(192, 180), (512, 480), (256, 320)])
def test_a_scaled_copy_comes_back(rows, columns):
    found = aligned(geometry.resize_to(original(), rows=rows, columns=columns))
    assert not found.registration.moved
    assert np.quantile(body(found), 0.95) < 6
    assert body(found).mean() < 2
    assert not found.unknown.any()


@pytest.mark.parametrize(
    "copied",
    [
        lambda levels: grey_values.gamma(levels, exponent=0.7),
        lambda levels: grey_values.brightness(levels, share=0.1),
        lambda levels: grey_values.window(levels, low=0.15, high=0.9),
        grey_values.invert,
    ],
    ids=["power", "brighter", "window", "negative"],
)
def test_levels_are_those_of_the_record(copied):
    copy = copied(original())
    assert np.abs(copy - original()).mean() > 5
    found = aligned(copy)
    assert body(found).max() < 2
    assert apart(found).mean() < 0.6


def test_a_turned_copy_with_a_window_comes_back():
    copy = geometry.rotate(grey_values.window(original(), low=0.15, high=0.9), degrees=-3)
    found = aligned(copy)
    assert found.registration.degrees == pytest.approx(-3, abs=0.1)
    assert np.quantile(body(found), 0.99) < 6


def test_levels_that_a_window_clipped_are_unknown():
    record = original()
    inside = (record > 95) & (record < 170)
    found = aligned(grey_values.window(record, low=95 / 255, high=170 / 255))
    assert found.unknown.mean() > 0.2
    shown = resampled(inside.astype(np.float32), GRID.shape) == 1
    assert np.abs(found.copy - RECORD)[shown].mean() < 4
    assert found.unknown[shown].mean() < 0.02
    assert found.clipped[found.unknown].mean() > 0.9


def test_a_forgery_stays_where_it_was():
    forged = original()
    forged[60:84, 90:114] = 230
    found = aligned(geometry.rotate(forged, degrees=5))
    mask = resampled((forged != original()).astype(np.float32), GRID.shape)
    assert np.abs(found.copy[mask == 1] - 230).mean() < 8
    assert RECORD[mask == 1].max() < 190
    around = (mask == 0) & (RECORD > 40) & ~found.unknown
    assert np.quantile(np.abs(found.copy - RECORD)[around], 0.95) < 6


def test_another_image_cannot_be_compared():
    other = 255 * texture(*SHAPE, seed=3)
    found = laid(other)
    assert isinstance(found, Unreadable)
    assert "another image, or too degraded" in found.reason
    assert "% of the record explained" in found.reason


@pytest.mark.parametrize("level", [0, 90])
def test_an_empty_copy_cannot_be_laid(level):
    found = laid(np.full(SHAPE, level))
    assert isinstance(found, Unreadable)
    assert found.reason == "the copy could not be laid on the record"


def test_too_little_of_the_record_cannot_be_compared():
    found = laid(original()[:128, :120])
    assert isinstance(found, Unreadable)
    assert found.reason == "the copy could not be laid on the record"


def test_colours_that_are_as_strong_as_can_be_count_as_clipped():
    colours = np.stack([original()] * 3, axis=2)
    colours[100:120, 100:120, 0] = 255
    found = aligned(colours)
    strong = resampled((colours[..., 0] == 255).astype(np.float32), GRID.shape)
    assert found.clipped[strong == 1].all()
    assert not found.clipped[(strong == 0) & (RECORD > 1)].any()
