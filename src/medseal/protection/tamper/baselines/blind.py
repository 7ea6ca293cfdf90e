"""Blind rivals: error level analysis and the local noise level, each by its most unusual tile.

Both thresholds are what 5 % of harmless copies of training images exceed.
"""

from dataclasses import dataclass

import cv2
import imagecodecs
import numpy as np

from medseal.imaging import MedicalImage, display_values
from medseal.protection.tamper.baselines.method import Flags, Plane, Reading, luma

__all__ = ["ErrorLevel", "NoiseLevel"]

_COLOUR_DIMENSIONS = 3
_TILE = 16
_QUALITY = 90
_MAD_TO_SIGMA = 1.4826
# Levels below which tiles count as alike, and the least deviation of their logarithms.
_LEAST_LEVEL, _LEAST_SPREAD = 0.25, 0.1


def _tiles(values: Plane) -> Plane:
    """Return the places of whole tiles: (down, across, places)."""
    down, across = (max(side // _TILE, 1) for side in values.shape)
    whole = cv2.resize(values, (max(values.shape[1], _TILE), max(values.shape[0], _TILE)))
    cut = whole[: down * _TILE, : across * _TILE].reshape(down, _TILE, across, _TILE)
    return np.asarray(cut.transpose(0, 2, 1, 3).reshape(down, across, -1), np.float32)


def _unusual(levels: Plane, plane: Plane, *, limit: float) -> Reading:
    """Return how far the most unusual tile lies from the median tile, in robust deviations.

    Tiles without anything in them are left out: air has neither noise nor errors.
    """
    known = np.log(levels + _LEAST_LEVEL)
    textured = np.ptp(_tiles(plane), axis=2) > 1
    if not textured.any():
        return Reading(score=0.0, mask=np.zeros(plane.shape, np.bool_))
    middle = np.median(known[textured])
    spread = _MAD_TO_SIGMA * np.median(np.abs(known[textured] - middle))
    deviation = np.where(textured, np.abs(known - middle) / max(float(spread), _LEAST_SPREAD), 0)
    return Reading(score=float(deviation.max()), mask=_spread(deviation > limit, plane.shape))


def _spread(tiles: Flags, shape: tuple[int, ...]) -> Flags:
    whole = np.repeat(np.repeat(tiles, _TILE, axis=0), _TILE, axis=1)[: shape[0], : shape[1]]
    padding = [(0, side - here) for side, here in zip(shape, whole.shape, strict=True)]
    return np.pad(whole, padding)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLevel:
    """What one more JPEG compression changes in each tile.

    References
    ----------
    Krawetz 2007, A picture's worth: digital image analysis and forensics.
    """

    threshold: float = 10.6
    name: str = "error level analysis"
    is_blind: bool = True

    def enrol(self, image: MedicalImage) -> bytes:  # noqa: ARG002  of the interface
        """Return nothing."""
        return b""

    def compare(self, image: MedicalImage, record: bytes) -> Reading:  # noqa: ARG002
        """Return the deviation of the most unusual tile."""
        shown = np.ascontiguousarray(display_values(image, frame=0))
        again = imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(shown, level=_QUALITY))
        error = np.abs(again.astype(np.float32) - shown.astype(np.float32))
        if error.ndim == _COLOUR_DIMENSIONS:
            error = error.mean(axis=2)
        levels = _tiles(np.asarray(error, np.float32)).mean(axis=2)
        return _unusual(levels, luma(image), limit=self.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseLevel:
    """The median absolute deviation of a diagonal high pass in each tile.

    References
    ----------
    Mahdian and Saic 2009, doi:10.1016/j.imavis.2009.02.001, with the mask of Immerkaer 1996.
    """

    threshold: float = 22.0
    name: str = "noise residual"
    is_blind: bool = True

    def enrol(self, image: MedicalImage) -> bytes:  # noqa: ARG002  of the interface
        """Return nothing."""
        return b""

    def compare(self, image: MedicalImage, record: bytes) -> Reading:  # noqa: ARG002
        """Return the deviation of the most unusual tile."""
        plane = luma(image)
        kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
        residual = np.asarray(cv2.filter2D(plane, cv2.CV_32F, kernel), np.float32)
        levels = np.median(np.abs(_tiles(residual)), axis=2)
        return _unusual(np.asarray(levels, np.float32), plane, limit=self.threshold)
