import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks import geometry
from tests.protection.pictures import texture


def plane(*, colour=False, rows=96, columns=80):
    layers = [texture(rows, columns, seed=s) * 255 for s in range(3)]
    return (np.stack(layers, axis=2) if colour else layers[0]).astype(np.float32)


GEOMETRY = {
    "resize_and_back": lambda p: geometry.resize_and_back(p, factor=0.5),
    "crop_black": lambda p: geometry.crop_black(p, keep=0.6),
    "crop_resized": lambda p: geometry.crop_resized(p, keep=0.6, place=(0.2, 0.9)),
    "rotate": lambda p: geometry.rotate(p, degrees=5),
    "perspective": lambda p: geometry.perspective(p, corners=np.eye(4, 2) * 3),
    "flip": lambda p: geometry.flip(p, axis="rows"),
    "half turn": lambda p: geometry.quarter_turn(p, turns=2),
}


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", GEOMETRY)
def test_the_size_stays(name, colour):
    levels = plane(colour=colour)
    before = levels.copy()
    result = GEOMETRY[name](levels)
    assert result.dtype == np.float32
    assert result.shape == levels.shape
    assert np.array_equal(levels, before)
    assert not np.array_equal(result, levels)


def test_turns_mirrors_and_transposition_only_move():
    levels = plane(colour=True)
    turned = geometry.quarter_turn(levels, turns=1)
    assert np.array_equal(turned[0], levels[:, -1])
    assert np.array_equal(geometry.quarter_turn(turned, turns=3), levels)
    assert np.array_equal(geometry.flip(levels, axis="rows"), levels[::-1])
    assert np.array_equal(geometry.flip(levels, axis="columns"), levels[:, ::-1])
    crossed = geometry.transpose(levels)
    assert crossed.shape == (80, 96, 3)
    assert np.array_equal(crossed[4, 7], levels[7, 4])


def test_an_unknown_axis_is_refused():
    with pytest.raises(InputError, match="mirrored along 'rows' or 'columns'"):
        geometry.flip(plane(), axis="depth")


def test_a_rotation_by_nothing_changes_nothing():
    assert np.array_equal(geometry.rotate(plane(), degrees=0), plane())


def test_a_rotation_goes_counter_clockwise_about_the_centre_into_black():
    levels = np.full((81, 81), 100, np.float32)
    levels[40, 70] = 200
    turned = geometry.rotate(levels, degrees=90)
    assert turned[10, 40] == pytest.approx(200, abs=1)
    tilted = geometry.rotate(levels, degrees=30)
    assert tilted[0, 0] == tilted[80, 80] == 0
    assert tilted[40, 40] == pytest.approx(100, abs=1e-3)


def test_shift_and_scale():
    levels = plane()
    shifted = geometry.rotate(levels, degrees=0, shift=(3, -5))
    assert np.array_equal(shifted[3:, :-5], levels[:-3, 5:])
    assert not shifted[:3].any()
    assert not shifted[:, -5:].any()
    shrunk = geometry.rotate(np.full((100, 100), 9, np.float32), degrees=0, scale=0.5)
    assert shrunk.mean() == pytest.approx(9 / 4, rel=0.05)


def test_a_perspective_moves_each_corner():
    levels = np.full((60, 60), 100, np.float32)
    moved = geometry.perspective(levels, corners=np.array([[8, 8], [0, 0], [0, 0], [0, 0]]))
    assert moved[4, 4] == 0
    assert moved[4, 50] == pytest.approx(100, abs=1e-3)
    same = geometry.perspective(plane(), corners=np.zeros((4, 2)))
    assert same == pytest.approx(plane(), abs=0.1)


def test_scaling_down_averages_areas():
    levels = plane()
    small = geometry.resize_to(levels, rows=48, columns=40)
    assert small == pytest.approx(levels.reshape(48, 2, 40, 2).mean(axis=(1, 3)), abs=1e-3)
    back = geometry.resize_and_back(levels, factor=0.5)
    assert np.diff(back, axis=1).std() < 0.8 * np.diff(levels, axis=1).std()
    assert back.mean() == pytest.approx(levels.mean(), rel=0.01)


@pytest.mark.parametrize(
    ("keep", "place", "rows", "columns"),
    [
        (1.0, (0.3, 0.7), (0, 100), (0, 40)),
        (0.5, (0.5, 0.5), (25, 75), (10, 30)),
        (0.5, (0, 1), (0, 50), (20, 40)),
        (0.75, (1, 0), (25, 100), (0, 30)),
        (0.001, (0, 0), (0, 1), (0, 1)),
    ],
)
def test_what_a_crop_keeps(keep, place, rows, columns):
    inside = geometry.kept_rectangle(100, 40, keep=keep, place=place)
    assert [(part.start, part.stop) for part in inside] == [rows, columns]


@pytest.mark.parametrize(("keep", "place"), [(0, (0, 0)), (1.1, (0, 0)), (0.5, (0, 1.2))])
def test_an_impossible_crop_is_refused(keep, place):
    with pytest.raises(InputError, match="a crop keeps more than 0 and at most 1 of a side"):
        geometry.kept_rectangle(100, 40, keep=keep, place=place)


def test_a_black_crop_leaves_what_it_keeps():
    levels = plane(colour=True) + 1
    cut = geometry.crop_black(levels, keep=0.5, place=(0, 1))
    assert np.array_equal(cut[:48, 40:], levels[:48, 40:])
    assert np.count_nonzero(cut[:, :, 0]) == 48 * 40


def test_a_resized_crop_shows_its_part_larger():
    levels = np.cumsum(plane(), axis=1) / 40  # smooth
    enlarged = geometry.crop_resized(levels, keep=0.5, place=(0, 0))
    assert enlarged.reshape(48, 2, 40, 2).mean(axis=(1, 3)) == pytest.approx(
        levels[:48, :40], abs=6
    )


@pytest.mark.parametrize("degrees", [5.0, -33.0, 90.0])
def test_an_expanded_rotation_loses_nothing(degrees):
    levels = np.full((40, 60), 200, np.float32)
    turned = geometry.rotate_expanded(levels, degrees=degrees)
    assert np.isclose(turned.sum(), levels.sum(), rtol=0.03)
    assert turned.shape[0] >= 40 or degrees == 90.0


@pytest.mark.parametrize(("rows", "columns"), [(80, 80), (60, 100)])
def test_the_share_inside_has_no_black_corner(rows, columns):
    for degrees in (1.0, -7.0, 20.0):
        turned = geometry.rotate(np.full((rows, columns), 255, np.float32), degrees=degrees)
        keep = geometry.share_inside(rows, columns, degrees=degrees)
        inside = geometry.kept_rectangle(rows, columns, keep=keep * 0.97, place=geometry.CENTRE)
        assert turned[inside].min() > 200
        assert 0.5 < keep < 1
    assert geometry.share_inside(rows, columns, degrees=0) == 1
