"""A free motion becomes the simplest one that explains as much."""

import numpy as np
import pytest

from medseal.protection.tamper.orientation import ORIENTATIONS
from medseal.protection.tamper.registration_search import Frames, rotation
from medseal.protection.tamper.registration_snap import simplest

FRAMES = Frames(tiles=(32, 32), expected=(300, 300), query=(300, 300), plane=(256, 256))
SURE = np.eye(6) * 4e4


@pytest.mark.parametrize(
    ("linear", "shift", "name"),
    [
        (np.eye(2), (0.02, -0.03), "unmoved"),
        (rotation(0.06), (0.02, 0.01), "turned"),
        (1.1 * rotation(0.06), (0.0, 0.02), "turned and scaled"),
        (np.eye(2), (7.02, -12.01), "cropped"),
        (np.diag([1.2, 1.2]), (9.3, -4.4), "cropped and scaled"),
        (np.diag([1.2, 1.1]), (9.3, -4.4), "cropped and stretched"),
        (rotation(-0.1), (5.3, 3.7), "turned and cropped"),
    ],
)
def test_the_simplest_motion_is_named(
    linear: np.ndarray, shift: tuple[float, float], name: str
) -> None:
    for orientation in ORIENTATIONS:
        matrix = FRAMES.matrix(orientation, linear, np.array(shift))
        motion = simplest(FRAMES, orientation, matrix, SURE)
        assert motion.name == name
        np.testing.assert_allclose(motion.linear, linear, atol=2e-3)
        np.testing.assert_allclose(motion.shift, shift, atol=0.1)


def test_a_crop_moves_by_whole_pixels() -> None:
    matrix = FRAMES.matrix(ORIENTATIONS[0], np.eye(2), np.array([7.04, -12.03]))
    motion = simplest(FRAMES, ORIENTATIONS[0], matrix, SURE)
    np.testing.assert_allclose(motion.shift, [7, -12], atol=1e-12)


def test_a_map_leads_to_its_motion_and_back() -> None:
    linear, shift = np.array([[1.1, 0.2], [-0.1, 0.9]]), np.array([3.0, -8.0])
    for orientation in ORIENTATIONS:
        again = FRAMES.motion(FRAMES.matrix(orientation, linear, shift), orientation)
        np.testing.assert_allclose(again[0], linear)
        np.testing.assert_allclose(again[1], shift)
