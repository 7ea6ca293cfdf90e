import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.places import Patch, blended, draw_window, soft_shape
from tests.protection.attacks.planes import changed, coloured, plane


def test_windows_prefer_places_with_content():
    levels = np.zeros((200, 200), np.float32)
    levels[80:140, 80:140] = 120
    rng = np.random.default_rng(1)
    inside = 0
    for _ in range(200):
        window = draw_window(levels, rng, rows=5, columns=7)
        assert levels[window].shape == (5, 7)
        inside += bool(levels[window].any())
    # Of the windows, one in ten lies there by chance.
    assert 0.65 <= inside / 200 < 0.95


def test_a_window_as_large_as_the_levels_is_all_of_them():
    window = draw_window(plane(30, 40), np.random.default_rng(1), rows=30, columns=40)
    assert window == (slice(0, 30), slice(0, 40))
    with pytest.raises(InputError, match="a patch of 31 x 40 does not fit"):
        draw_window(plane(30, 40), np.random.default_rng(1), rows=31, columns=40)


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [
        ("rectangle", 1, 1),
        ("ellipse", 0.75, 0.82),
        ("blob", 0.3, 0.82),
    ],
)
def test_a_shape_fills_its_patch(shape, low, high):
    for seed in range(5):
        rng = np.random.default_rng(seed)
        hard = soft_shape(rng, Patch(rows=40, columns=60, shape=shape))
        assert hard.shape == (40, 60)
        assert set(np.unique(hard)) <= {0, 1}
        assert low <= hard.mean() <= high
    soft = soft_shape(rng, Patch(rows=40, columns=60, shape=shape, feather=8))
    assert soft.max() == 1
    assert ((soft > 0) & (soft < 1)).mean() > 0.1
    assert np.abs(np.diff(soft, axis=0)).max() < 0.5


@pytest.mark.parametrize("bad", [{"rows": 0}, {"columns": -1}, {"feather": -1.0}])
def test_a_patch_without_size_is_refused(bad):
    with pytest.raises(InputError, match="a patch has a row"):
        Patch(**{"rows": 3, "columns": 3, **bad})


@pytest.mark.parametrize("levels", [plane(), coloured()])
def test_a_blend_changes_its_window_alone_and_stays_in_range(levels):
    window = slice(40, 50), slice(30, 50)
    alpha = np.full((10, 20), 0.5, np.float32)
    result = blended(levels, window, np.full_like(levels[window], 9000), alpha)
    mask = np.zeros(levels.shape[:2], bool)
    mask[window] = True
    assert np.array_equal(changed(levels, result), mask)
    assert result.max() == 255
    beyond = levels - 100
    result = blended(beyond, window, np.full_like(levels[window], -9000), alpha)
    assert result.min() == beyond.min()
