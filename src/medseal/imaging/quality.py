"""Is there anything to see: contrast, flatness and saturation of display values."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.preprocess import to_grey

__all__ = ["Quality", "measure_quality"]

_LEVELS = 256
# Above this share of one grey value nothing is left to judge.
_BLANK_FLATNESS = 0.995


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
    counts = np.bincount(grey.ravel(), minlength=_LEVELS)
    low, high = np.percentile(grey, [1, 99])
    return Quality(
        contrast=float(high - low) / (_LEVELS - 1),
        flatness=float(counts.max() / grey.size),
        saturation=float(counts[-1] / grey.size),
    )
