"""The copy as it lies is taken where that fits; else the best of many places to begin."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from medseal.protection.attacks import geometry
from medseal.protection.tamper.grey_curve import Knots
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.registration_search import Frames
from medseal.protection.tamper.registration_solve import (
    LAST_ROUNDS,
    Search,
    oriented_plane,
)
from tests.protection.tamper.test_registration_fit import SIDE, TILES, grid, image

UPRIGHT = ORIENTATIONS[0]


def search(copy: np.ndarray, record: np.ndarray) -> Search:
    """Return the search of a copy, its places as they are, on eight values of means."""
    pair = grid(copy, record, values=8)
    frames = Frames(tiles=(TILES, TILES), expected=(SIDE, SIDE), query=copy.shape, plane=copy.shape)
    knots = Knots.of(copy)
    assert knots is not None
    return Search(pair, frames, knots)


def oriented(plane: np.ndarray, orientation: Orientation) -> np.ndarray:
    turned = np.rot90(plane, orientation.quarter_turns)
    return np.ascontiguousarray(turned[:, ::-1] if orientation.mirrored else turned)


def test_an_unmoved_copy_is_named_so() -> None:
    plane = image()
    solution = search(plane, plane).best()
    assert solution is not None
    assert solution.motion.name == "unmoved"
    assert solution.orientation == UPRIGHT
    np.testing.assert_allclose(solution.motion.linear, np.eye(2))
    np.testing.assert_allclose(solution.motion.shift, 0)
    assert solution.found.overlap == 1
    assert solution.found.explained > 0.99


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=lambda one: one.name or "as it was")
def test_an_unmoved_copy_in_another_orientation_comes_first(orientation: Orientation) -> None:
    plane = image()
    copy = oriented(plane, orientation)
    np.testing.assert_array_equal(oriented_plane(copy, orientation), plane)
    found = search(copy, plane)
    alignment, first = found.unmoved()[0]
    assert first == orientation
    assert found.is_good(alignment)


def test_a_negative_is_good_with_a_falling_curve() -> None:
    plane = image()
    found = search(255 - plane, plane)
    alignment, orientation = found.unmoved()[0]
    assert orientation == UPRIGHT
    assert not alignment.fit.rising
    assert found.is_good(alignment)


def test_another_image_is_not_good() -> None:
    found = search(image(seed=6), image())
    assert not any(found.is_good(alignment) for alignment, _ in found.unmoved())


def test_a_copy_with_noise_stays_where_it_lies() -> None:
    plane = image()
    noise = np.random.default_rng(0).normal(0, 6, plane.shape).astype(np.float32)
    solution = search(plane + noise, plane).best()
    assert solution is not None
    assert solution.motion.name == "unmoved"


def test_from_a_place_nearby_the_copy_is_found_unmoved() -> None:
    plane = image()
    found = search(plane, plane)
    alignment, orientation = found.unmoved()[0]
    off = alignment.matrix + np.array([[0.05, 0.03, 2.0], [-0.03, 0.05, -1.5]])
    solution = found.solved(replace(alignment, matrix=off), orientation, LAST_ROUNDS)
    assert solution.motion.name == "unmoved"
    np.testing.assert_allclose(solution.found.matrix, alignment.matrix, atol=1e-9)
    assert np.linalg.eigvalsh(solution.found.information)[0] > 0


@pytest.mark.parametrize("degrees", [-6, 4])
def test_a_turned_copy_is_found(degrees: float) -> None:
    plane = image()
    solution = search(geometry.rotate(plane, degrees=degrees), plane).best()
    assert solution is not None
    assert solution.orientation == UPRIGHT
    assert solution.motion.name == "turned"
    linear = solution.motion.linear
    found = np.rad2deg(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))
    assert found == pytest.approx(degrees, abs=0.1)


@pytest.mark.parametrize("orientation", ORIENTATIONS[::3], ids=lambda one: one.name or "as it was")
def test_a_turned_crop_is_found_to_the_pixel(orientation: Orientation) -> None:
    plane = image()
    crop = plane[20:230, 10:240]
    solution = search(oriented(crop, orientation), plane).best()
    assert solution is not None
    assert solution.orientation == orientation
    assert solution.motion.name == "cropped"
    assert 0.6 < solution.found.overlap < 0.8
    # Its centre lies three places above and three left of the record's.
    np.testing.assert_allclose(np.abs(solution.motion.shift), 3, atol=1e-9)


def test_what_shows_an_eighth_of_the_record_is_not_good() -> None:
    plane = image()
    large = cv2.resize(plane[:90, :90], (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    found = search(large, plane)
    found.frames = replace(found.frames, query=(90, 90))
    solution = found.best()
    assert solution is None or not found.is_good(solution.found)
