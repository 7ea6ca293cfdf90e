import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from medseal.errors import FingerprintError
from medseal.protection.tamper.canonical import CanonicalGrid, tile_means
from medseal.protection.tamper.reference.codes import COARSE_LEVELS, to_bits
from medseal.protection.tamper.reference.picture import (
    QUANTILES,
    RANKS,
    CoarsePicture,
    numbers_of,
    picture_bytes,
    quantiles,
)
from tests.protection.pictures import texture

GRID = CanonicalGrid(down=20, across=14)
# 3 x 3 tiles: 27 bits, so that 5 bits of the last byte are unused.
SMALL = CanonicalGrid(down=3, across=3)


def plane(grid=GRID, seed=0):
    return (texture(*grid.shape, seed=seed) * 255).astype(np.float32)


def picture(grid=GRID):
    return CoarsePicture.of(plane(grid))


@settings(max_examples=50, deadline=None)
@given(
    book=arrays(np.uint8, COARSE_LEVELS),
    ranked=arrays(np.uint8, QUANTILES),
    places=arrays(np.uint8, (3, 3), elements=st.integers(0, COARSE_LEVELS - 1)),
)
def test_what_is_written_is_read(book, ranked, places):
    written = CoarsePicture(book=np.sort(book), places=places, ranked=np.sort(ranked))
    data = bytes(written)
    assert len(data) == picture_bytes(SMALL)
    again = CoarsePicture.read(data, SMALL)
    assert np.array_equal(again.book, written.book)
    assert np.array_equal(again.places, places)
    assert np.array_equal(again.ranked, written.ranked)
    assert bytes(again) == data


def test_a_picture_takes_its_bytes():
    for grid in (GRID, SMALL, CanonicalGrid(down=32, across=32)):
        data = bytes(picture(grid))
        assert len(data) == picture_bytes(grid)
        assert bytes(CoarsePicture.read(data, grid)) == data
    assert picture_bytes(CanonicalGrid(down=32, across=32)) == 8 + 64 + 384


@pytest.mark.parametrize(
    "place",
    [0, COARSE_LEVELS - 2, COARSE_LEVELS, COARSE_LEVELS + QUANTILES - 2],
    ids=["first level", "level before the last", "first quantile", "quantile before the last"],
)
def test_levels_and_quantiles_that_fall_are_refused(place):
    data = bytearray(bytes(picture()))
    data[place], data[place + 1] = 200, 199
    with pytest.raises(FingerprintError, match="do not rise"):
        CoarsePicture.read(bytes(data), GRID)


@pytest.mark.parametrize("bit", range(5))
def test_unused_bits_are_refused(bit):
    data = bytearray(bytes(picture(SMALL)))
    data[-1] |= 1 << bit
    with pytest.raises(FingerprintError, match="unused bits"):
        CoarsePicture.read(bytes(data), SMALL)


def test_packed_numbers_are_those_that_were_packed():
    numbers = np.array([5, 0, 7, 3, 1], np.uint8)
    assert np.array_equal(numbers_of(to_bits(numbers, 3), 3, 5), numbers)


def test_ranks_rise_and_lie_alike_from_both_ends():
    assert RANKS.shape == (QUANTILES,)
    assert (np.diff(RANKS) > 0).all()
    assert 0 < RANKS[0] < 0.001
    assert np.allclose(RANKS + RANKS[::-1], 1, atol=1e-12)
    # Close together at the ends, where few places lie.
    assert np.diff(RANKS)[0] < 0.01 * np.diff(RANKS).max()


def test_quantiles_are_the_levels_below_which_the_shares_lie():
    levels = np.random.default_rng(0).permutation(10_000).astype(np.float32).reshape(100, 100)
    found = quantiles(levels)
    assert found.dtype == np.float32
    assert np.allclose(found, np.clip(RANKS * 10_000 - 0.5, 0, 9_999), atol=0.01)


def test_quantiles_follow_a_rising_curve():
    def curve(levels):
        return 255 * (levels / 255) ** 0.6

    # Levels without gaps: between two places the curve is as good as straight.
    levels = plane()[64:-64, 64:-64]
    assert np.allclose(quantiles(curve(levels)), curve(quantiles(levels)), atol=0.1)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_places_have_quantiles_among_their_levels(count):
    levels = np.linspace(10, 90, count, dtype=np.float32)
    found = quantiles(levels)
    assert found.shape == (QUANTILES,)
    assert (found[0], found[-1]) == (levels[0], levels[-1])
    assert (np.diff(found) >= 0).all()


def test_of_many_places_some_are_enough():
    levels = np.random.default_rng(1).uniform(0, 255, (1024, 1024)).astype(np.float32)
    # The deviation of a share of 2 ** 16 places is .2 % at most.
    assert np.abs(quantiles(levels) - 255 * RANKS).max() < 255 * 0.01


def test_bounds_hold_the_tile_means():
    kept, means = picture(), tile_means(plane())
    lower, upper = kept.bounds
    assert lower.shape == upper.shape == kept.coarse.shape == (GRID.down, GRID.across)
    inner = (kept.places > 0) & (kept.places < COARSE_LEVELS - 1)
    assert inner.sum() > 100
    assert (lower <= means)[inner].all()
    assert (means <= upper)[inner].all()
    # Of the outer cells the inner bound is known alone.
    assert (means <= upper)[kept.places == 0].all()
    assert (lower <= means)[kept.places == COARSE_LEVELS - 1].all()


def test_the_error_is_about_that_of_the_coarse_means():
    kept = picture()
    apart = kept.coarse - tile_means(plane())
    assert np.abs(apart).max() > 1
    assert kept.error == pytest.approx(float(np.sqrt(np.mean(apart**2))), rel=0.3)


def test_quantiles_are_kept_to_the_nearest_level():
    levels = plane() * 1.3
    assert levels.max() > 255
    kept = CoarsePicture.of(levels)
    assert kept.ranked.dtype == np.uint8
    assert np.abs(kept.ranked - np.clip(quantiles(levels), 0, 255)).max() <= 0.5


@pytest.mark.parametrize("level", [0, 77, 255])
def test_a_constant_plane_has_one_level(level):
    kept = CoarsePicture.of(np.full(GRID.shape, level, np.float32))
    assert (kept.book == level).all()
    assert (kept.ranked == level).all()
    assert (kept.coarse == level).all()
    assert kept.error == 0
    lower, upper = kept.bounds
    assert (lower == level).all()
    assert (upper == level).all()
    assert bytes(CoarsePicture.read(bytes(kept), GRID)) == bytes(kept)
