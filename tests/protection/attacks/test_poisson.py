import numpy as np
import pytest

from medseal.protection.attacks.poisson import seamless, solve_poisson
from tests.protection.attacks.planes import coloured, plane


def disc(side=41, radius=15):
    row, column = np.ogrid[:side, :side]
    return np.hypot(row - side // 2, column - side // 2) <= radius


def test_the_field_has_the_laplacian_asked_for():
    rng = np.random.default_rng(1)
    inside = disc()
    wanted = rng.normal(size=inside.shape).astype(np.float32)
    field = solve_poisson(wanted, inside)
    assert not field[~inside].any()
    laplacian = sum(np.roll(field, shift, axis) for shift in (1, -1) for axis in (0, 1)) - 4 * field
    assert np.abs(laplacian - wanted)[inside].max() < 0.01


def test_a_target_blended_with_itself_stays():
    target = plane(41, 41)
    assert np.allclose(seamless(target, target, disc()), target, atol=0.01)
    assert np.allclose(seamless(target, target + 77, disc()), target, atol=0.1)


def test_a_membrane_continues_a_slope():
    slope = np.add.outer(np.arange(41.0), 2 * np.arange(41.0)).astype(np.float32)
    torn = np.where(disc(), 200, slope).astype(np.float32)
    assert np.allclose(seamless(torn, np.zeros_like(torn), disc()), slope, atol=0.5)


@pytest.mark.parametrize("mixed", [False, True])
def test_nothing_outside_is_touched(mixed):
    target, source = coloured(41, 41), coloured(41, 41, seed=8)
    result = seamless(target, source, disc(), mixed=mixed)
    assert np.array_equal(result[~disc()], target[~disc()])
    assert np.abs(result - target)[disc()].max() > 5


def test_a_mixed_blend_keeps_the_steeper_detail():
    target = np.zeros((41, 41), np.float32)
    target[:, 20:] = 100
    flat = np.full_like(target, 30)
    assert np.allclose(seamless(target, flat, disc(), mixed=True), target, atol=0.1)
    assert np.abs(seamless(target, flat, disc()) - target).max() > 30


def test_small_masks_and_no_mask_at_all():
    target, source = plane(9, 9), plane(9, 9, seed=5) + 40
    assert np.array_equal(seamless(target, source, np.zeros((9, 9), bool)), target)
    source[4, 4] += 100
    one = np.zeros((9, 9), bool)
    one[4, 4] = True
    assert seamless(target, source, one)[4, 4] > target[4, 4] + 50
