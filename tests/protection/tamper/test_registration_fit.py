"""A small motion is recovered from tile means, and so is the grey curve."""

import cv2
import numpy as np
import pytest

from medseal.protection.tamper.grey_curve import Knots, histogram_curve
from medseal.protection.tamper.orientation import ORIENTATIONS
from medseal.protection.tamper.registration_evidence import Record
from medseal.protection.tamper.registration_fit import (
    Grid,
    Round,
    aligned,
    composed,
    curve_at,
    informed,
    small_motion,
    warped,
)
from medseal.protection.tamper.registration_search import Frames

SIDE, TILES = 256, 32
FRAMES = Frames(tiles=(TILES, TILES), expected=(SIDE, SIDE), query=(SIDE, SIDE), plane=(SIDE, SIDE))
UNMOVED = FRAMES.matrix(ORIENTATIONS[0], np.eye(2), np.zeros(2))
ROUNDS = (Round(blur=1.5, shears=False), Round(blur=0.8), Round(repeats=4))
SMOOTH = (Round(repeats=4),)


def image(seed: int = 5, deviation: float = 40, sigma: float = 12) -> np.ndarray:
    """Return smooth levels about mid grey: (256, 256)."""
    drawn = np.random.default_rng(seed).standard_normal((SIDE, SIDE)).astype(np.float32)
    plane = cv2.GaussianBlur(drawn, (0, 0), sigma)
    return np.asarray(128 + deviation * plane / plane.std(), np.float32)


def grid(copy: np.ndarray, record: np.ndarray, *, values: int | None = None) -> Grid:
    """Return a record and a copy; its means are rounded to some values if that is asked."""
    means = cv2.resize(record, (TILES, TILES), interpolation=cv2.INTER_AREA)
    error = 0.7
    if values is not None:
        step = float(np.ptp(means)) / values
        means = np.asarray(np.round(means / step) * step, np.float32)
        error = step / 12**0.5
    return Grid(plane=copy, target=means, record=Record.of(means, error))


def fitted(pair: Grid, rounds: tuple[Round, ...] = ROUNDS, matrix: np.ndarray = UNMOVED):
    knots = Knots.of(pair.plane)
    assert knots is not None
    table = histogram_curve(pair.plane, pair.target.astype(np.float64), rising=True)
    return aligned(pair, matrix, knots, table, rising=True, rounds=rounds)


def laid(pair: Grid, matrix: np.ndarray = UNMOVED):
    knots = Knots.of(pair.plane)
    assert knots is not None
    return curve_at(pair, matrix, knots, rising=True)


def moved(degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    """Return a map of a copy's places: (2, 3)."""
    middle = (SIDE - 1) / 2
    truth = cv2.getRotationMatrix2D((middle, middle), degrees, scale)
    truth[:, 2] += shift
    return truth


def copied(plane: np.ndarray, motion: np.ndarray) -> np.ndarray:
    size = (SIDE, SIDE)
    return np.asarray(cv2.warpAffine(plane, motion, size, borderMode=cv2.BORDER_REFLECT))


def error(found: np.ndarray, wanted: np.ndarray) -> float:
    """Return the root mean square distance over the tiles, in places of the plane."""
    y, x = np.mgrid[: TILES + 1, : TILES + 1] - TILES / 2
    off = (found - wanted) @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    return float(np.sqrt((off**2).sum(axis=0).mean()))


MOTIONS = [
    moved(0, 1, (3.5, -2)),
    moved(3, 1, (0, 0)),
    moved(0, 1.06, (0, 0)),
    moved(-2, 0.97, (-4, 3)),
]
NAMES = ["shifted", "turned", "scaled", "all three"]


@pytest.mark.parametrize("motion", MOTIONS, ids=NAMES)
def test_a_small_motion_is_recovered(motion: np.ndarray) -> None:
    plane, wanted = image(), composed(motion, UNMOVED)
    found = fitted(grid(copied(plane, motion), plane))
    assert error(UNMOVED, wanted) > 3
    assert error(found.matrix, wanted) < 0.15
    assert found.explained > 0.95
    assert found.correlation > 0.99
    assert found.residual < 1.5


@pytest.mark.parametrize("motion", MOTIONS, ids=NAMES)
def test_eight_values_of_means_tell_the_motion_too(motion: np.ndarray) -> None:
    plane, wanted = image(), composed(motion, UNMOVED)
    found = fitted(grid(copied(plane, motion), plane, values=8))
    assert error(found.matrix, wanted) < 0.3


def test_the_grey_curve_is_fitted_with_the_motion() -> None:
    plane, motion = image(deviation=30), MOTIONS[3]
    copy = 255 * (copied(plane, motion) / 255) ** 0.7
    found = fitted(grid(np.asarray(copy, np.float32), plane))
    assert error(found.matrix, composed(motion, UNMOVED)) < 0.3
    levels = np.linspace(80, 170, 10)
    table = found.fit.table()
    places = np.rint(255 * (levels / 255) ** 0.7 * (len(table) - 1) / 255).astype(int)
    assert np.abs(table[places] - levels).max() < 3


def test_a_forged_part_does_not_pull_the_map() -> None:
    plane, motion = image(), MOTIONS[0]
    copy = copied(plane, motion)
    copy[40:100, 50:110] = copy[140:200, 120:180][::-1]
    found = fitted(grid(copy, plane))
    assert error(found.matrix, composed(motion, UNMOVED)) < 0.3
    assert 0.9 < found.explained < 0.99


def test_more_texture_tells_more_of_the_map() -> None:
    sizes = []
    for deviation in (5, 20, 60):
        plane = image(deviation=deviation)
        pair = grid(plane, plane)
        information = informed(pair, laid(pair)).information
        np.testing.assert_allclose(information, information.T, rtol=1e-6, atol=1e-6)
        sizes.append(np.linalg.eigvalsh(information)[0])
    assert 0 < sizes[0] < sizes[1] / 4
    assert sizes[1] < sizes[2] / 4


def test_another_image_is_not_explained() -> None:
    plane = image()
    same, other = laid(grid(plane, plane)), laid(grid(image(seed=6), plane))
    assert same.explained > 0.99
    assert other.explained < 0.5
    assert same.residual < 0.1 * other.residual
    assert same.correlation > 0.99
    assert other.correlation < 0.7
    assert other.quality < same.quality


def test_the_overlap_is_the_share_inside_the_copy() -> None:
    plane = image()
    # Eight tiles to the right.
    found = laid(grid(plane, plane), UNMOVED + np.array([[0, 0, 8 * SIDE / TILES], [0, 0, 0]]))
    assert found.overlap == 0.75
    assert found.seen.reshape(TILES, TILES)[:, :24].all()
    # What lies beside the copy's own places is not clean.
    assert not found.clean.reshape(TILES, TILES)[:, 0].any()
    assert found.quality < found.explained


def test_where_hardly_a_tile_is_seen_the_map_stays() -> None:
    plane = image()
    outside = UNMOVED + np.array([[0, 0, SIDE - 4.0], [0, 0, 0]])
    found = fitted(grid(plane, plane), SMOOTH, outside)
    assert found.overlap < 0.02
    assert np.array_equal(found.matrix, outside)


def test_one_step_is_not_longer_than_allowed() -> None:
    plane, motion = image(sigma=30), moved(0, 1, (40, 0))
    found = fitted(grid(copied(plane, motion), plane), (Round(blur=1.5, steps=1),))
    # One and a half tiles at most, of eight places each.
    corner = (found.matrix - UNMOVED)[:, 2]
    assert 2 < np.hypot(*corner) <= 1.5 * SIDE / TILES * 1.01


def test_rounds_that_do_not_shear_leave_the_shape() -> None:
    plane = image()
    sheared = np.array([[1, 0.04, -4.0], [0, 1, 0]])
    pair = grid(copied(plane, sheared), plane)
    stiff = fitted(pair, (Round(repeats=4, shears=False),)).matrix[:, :2] * TILES / SIDE
    free = fitted(pair).matrix[:, :2] * TILES / SIDE
    assert abs(stiff[0] @ stiff[1]) < 2e-3
    assert free[0, 1] == pytest.approx(0.04, abs=4e-3)


def test_maps_are_composed_the_inner_one_first() -> None:
    rng = np.random.default_rng(0)
    outer, inner, place = rng.normal(size=(2, 3)), rng.normal(size=(2, 3)), rng.normal(size=2)
    between = inner[:, :2] @ place + inner[:, 2]
    result = composed(outer, inner)
    np.testing.assert_allclose(
        result[:, :2] @ place + result[:, 2], outer[:, :2] @ between + outer[:, 2]
    )


def test_a_small_motion_is_counted_in_half_sides() -> None:
    np.testing.assert_array_equal(small_motion(np.zeros((2, 3)), (TILES, TILES)), np.eye(3)[:2])
    turned = small_motion(np.array([[0.5, 0, 0.2], [0, -0.2, 0]]), (TILES, TILES))
    # The middle of the lower side moves by the turn of a half side to the right.
    np.testing.assert_allclose(turned @ [0, TILES / 2, 1], [0.7, TILES / 2])
    np.testing.assert_allclose(turned @ [TILES / 2, 0, 1], [TILES / 2 + 0.5, -0.2])


def test_an_unmoved_plane_is_warped_onto_itself() -> None:
    plane = image()
    np.testing.assert_allclose(warped(plane, UNMOVED, (TILES, TILES), 8), plane, atol=0.01)
    half = warped(plane, UNMOVED, (TILES, TILES), 4)
    assert half.shape == (SIDE // 2, SIDE // 2)
    np.testing.assert_allclose(half, cv2.resize(plane, half.shape[::-1]), atol=0.5)


def test_a_blurred_record_has_no_bounds() -> None:
    pair = grid(image(), image(), values=8)
    assert pair.record.lower is not None
    assert pair.blurred(0) is pair.record
    blurred = pair.blurred(1.5)
    assert blurred.lower is None
    assert blurred.means.std() < pair.record.means.std()
