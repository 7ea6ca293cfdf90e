import cv2
import numpy as np
import pytest

from medseal.protection.watermark.baselines.lattice import TILE, find_lattices, straightened


def tiled(degrees, scale, size=512):
    """Return a noisy repeated tile, turned and scaled."""
    rng = np.random.default_rng(8)
    tile = cv2.GaussianBlur(np.tile(rng.normal(size=(TILE, TILE)), (9, 9)), (0, 0), 1.2)
    matrix = cv2.getRotationMatrix2D((4.5 * TILE, 4.5 * TILE), degrees, scale)
    matrix[:, 2] += size / 2 - 4.5 * TILE
    plane = cv2.warpAffine(tile, matrix, (size, size), flags=cv2.INTER_CUBIC)
    noise = cv2.GaussianBlur(rng.normal(size=plane.shape), (0, 0), 1.2)
    return (plane + 2 * noise).astype(np.float32)


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (5, 1), (-20, 0.8), (3, 1.4)])
def test_length_and_direction_are_found(degrees, scale):
    plane = tiled(degrees, scale)
    best = find_lattices(plane)[0]
    lengths = [np.hypot(*vector) for vector in (best.first, best.second)]
    assert lengths == pytest.approx([TILE * scale] * 2, abs=0.5)
    across = np.degrees(np.arctan2(*best.first)) % 90
    assert min(abs(across - -degrees % 90), 90 - abs(across - -degrees % 90)) < 0.3


def test_a_straightened_plane_repeats_itself_by_whole_tiles():
    plane = tiled(5, 1.2)
    straight = straightened(plane, find_lattices(plane)[0])
    assert straight.shape[0] % TILE == straight.shape[1] % TILE == 0
    inner = straight[TILE:-TILE, TILE:-TILE]
    shifted = straight[TILE:-TILE, 2 * TILE :]
    assert np.corrcoef(inner.ravel(), shifted.ravel())[0, 1] > 0.1
    assert abs(np.corrcoef(inner.ravel(), np.roll(shifted, 9, axis=0).ravel())[0, 1]) < 0.1


def test_noise_gives_weaker_lattices():
    noise = np.random.default_rng(4).normal(size=(512, 512)).astype(np.float32)
    assert find_lattices(noise)[0].strength < find_lattices(tiled(0, 1))[0].strength / 2


def test_a_plane_smaller_than_every_lattice_has_none():
    assert find_lattices(np.zeros((24, 24), np.float32)) == []
