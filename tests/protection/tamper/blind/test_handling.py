import numpy as np
import pytest

from medseal.protection.tamper.blind.handling import Handling, random_handling
from tests.protection.pictures import texture


def plane(side=160):
    return (texture(side, side) * 255).astype(np.float32)


def drawn(name):
    """Return a handling of this kind alone."""
    for seed in range(400):
        handling = random_handling(np.random.default_rng(seed), share=1.0)
        if handling.names == (name,):
            return handling
    raise AssertionError(name)


def test_nothing_is_done_without_a_share():
    handling = random_handling(np.random.default_rng(0), share=0.0)
    levels = plane()
    assert handling.names == ()
    assert np.array_equal(handling.apply(levels), levels)
    assert handling.side_before(100) == 100


def test_the_share_is_kept():
    rng = np.random.default_rng(0)
    handled = [bool(random_handling(rng, share=0.5).names) for _ in range(400)]
    assert 0.42 < np.mean(handled) < 0.58


@pytest.mark.parametrize("seed", range(40))
def test_twins_are_handled_alike_and_enough_is_left(seed):
    handling = random_handling(np.random.default_rng(seed), share=1.0)
    levels = plane(handling.side_before(64))
    first, second = handling.apply(levels), handling.apply(levels)
    assert np.array_equal(first, second)
    assert min(first.shape) >= 64
    assert first.min() >= 0
    assert first.max() <= 255
    assert first.dtype == np.float32


@pytest.mark.parametrize("name", ["resize", "rotation"])
def test_the_mask_moves_with_the_places(name):
    handling = drawn(name)
    mask = np.zeros((160, 160), np.bool_)
    mask[60:90, 40:80] = True
    moved = handling.moved(mask)
    bright = handling.apply(np.where(mask, np.float32(200), np.float32(0)))
    assert moved.shape == bright.shape
    assert (moved == (bright > 100)).mean() > 0.99


def test_the_mask_stays_where_nothing_moves():
    mask = np.eye(50, dtype=np.bool_)
    assert np.array_equal(drawn("JPEG").moved(mask), mask)
    assert np.array_equal(Handling(names=(), _steps=()).moved(mask), mask)
