import numpy as np

from medseal.protection.tamper.canonical import TILE
from medseal.protection.tamper.reference.maps import clipped_places, tile_maps


def test_both_ends_of_what_is_shown_may_be_clipped():
    levels = np.array([[-3, 0, 0.75, 0.8, 128, 254.2, 254.25, 255, 270]], np.float32)
    clipped = [[True, True, True, False, False, False, True, True, True]]
    assert clipped_places(levels).tolist() == clipped


def test_maps_of_a_tile_are_difference_clipped_and_outside():
    copy = np.full((2 * TILE, 3 * TILE), 100, np.float32)
    copy[:TILE, :TILE] = 108
    copy[TILE:, 2 * TILE :] = 255
    clipped, outside = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
    clipped[1, 2], outside[0, 1] = 1, 0.5
    exact = np.full((2, 3), 100, np.float32)
    maps = tile_maps(copy, (exact, exact), clipped, outside)
    assert maps.shape == (3, 2, 3)
    # In units of sixteen levels, four at most.
    assert maps[0].tolist() == [[0.5, 0, 0], [0, 0, 4]]
    assert np.array_equal(maps[1:], [clipped, outside])


def test_a_mean_within_what_the_record_says_does_not_differ():
    copy = np.repeat(np.array([84, 95, 105, 124], np.float32), TILE)[None].repeat(TILE, axis=0)
    none = np.zeros((1, 4), np.float32)
    lower, upper = np.full((1, 4), 92, np.float32), np.full((1, 4), 108, np.float32)
    maps = tile_maps(copy, (lower, upper), none, none)
    assert maps[0].tolist() == [[-0.5, 0, 0, 1]]
