"""Copies that were moved and bent in their greys are found again on a coarse reference."""

import cv2
import numpy as np
import pytest

from medseal.protection.attacks import compression, geometry, grey_values
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.registration import Plane, rectified, refine, register

SIDE, TILES = 256, 32
PLACES = 16 * TILES


def image(seed: int = 3, shape: tuple[int, int] = (SIDE, SIDE)) -> Plane:
    """Return a lit body of smooth organs before a black ground."""
    rng = np.random.default_rng(seed)
    rows, columns = shape
    plane = np.zeros(shape, np.float32)
    for sigma, weight in ((24, 60), (9, 40), (3, 15)):
        noise = cv2.GaussianBlur(rng.standard_normal(shape).astype(np.float32), (0, 0), sigma)
        plane += weight * noise / noise.std()
    y, x = np.mgrid[:rows, :columns]
    body = ((x / columns - 0.52) / 0.46) ** 2 + ((y / rows - 0.47) / 0.44) ** 2 < 1
    lit = np.clip(120 + plane * 0.6, 15, 245) * body
    return np.asarray(cv2.GaussianBlur(lit.astype(np.float32), (0, 0), 1), np.float32)


def reference(plane: Plane, tiles: tuple[int, int] = (TILES, TILES)) -> tuple[Plane, float]:
    """Return tile means in eight values, and the error of that."""
    large = geometry.resize_to(plane, rows=16 * tiles[0], columns=16 * tiles[1])
    means = cv2.resize(large, tiles[::-1], interpolation=cv2.INTER_AREA)
    values = np.quantile(means, (np.arange(8) + 0.5) / 8) + np.arange(8) * 1e-3
    for _ in range(20):
        places = np.searchsorted((values[1:] + values[:-1]) / 2, means)
        values = np.array(
            [means[places == k].mean() if (places == k).any() else values[k] for k in range(8)]
        )
    coarse = values[places].astype(np.float32)
    return coarse, float(np.sqrt(np.mean((coarse - means) ** 2)))


def error(matrix: np.ndarray, truth: np.ndarray, rows: int = SIDE, columns: int = SIDE) -> float:
    """Return the root mean square error in canonical places; `truth` is in pixels, (3, 3)."""
    y, x = np.mgrid[0:PLACES:16, 0:PLACES:16]
    places = np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    sx, sy = columns / PLACES, rows / PLACES
    original = np.array([[sx, 0, sx / 2 - 0.5], [0, sy, sy / 2 - 0.5], [0, 0, 1]])
    wanted = truth @ original
    off = np.linalg.inv(wanted[:2, :2]) @ (matrix @ places - (wanted @ places)[:2])
    return float(np.sqrt((off**2).sum(axis=0).mean()))


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda one: one.name or "as it was")
def test_a_turned_copy_is_found_exactly(orientation: Orientation) -> None:
    plane = image()
    coarse, deviation = reference(plane)
    copy = np.rot90(plane, orientation.quarter_turns)
    copy = np.ascontiguousarray(copy[:, ::-1] if orientation.mirrored else copy)
    found = register(copy, coarse, reference_error=deviation, expected_shape=plane.shape)
    assert found is not None
    assert found.orientation == orientation
    assert not found.moved
    again, inside = rectified(copy, found, (PLACES, PLACES))
    assert inside.all()
    straight = geometry.resize_to(plane, rows=PLACES, columns=PLACES)
    assert np.abs(again - straight).mean() < 0.5


def test_a_resized_copy_has_the_exact_map() -> None:
    plane = image()
    coarse, deviation = reference(plane)
    copy = geometry.resize_to(plane, rows=333, columns=402)
    found = register(copy, coarse, reference_error=deviation, expected_shape=plane.shape)
    assert found is not None
    wanted = [[402 / 512, 0, 402 / 1024 - 0.5], [0, 333 / 512, 333 / 1024 - 0.5]]
    np.testing.assert_allclose(found.matrix, wanted, atol=1e-9)
    assert found.overlap == 1


@pytest.mark.parametrize("degrees", [-7, 2, 6])
def test_a_rotated_windowed_and_compressed_copy_is_found(degrees: float) -> None:
    plane = image()
    coarse, deviation = reference(plane)
    copy = geometry.rotate(grey_values.gamma(plane, exponent=0.7), degrees=degrees)
    copy = compression.jpeg(copy, quality=60)
    found = register(copy, coarse, reference_error=deviation, expected_shape=plane.shape)
    assert found is not None
    middle = (SIDE - 1) / 2
    truth = np.vstack([cv2.getRotationMatrix2D((middle, middle), degrees, 1), [0, 0, 1]])
    assert error(found.matrix, truth) < 0.5
    assert abs(found.degrees - degrees) < 0.2
    assert found.correlation > 0.97


def test_a_cropped_copy_is_found_to_the_pixel() -> None:
    plane = image()
    coarse, deviation = reference(plane)
    found = register(
        plane[20:250, 9:240], coarse, reference_error=deviation, expected_shape=plane.shape
    )
    assert found is not None
    assert error(found.matrix, np.array([[1, 0, -9], [0, 1, -20], [0, 0, 1.0]])) < 1e-6
    assert found.overlap < 0.9


def test_a_negative_has_a_falling_curve() -> None:
    plane = image()
    coarse, deviation = reference(plane)
    found = register(255 - plane, coarse, reference_error=deviation, expected_shape=plane.shape)
    assert found is not None
    assert not found.curve.rising
    assert np.abs(found.curve.apply(255 - plane) - plane).mean() < 3


def test_an_edit_does_not_move_the_copy() -> None:
    plane = image()
    coarse, deviation = reference(plane)
    plane[60:140, 60:140] = plane[140:220, 120:200][::-1]
    found = register(plane, coarse, reference_error=deviation, expected_shape=plane.shape)
    assert found is not None
    assert not found.moved
    assert found.correlation > 0.97


def test_better_means_refine_a_registration() -> None:
    plane = image()
    coarse, deviation = reference(plane)
    copy = geometry.rotate(plane, degrees=4, scale=1.05, shift=(2.5, -3))
    found = register(copy, coarse, reference_error=deviation, expected_shape=plane.shape)
    assert found is not None
    large = geometry.resize_to(plane, rows=PLACES, columns=PLACES)
    means = cv2.resize(large, (TILES, TILES), interpolation=cv2.INTER_AREA)
    better = refine(copy, found, means, target_error=0.5, expected_shape=plane.shape)
    assert better is not None
    middle = (SIDE - 1) / 2
    truth = np.vstack([cv2.getRotationMatrix2D((middle, middle), 4, 1.05), [0, 0, 1]])
    truth[:2, 2] += -3, 2.5
    assert error(better.matrix, truth) < min(0.15, error(found.matrix, truth) + 0.02)


def test_another_image_correlates_less() -> None:
    coarse, deviation = reference(image(seed=3))
    other = image(seed=4)
    found = register(other, coarse, reference_error=deviation, expected_shape=other.shape)
    assert found is None or found.residual > 2 * deviation


@pytest.mark.parametrize("level", [0.0, 130.0])
def test_an_empty_copy_is_not_guessed_at(level: float) -> None:
    coarse, deviation = reference(image())
    empty = np.full((100, 120), level, np.float32)
    assert register(empty, coarse, reference_error=deviation, expected_shape=(256, 256)) is None


def test_an_empty_record_is_not_guessed_at() -> None:
    flat = np.full((TILES, TILES), 40, np.float32)
    assert register(image(), flat, reference_error=3, expected_shape=(256, 256)) is None
