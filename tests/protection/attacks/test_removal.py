import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.places import Patch
from medseal.protection.attacks.removal import FILLS, remove
from tests.protection.attacks.planes import changed, coloured, plane, sides


def spotted():
    """Return mid grey with a fine grain and one bright spot in the only place that fits."""
    levels = np.random.default_rng(1).normal(100, 1, (29, 29)).astype(np.float32)
    levels[12:17, 12:17] += 120
    return levels


@pytest.mark.parametrize("fill", FILLS)
def test_a_spot_is_gone(fill):
    patch = Patch(rows=21, columns=21, shape="ellipse")
    levels = spotted()
    if fill == "exemplar":
        # It needs another place to look at.
        levels = np.pad(levels, ((0, 0), (0, 60)), mode="reflect")
        levels[:, 29:] = np.random.default_rng(2).normal(100, 1, (29, 60))
    for seed in range(40):
        result = remove(levels, np.random.default_rng(seed), patch=patch, fill=fill)
        if changed(levels, result)[14, 14] and result[12:17, 12:17].max() < 130:
            return
    pytest.fail("the spot is still there")


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("levels", [plane(), coloured()])
def test_only_the_patch_changes(levels, fill):
    patch = Patch(rows=9, columns=13, shape="blob", feather=1.5)
    for seed in range(5):
        result = remove(levels, np.random.default_rng(seed), patch=patch, fill=fill, grain=0.5)
        mask = changed(levels, result)
        assert mask.any()
        rows, columns = sides(mask)
        assert rows <= 9
        assert columns <= 13


def test_grain_makes_a_fill_rough():
    levels = np.random.default_rng(3).normal(100, 6, (80, 80)).astype(np.float32)
    patch = Patch(rows=31, columns=31)

    def roughness(grain):
        rng = np.random.default_rng(5)
        result = remove(levels, rng, patch=patch, fill="membrane", grain=grain)
        return result[changed(levels, result)].std()

    assert roughness(1.0) > 2 * roughness(0.0)


def test_a_hole_needs_surroundings():
    with pytest.raises(InputError, match="does not fit"):
        remove(plane(20, 20), np.random.default_rng(1), patch=Patch(rows=15, columns=15))
