import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks.edits import Fitting, copy_move, like, splice
from medseal.protection.attacks.places import Patch
from tests.protection.attacks.planes import changed, coloured, plane, sides

PATCH = Patch(rows=12, columns=16)


@pytest.mark.parametrize("levels", [plane(), coloured()])
def test_a_copy_without_fitting_is_exact(levels):
    for seed in range(10):
        result = copy_move(levels, np.random.default_rng(seed), patch=PATCH)
        mask = changed(levels, result)
        if not mask.any():
            continue
        rows, columns = sides(mask)
        assert rows <= 12
        assert columns <= 16
        assert np.isin(result[mask], levels).all()


def test_a_turned_copy_is_a_new_place_interpolated():
    levels = plane()
    turned = Fitting(degrees=30, scale=1.3)
    result = copy_move(levels, np.random.default_rng(3), patch=PATCH, fitting=turned)
    mask = changed(levels, result)
    assert mask.any()
    assert not np.isin(result[mask], levels).all()


def test_a_half_turn_is_the_patch_reversed():
    # Both windows of this seed must hold something, or nothing is compared.
    levels, patch = plane(), Patch(rows=13, columns=13)
    plain = copy_move(levels, np.random.default_rng(5), patch=patch)
    turned = copy_move(levels, np.random.default_rng(5), patch=patch, fitting=Fitting(degrees=180))
    mask = changed(levels, plain)
    rows, columns = np.nonzero(mask)
    window = np.s_[rows.min() : rows.min() + 13, columns.min() : columns.min() + 13]
    assert mask[window].all()
    assert np.allclose(turned[window], plain[window][::-1, ::-1], atol=0.5)
    mirrored = copy_move(
        levels, np.random.default_rng(5), patch=patch, fitting=Fitting(is_mirrored=True)
    )
    assert np.array_equal(mirrored[window], plain[window][:, ::-1])


@pytest.mark.parametrize(("match", "low", "high"), [(0.0, 90, 110), (1.0, 0, 0.01)])
def test_grey_values_are_matched_as_far_as_asked(match, low, high):
    levels, donor = np.full((60, 60), 50, np.float32), np.full((40, 40), 150, np.float32)
    result = splice(
        levels, np.random.default_rng(1), donor=donor, patch=PATCH, fitting=Fitting(match=match)
    )
    assert low <= np.abs(result - levels).max() <= high


def test_a_donor_may_be_grey_or_coloured():
    assert like(plane(), coloured()).shape == (96, 80, 3)
    assert like(coloured(), plane()).shape == (96, 80)
    rng = np.random.default_rng(2)
    assert splice(coloured(), rng, donor=plane(50, 50), patch=PATCH).shape == (96, 80, 3)
    assert splice(plane(), rng, donor=coloured(), patch=PATCH).shape == (96, 80)


def test_a_patch_larger_than_the_donor_is_refused():
    with pytest.raises(InputError, match="does not fit"):
        splice(plane(), np.random.default_rng(1), donor=plane(10, 10), patch=PATCH)
