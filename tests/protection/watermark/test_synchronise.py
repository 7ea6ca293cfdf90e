import cv2
import numpy as np
import pytest

from medseal.protection.watermark.pattern import TILE, fold, pattern, repeated
from medseal.protection.watermark.synchronise import (
    Placement,
    origin,
    placements,
    positions,
    rectified,
)
from tests.protection.pictures import KEY

CODED = np.random.default_rng(1).integers(0, 2, 808).astype(np.uint8)
ALL = tuple((turns, mirrored) for mirrored in (False, True) for turns in range(4))


def turn(degrees, scale, *, mirrored=False):
    """Return the matrix from offsets in the image to offsets in the copy."""
    cosine, sine = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    matrix = np.array([[cosine, -sine], [sine, cosine]])
    return matrix @ np.diag([-1.0 if mirrored else 1.0, 1.0])


def moved(matrix, *, shape=(256, 256), noise=0.0):
    """Return the pure pattern of an image of 512 x 512, as a copy of some turn and scale has it."""
    plane = repeated(pattern(KEY).tile(CODED), (640, 640))
    centre = np.array([shape[1], shape[0]]) / 2 - 0.5
    offset = np.array([319.5, 319.5]) - np.linalg.inv(matrix) @ centre
    affine = np.hstack([np.linalg.inv(matrix), offset[:, None]])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    copy = cv2.warpAffine(plane, affine, shape[::-1], flags=flags)
    rng = np.random.default_rng(2)
    return (copy + rng.normal(0, noise, shape)).astype(np.float32)


def closest(found, wanted):
    """Return the relative error of the best placement; quarter turns and mirrors look the same."""
    quarter = np.array([[0.0, -1.0], [1.0, 0.0]])
    same = [
        np.linalg.matrix_power(quarter, turns) @ np.diag([side, 1.0])
        for turns in range(4)
        for side in (1.0, -1.0)
    ]
    return min(
        np.linalg.norm(placement.matrix @ alike - wanted) / np.linalg.norm(wanted)
        for placement in found
        for alike in same
    )


@pytest.mark.parametrize(
    ("degrees", "scale", "mirrored"),
    [
        (7, 1.3, False),
        (7, 1.3, True),
        (0, 1.0, False),
        (-1, 1.0, False),
        (45, 0.8, False),
        (15, 1.9, True),
        (100, 0.6, False),
    ],
)
def test_turn_and_scale_are_found(degrees, scale, mirrored):
    matrix = turn(degrees, scale, mirrored=mirrored)
    found = list(placements([(moved(matrix), 1.0)], count=4))
    assert len(found) == 4
    assert closest(found, matrix) < 0.003


@pytest.mark.parametrize("noise", [1.0, 4.0])
def test_noise_louder_than_the_pattern_does_not_hide_it(noise):
    matrix = turn(7, 1.3)
    found = placements([(moved(matrix, noise=noise), 1.0)], count=4)
    assert closest(found, matrix) < 0.005


def test_another_aspect_is_found_by_refinement():
    matrix = turn(5, 1.1) @ np.diag([1.02, 0.99])
    found = placements([(moved(matrix), 1.0)], count=4)
    assert closest(found, matrix) < 0.005


def test_a_smaller_frame_leads_to_the_first_one():
    matrix = turn(10, 1.6)
    small = turn(10, 0.96)
    frames = [(moved(matrix, noise=30), 1.0), (moved(small, shape=(154, 154)), 0.6)]
    assert closest(placements(frames, count=4), matrix) < 0.006


def test_what_is_not_periodic_is_told_from_what_is():
    plane = moved(turn(7, 1.3), noise=1)
    noise = np.random.default_rng(3).normal(size=plane.shape).astype(np.float32)

    def best(estimate):
        return max(each.score for each in placements([(estimate, 1.0)], count=2))

    assert best(noise) < 6
    assert best(plane) > 4 * best(noise)


def test_a_copy_without_anything_gives_no_error():
    found = list(placements([(np.zeros((256, 192), np.float32), 1.0)], count=2))
    assert all(np.isfinite(placement.matrix).all() for placement in found)


def test_a_turned_copy_is_straightened():
    matrix = turn(7, 1.3)
    copy = moved(matrix, shape=(240, 300))
    levels, inside = rectified(copy, Placement(matrix=matrix, score=0.0))
    assert levels.shape == inside.shape
    assert levels.shape[0] % 2 == levels.shape[1] % 2 == 0
    assert set(np.unique(inside)) == {0, 1}
    assert inside.sum() == pytest.approx(copy.size / 1.3**2, rel=0.03)
    (best, *_) = positions(levels * inside, pattern(KEY), orientations=((0, False),), count=1)
    heard = pattern(KEY).sums(best.tile)
    assert ((heard > 0) == (CODED == 1)).mean() > 0.99


@pytest.mark.parametrize(("turns", "mirrored"), ALL)
def test_every_orientation_shift_and_polarity_is_undone(turns, mirrored):
    plane = repeated(pattern(KEY).tile(CODED), (256, 192))[37:, 11:]
    copy = plane[:, ::-1] if mirrored else plane
    copy = np.ascontiguousarray(-np.rot90(copy, -turns))
    (best, second) = positions(copy, pattern(KEY), orientations=ALL, count=2)
    assert (best.turns, best.mirrored) == (turns, mirrored)
    # A pure pattern of 28 waves stands out by the root of 56.
    assert best.strength == pytest.approx(-np.sqrt(56), rel=0.02)
    assert abs(second.strength) < abs(best.strength)
    heard = pattern(KEY).sums(best.tile)
    assert np.array_equal(heard > 0, CODED == 1)
    # What begins at row 37 and column 11 of the image has its tile 27 and 53 further on.
    assert best.shift == (-37 % TILE, -11 % TILE)


def test_the_strongest_positions_lie_apart():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(128, 128)).astype(np.float32)
    found = positions(noise, pattern(KEY), orientations=ALL, count=5)
    assert len(found) == 5
    strengths = [abs(each.strength) for each in found]
    assert strengths == sorted(strengths, reverse=True)
    assert strengths[0] < 6
    for each in found:
        undone = np.rot90(noise, each.turns)
        undone = undone[:, ::-1] if each.mirrored else undone
        again = np.roll(fold(undone), [-place for place in each.shift], axis=(0, 1))
        assert np.allclose(np.abs(each.tile), np.abs(again))


def test_silence_has_no_position():
    assert positions(np.zeros((64, 64), np.float32), pattern(KEY), orientations=ALL, count=5) == []


@pytest.mark.parametrize(("turns", "mirrored"), ALL)
def test_the_position_of_what_was_not_cut(turns, mirrored):
    plane = repeated(pattern(KEY).tile(CODED), (256, 192))
    # The way there is the way back in reverse.
    copy = np.rot90(plane[:, ::-1] if mirrored else plane, -turns)
    place = origin(copy, pattern(KEY), turns=turns, mirrored=mirrored)
    assert (place.turns, place.mirrored, place.shift) == (turns, mirrored, (0, 0))
    assert np.allclose(place.tile, fold(plane))
    assert place.strength > 6
    found = positions(copy, pattern(KEY), orientations=ALL, count=1)[0]
    assert np.allclose(found.tile, place.tile)
    assert found.strength == pytest.approx(place.strength)


@pytest.mark.parametrize("sign", [1, -1])
def test_light_for_dark_is_turned_back_where_the_synchronisation_says_so(sign):
    plane = repeated(pattern(KEY).tile(CODED), (192, 192))
    (found,) = positions(sign * plane, pattern(KEY), orientations=((0, False),), count=1)
    assert found.inverted == (sign < 0)
    assert sign * found.strength > 6
    assert np.allclose(found.tile, fold(plane))
    # What is read at the origin is taken as it is.
    place = origin(sign * plane, pattern(KEY))
    assert not place.inverted
    assert np.allclose(place.tile, sign * fold(plane))
