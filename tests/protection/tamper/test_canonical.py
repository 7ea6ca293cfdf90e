import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.protection.tamper.canonical import (
    LEAST_SIDE,
    TILE,
    CanonicalGrid,
    brightness,
    limited,
    resampled,
    tile_means,
    unlimited,
)
from medseal.protection.tamper.fingerprint import MAX_ROBUST_BYTES
from medseal.protection.tamper.reference.inference import MODEL_TAG_BYTES
from medseal.protection.tamper.reference.record import _frame_bytes
from tests.protection.pictures import texture


@pytest.mark.parametrize(
    ("rows", "columns", "down", "across"),
    [
        (512, 512, 32, 32),
        (64, 64, 32, 32),
        (2000, 1000, 45, 22),
        (1000, 2000, 23, 44),
        (24, 288, 9, 108),
    ],
)
def test_a_tile_is_as_good_as_square(rows, columns, down, across):
    grid = CanonicalGrid.of(1, rows, columns)
    assert (grid.down, grid.across) == (down, across)
    assert grid.shape == (TILE * down, TILE * across)
    assert (rows / down) / (columns / across) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    ("frames", "rows", "columns"),
    [(1, LEAST_SIDE - 1, 500), (1, 500, LEAST_SIDE - 1), (1, 100, 1201), (251, 512, 512)],
)
def test_what_is_tiny_long_or_of_many_frames_has_no_plane(frames, rows, columns):
    assert CanonicalGrid.of(frames, rows, columns) is None


def test_at_the_limits_there_is_one():
    assert CanonicalGrid.of(1, LEAST_SIDE, LEAST_SIDE) is not None
    assert CanonicalGrid.of(1, 100, 1200) is not None
    assert CanonicalGrid.of(250, 512, 512).tiles == 64


@settings(max_examples=60)
@given(
    frames=st.integers(1, 250),
    short=st.integers(LEAST_SIDE, 4000),
    aspect=st.floats(1, 12),
    lies=st.booleans(),
)
def test_all_frames_together_fit_into_a_record(frames, short, aspect, lies):
    rows, columns = (short, int(short * aspect))[:: -1 if lies else 1]
    grid = CanonicalGrid.of(frames, rows, columns)
    assert 1 <= grid.tiles <= 1024
    assert grid.tiles * frames <= 16_000
    assert MODEL_TAG_BYTES + frames * _frame_bytes(grid) <= MAX_ROBUST_BYTES


def test_brightness_is_softly_limited_outside_what_is_shown():
    levels = np.array([[0, 100, 255, 256, 263, 9999, -8, -9999]], np.float32)
    expected = [[0, 100, 255, 255.125, 256, 279, -1, -24]]
    assert brightness(levels).tolist() == expected


def test_brightness_of_colour_is_its_luma():
    levels = np.full((2, 3, 3), 200, np.float32)
    assert brightness(levels) == pytest.approx(np.full((2, 3), 200), abs=1e-3)
    green = levels * np.array([0, 1, 0], np.float32)
    assert brightness(green)[0, 0] == pytest.approx(0.587 * 200, abs=1e-3)


def plane(rows=96, columns=64):
    return (255 * texture(rows, columns)).astype(np.float32)


def test_a_plane_of_the_right_size_stays_as_it_is():
    assert resampled(plane(), (96, 64)) is not None
    assert np.array_equal(resampled(plane(), (96, 64)), plane())


def test_a_plane_shrinks_by_means_of_areas():
    small = resampled(plane(), (32, 16))
    means = plane().reshape(32, 3, 16, 4).mean(axis=(1, 3))
    assert small == pytest.approx(means, abs=1e-2)


def test_an_enlarged_plane_shrinks_back_to_itself():
    large = resampled(plane(), (384, 256))
    assert large.shape == (384, 256)
    # Linear interpolation between middles, then means: a slight blur.
    assert np.abs(resampled(large, (96, 64)) - plane()).mean() < 3


def test_means_are_those_of_tiles():
    made = np.kron(np.arange(6, dtype=np.float32).reshape(2, 3), np.ones((TILE, TILE)))
    assert tile_means(made.astype(np.float32)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_lies_beyond_black_and_white_comes_back():
    grey = np.array([[-150.0, -3, 0, 100], [255, 258, 300, 440]], np.float32)
    plane = limited(grey)
    assert plane.min() >= -24
    assert plane.max() <= 279
    assert unlimited(plane) == pytest.approx(grey, abs=1e-3)
