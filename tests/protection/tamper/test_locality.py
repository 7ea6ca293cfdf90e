import numpy as np
import pytest

from medseal.protection.tamper.locality import pattern_of, untouched_share

TEXTURED = np.ones((32, 32), np.bool_)


def block(top, left, rows, columns):
    tiles = np.zeros((32, 32), np.bool_)
    tiles[top : top + rows, left : left + columns] = True
    return tiles


def scattered(share, seed=0):
    return np.random.default_rng(seed).random((32, 32)) < share


def test_nothing_changed_is_equal():
    assert pattern_of(np.zeros((32, 32), np.bool_), TEXTURED) == "equal"


@pytest.mark.parametrize("size", [1, 2, 5, 12, 20])
def test_one_place_is_local_whatever_its_size(size):
    assert pattern_of(block(3, 4, size, size), TEXTURED) == "local"


def test_a_line_of_text_and_a_diagonal_are_local():
    assert pattern_of(block(30, 1, 1, 9), TEXTURED) == "local"
    assert pattern_of(np.eye(32, dtype=np.bool_), TEXTURED) == "local"


def test_a_few_places_are_local():
    tiles = np.zeros((32, 32), np.bool_)
    tiles[::8, ::8] = True
    assert np.count_nonzero(tiles) == 16
    assert pattern_of(tiles, TEXTURED) == "local"


@pytest.mark.parametrize("share", [0.05, 0.1, 0.2, 0.35, 0.45])
@pytest.mark.parametrize("seed", range(5))
def test_changes_everywhere_among_untouched_tiles_are_scattered(share, seed):
    assert pattern_of(scattered(share, seed), TEXTURED) == "scattered"


@pytest.mark.parametrize("share", [0.6, 0.9, 1.0])
def test_changes_of_most_tiles_are_a_change_of_the_whole(share):
    assert pattern_of(scattered(share), TEXTURED) == "whole"


def test_air_that_stays_equal_proves_nothing():
    anatomy = block(10, 10, 8, 8)
    assert pattern_of(anatomy, anatomy) == "whole"
    half = anatomy & block(10, 10, 8, 3)
    assert pattern_of(half, anatomy) == "local"


def test_a_change_in_the_air_is_local():
    assert pattern_of(block(0, 0, 2, 2), block(10, 10, 8, 8)) == "local"


def test_of_an_image_without_texture_all_tiles_count():
    flat = np.zeros((32, 32), np.bool_)
    assert pattern_of(block(3, 3, 4, 4), flat) == "local"
    assert pattern_of(scattered(0.9), flat) == "whole"
    assert untouched_share(block(0, 0, 16, 32), flat) == 0.5


def test_the_share_is_that_of_textured_tiles():
    anatomy = block(10, 10, 4, 4)
    assert untouched_share(block(10, 10, 1, 4), anatomy) == 0.75
    assert untouched_share(block(0, 0, 4, 4), anatomy) == 1.0
