"""Starts lie near the truth, in the right orientation."""

import cv2
import numpy as np

from medseal.protection.tamper.orientation import ORIENTATIONS
from medseal.protection.tamper.registration_evidence import Record
from medseal.protection.tamper.registration_fit import Grid
from medseal.protection.tamper.registration_search import Frames, Plane, oriented, ranks, starts

FRAMES = Frames(tiles=(32, 32), expected=(256, 256), query=(256, 256), plane=(256, 256))


def image() -> Plane:
    rng = np.random.default_rng(5)
    plane = cv2.GaussianBlur(rng.standard_normal((256, 256)).astype(np.float32), (0, 0), 20)
    return np.asarray(128 + 40 * plane / plane.std(), np.float32)


def grid(copy: Plane, plane: Plane) -> Grid:
    means = cv2.resize(plane, (32, 32), interpolation=cv2.INTER_AREA)
    return Grid(plane=copy, target=means, record=Record.of(means, 1.0))


def test_the_first_start_is_near_the_truth() -> None:
    plane = image()
    truth = cv2.getRotationMatrix2D((127.5, 127.5), 5, 1.08)
    copy = cv2.warpAffine(255 - plane, truth, (256, 256))
    for orientation in ORIENTATIONS[::3]:
        turned = np.rot90(copy, orientation.quarter_turns)
        turned = np.ascontiguousarray(turned[:, ::-1] if orientation.mirrored else turned)
        first = starts(grid(turned, plane), FRAMES, count=3)[0]
        assert first.orientation == orientation
        assert first.score < -0.8
        linear, shift = FRAMES.motion(first.matrix, orientation)
        found = oriented(orientation).T @ linear @ oriented(orientation)
        assert np.abs(found - truth[:, :2]).max() < 0.12
        assert np.abs(shift).max() < 20


def test_equal_levels_have_equal_ranks() -> None:
    values = np.array([[3.0, 1.2, 0.9], [8.0, 1.1, 3.0]], np.float32)
    assert ranks(values).tolist() == [[4, 1.5, 1.5], [5.5, 1.5, 4]]
