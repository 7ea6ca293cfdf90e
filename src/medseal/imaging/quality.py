"""Is there anything to see: contrast, flatness and saturation of display values."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging.preprocess import to_grey

__all__ = ["Quality", "measure_quality"]

_LEVELS = 256
# Above this share of one grey value nothing is left to judge.
_BLANK_FLATNESS = 0.995
# Up to here float32 counts every whole number.
_MOST_FLOAT_COUNT = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """Simple measures of an image, each in [0, 1].

    Attributes
    ----------
    contrast
        99th minus 1st percentile of the grey values, as a share of the range.
    flatness
        Share of the image with its commonest grey value; 1 for a constant image.
    saturation
        Share at the largest display value, 255: over-exposed or clipped by the window.
    """

    contrast: float
    flatness: float
    saturation: float

    @property
    def is_blank(self) -> bool:
        """Whether the image holds no content that could be judged."""
        return self.flatness >= _BLANK_FLATNESS


def measure_quality(display: NDArray[np.uint8]) -> Quality:
    """Return the quality of one frame.

    Parameters
    ----------
    display
        uint8, (rows, columns) or (rows, columns, 3).

    Raises
    ------
    ImageMismatchError
        Another dtype or shape, or empty.
    """
    grey = to_grey(display)
    counts = _counts(grey)
    low, high = (_percentile(counts, percent) for percent in (1, 99))
    return Quality(
        contrast=float(high - low) / (_LEVELS - 1),
        flatness=float(counts.max() / grey.size),
        saturation=float(counts[-1] / grey.size),
    )


def _counts(grey: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return how often each grey value occurs, (256,)."""
    if grey.size > _MOST_FLOAT_COUNT:
        return np.bincount(grey.ravel(), minlength=_LEVELS).astype(np.int64)
    # Ten times as fast as NumPy; it counts in float32.
    found = cv2.calcHist([grey], [0], None, [_LEVELS], [0, _LEVELS])
    return np.asarray(found, dtype=np.int64).ravel()


def _percentile(counts: NDArray[np.int64], percent: float) -> float:
    """Return what `numpy.percentile` returns for the values that were counted."""
    below = np.cumsum(counts)
    position = (int(below[-1]) - 1) * percent / 100
    first = int(position)
    last = min(first + 1, int(below[-1]) - 1)
    low, high = np.searchsorted(below, [first, last], side="right")
    return float(low + (high - low) * (position - first))
