"""The grey curve is monotone, follows what was done, and knows what was clipped."""

import numpy as np
import pytest

from medseal.protection.tamper.grey_curve import CurveFit, Knots, Plane, curve_fit, histogram_curve

TILES = (16, 16)


def original() -> Plane:
    """Return a slope with noise over all levels, 8 places a tile."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:128, :128]
    plane = 250 * (0.6 * x + 0.4 * y) / 127 + rng.normal(0, 6, (128, 128))
    return np.clip(plane, 0, 255).astype(np.float32)


def means(plane: Plane) -> np.ndarray:
    return plane.reshape(16, 8, 16, 8).mean(axis=(1, 3)).astype(np.float64).ravel()


def fitted(copy: Plane, target: np.ndarray, *, rising: bool = True) -> tuple[CurveFit, np.ndarray]:
    knots = Knots.of(copy)
    assert knots is not None
    shares = knots.shares(copy, TILES)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    return curve_fit(knots, shares, target, np.full(256, 0.1), rising=rising), shares


@pytest.mark.parametrize("exponent", [0.5, 1.0, 2.0])
def test_the_curve_undoes_a_gamma(exponent: float) -> None:
    plane = original()
    copy = (255 * (plane / 255) ** exponent).astype(np.float32)
    fit, shares = fitted(copy, means(plane))
    curve = fit.curve(shares, means(plane), np.ones(256), 1.0)
    assert np.abs(curve.apply(copy) - plane).mean() < 3
    assert (np.diff(curve.table) >= -1e-3).all()
    assert curve.clipped_low is None
    assert not curve.clipped(copy).any()


def test_a_negative_falls() -> None:
    plane = original()
    fit, _ = fitted(255 - plane, means(plane), rising=False)
    assert (np.diff(fit.table()) <= 1e-3).all()
    assert np.abs(fit.predicted - means(plane)).mean() < 2


def test_a_curve_against_the_grain_stays_monotone() -> None:
    plane = original()
    fit, _ = fitted(255 - plane, means(plane), rising=True)
    assert (np.diff(fit.values) >= -1e-9).all()


def test_clipped_levels_are_named() -> None:
    plane = original()
    copy = np.clip((plane - 80) * 2, 0, 255).astype(np.float32)
    fit, shares = fitted(copy, means(plane))
    curve = fit.curve(shares, means(plane), np.ones(256), 2.0)
    assert curve.clipped_low is not None
    assert curve.clipped_high is not None
    assert curve.clipped(copy)[plane < 80].all()
    assert not curve.clipped(copy)[(plane > 90) & (plane < 190)].any()


def test_a_black_ground_is_not_clipped() -> None:
    plane = original()
    plane[:, :40] = 0
    fit, shares = fitted(plane, means(plane))
    assert fit.curve(shares, means(plane), np.ones(256), 2.0).clipped_low is None


def test_the_first_guess_makes_levels_as_frequent() -> None:
    plane = original()
    for rising, copy in ((True, plane / 2), (False, 255 - plane / 2)):
        table = histogram_curve(copy, means(plane), rising=rising)
        places = np.rint(copy * 4095 / 255).astype(int)
        assert np.abs(table[places] - plane).mean() < 6


def test_levels_that_are_all_alike_have_no_knots() -> None:
    assert Knots.of(np.full((20, 20), 7, np.float32)) is None
