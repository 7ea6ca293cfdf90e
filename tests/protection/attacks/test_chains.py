import numpy as np
import pytest

from medseal.protection.attacks import chains
from tests.protection.pictures import texture


def plane(*, colour=False):
    layers = [texture(120, 100, seed=s) * 255 for s in range(3)]
    return (np.stack(layers, axis=2) if colour else layers[0]).astype(np.float32)


def scan(levels, seed=1):
    return chains.print_and_scan(levels, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("colour", [False, True])
def test_a_scan_depends_on_its_generator_alone(colour):
    levels = plane(colour=colour)
    one, two = scan(levels), scan(levels)
    assert one.dtype == np.float32
    assert one.shape == levels.shape
    assert np.array_equal(one, two)
    assert not np.array_equal(one, scan(levels, seed=2))
    assert np.array_equal(one, np.rint(one))


@pytest.mark.parametrize("seed", range(5))
def test_a_scan_is_recognisable_and_neither_black_nor_white(seed):
    levels = plane()
    scanned = scan(levels, seed)
    assert np.corrcoef(scanned.ravel(), levels.ravel())[0, 1] > 0.9
    white = scan(np.full((120, 100), 255, np.float32), seed)
    assert white[30:90, 30:70].mean() == pytest.approx(245, abs=2)
    black = scan(np.zeros((120, 100), np.float32), seed)
    assert black.mean() == pytest.approx(10, abs=2)


@pytest.mark.parametrize("colour", [False, True])
def test_a_screenshot_is_smaller_and_stretched(colour):
    shot = chains.screenshot(plane(colour=colour) * np.float32(0.5) + 40)
    assert shot.dtype == np.float32
    assert shot.shape[:2] == (96, 80)
    assert np.array_equal(shot, np.rint(shot))
    assert (shot.min(), shot.max()) == (0, 255)
