import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.places import Patch
from medseal.protection.attacks.texture import FILTERS, PATTERNS, add_texture, erase_detail
from tests.protection.attacks.planes import changed, coloured, sides

PATCH = Patch(rows=32, columns=32)


def noise(seed=1):
    return np.random.default_rng(seed).normal(120, 10, (64, 64)).astype(np.float32)


@pytest.mark.parametrize("method", FILTERS)
def test_detail_goes_and_means_stay(method):
    levels = noise()
    result = erase_detail(levels, np.random.default_rng(1), patch=PATCH, method=method)
    mask = changed(levels, result)
    assert sides(mask) == (32, 32)
    roughness = [np.abs(np.diff(item[mask])).mean() for item in (levels, result)]
    assert roughness[1] < 0.85 * roughness[0]
    assert abs(result[mask].mean() - levels[mask].mean()) < 0.5


def test_more_detail_goes_with_size_and_amount():
    levels = noise()

    def left(**options):
        result = erase_detail(levels, np.random.default_rng(1), patch=PATCH, **options)
        return result[changed(levels, result)].std()

    assert left(size=5) < left(size=2)
    assert left(amount=1.0) < left(amount=0.4)


@pytest.mark.parametrize("period", [2, 3, 4])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_pattern_has_mean_zero_and_the_amplitude_asked_for(pattern, period):
    levels = np.full((60, 60), 120, np.float32)
    patch = Patch(rows=24, columns=24)
    result = add_texture(
        levels, np.random.default_rng(1), patch=patch, amplitude=8, period=period, pattern=pattern
    )
    change = (result - levels)[changed(levels, result)]
    total = (result - levels).sum() / 24**2
    assert abs(total) < 0.1
    assert np.isclose(np.sqrt(np.square(change).sum() / 24**2), 8, rtol=0.15)


def test_stripes_repeat_along_their_own_axis():
    levels = np.full((40, 40), 120, np.float32)
    for pattern, axis in (("rows", 1), ("columns", 0)):
        result = add_texture(
            levels,
            np.random.default_rng(2),
            patch=Patch(rows=40, columns=40),
            amplitude=8,
            pattern=pattern,
        )
        assert not np.diff(result, axis=axis).any()
        assert np.diff(result, axis=1 - axis).all()


def test_colours_take_the_same_pattern():
    levels = coloured() * 0.5 + 60
    result = add_texture(levels, np.random.default_rng(3), patch=PATCH, amplitude=5)
    change = result - levels
    assert np.allclose(change[..., 0], change[..., 2], atol=1e-3)
    assert erase_detail(levels, np.random.default_rng(3), patch=PATCH).shape == levels.shape


def test_sizes_that_hold_no_detail_are_refused():
    with pytest.raises(InputError, match="at least 2 pixels large"):
        erase_detail(noise(), np.random.default_rng(1), patch=PATCH, size=1)
    for period in (1, 65):
        with pytest.raises(InputError, match="repeats after 2 to 64 pixels"):
            add_texture(noise(), np.random.default_rng(1), patch=PATCH, amplitude=5, period=period)
