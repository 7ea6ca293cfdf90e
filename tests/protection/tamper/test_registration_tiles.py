"""Tiles inside a copy are seen; those beside foreign places of it are mixed."""

import numpy as np

from medseal.protection.tamper.registration_tiles import centres, mixed_tiles, seen_tiles

# Four tiles down and six across of eight places each; the plane ends with them.
TILES, SHAPE = (4, 6), (32, 48)
WHOLE = np.array([[8.0, 0, 23.5], [0, 8, 15.5]])


def moved(column: float, row: float) -> np.ndarray:
    return np.asarray(WHOLE + np.array([[0, 0, column], [0, 0, row]]))


def test_centres_are_counted_in_half_sides() -> None:
    ones, x, y = centres(TILES)
    assert (ones == 1).all()
    np.testing.assert_allclose(x[:6], np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]) / 3)
    np.testing.assert_allclose(y[::6], np.array([-1.5, -0.5, 0.5, 1.5]) / 3)


def test_a_copy_that_ends_with_the_tiles_shows_all() -> None:
    assert seen_tiles(SHAPE, WHOLE, TILES).all()
    assert not mixed_tiles(SHAPE, WHOLE, TILES).any()


def test_tiles_beyond_the_copy_are_not_seen() -> None:
    seen = seen_tiles(SHAPE, moved(3, 0), TILES).reshape(TILES)
    assert seen[:, :-1].all()
    assert not seen[:, -1].any()
    seen = seen_tiles(SHAPE, moved(0, -9), TILES).reshape(TILES)
    assert seen[2:].all()
    assert not seen[:2].any()


def test_border_tiles_with_places_of_the_copy_beside_them_are_mixed() -> None:
    mixed = mixed_tiles(SHAPE, moved(3, 0), TILES).reshape(TILES)
    assert mixed[:, 0].all()
    assert not mixed[:, 1:].any()
    mixed = mixed_tiles(SHAPE, moved(0, -3), TILES).reshape(TILES)
    assert mixed[-1].all()
    assert not mixed[:-1].any()
