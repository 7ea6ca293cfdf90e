"""What turns raw scores into probabilities and decisions: fixed on validation images, stored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.errors import WeightsError
from medseal.protection.tamper.blind.scan import Scan

__all__ = ["PREFIX", "Calibration", "calibration_of", "evened"]

PREFIX = "calibration."
"""Of the names of its tensors beside those of the network."""

_NUMBERS = (
    "slope",
    "tiles_slope",
    "offset",
    "threshold",
    "false_alarm_rate",
    "map_threshold",
    "most_distance",
)
_MOST_EXPONENT = 60.0
# Added to a feature before its logarithm: below it differences say nothing.
_LEAST_FEATURE = 0.02

Tensors = Mapping[str, NDArray[Any]]


def evened(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return logarithms of features, which are means of what is never negative."""
    return np.asarray(np.log(np.maximum(features, 0) + _LEAST_FEATURE), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Calibration:
    """Numbers fixed on validation images.

    Attributes
    ----------
    slope, tiles_slope, offset
        Log-odds of a forgery = slope x score + tiles_slope x log2(tiles) + offset, where half of
        the images are forged.
    threshold
        Probability from which an image is flagged.
    false_alarm_rate
        Share of the clean validation images that it flags.
    map_threshold
        Log-odds from which a place belongs to the mask.
    centre, whitening
        (C,) and (C, C): `evened` features, less the centre, times the whitening have unit variance.
    most_distance
        From the centre, of images that the network knows.
    """

    slope: float
    tiles_slope: float
    offset: float
    threshold: float
    false_alarm_rate: float
    map_threshold: float
    most_distance: float
    centre: NDArray[np.float32]
    whitening: NDArray[np.float32]

    @property
    def numbers(self) -> dict[str, float]:
        """All of it but centre and whitening, by name."""
        return {name: getattr(self, name) for name in _NUMBERS}

    def probability(self, score: float, *, tiles: int) -> float:
        """Return the probability of a forgery from the highest score of so many tiles."""
        odds = self.slope * score + self.tiles_slope * float(np.log2(tiles)) + self.offset
        return float(1 / (1 + np.exp(-np.clip(odds, -_MOST_EXPONENT, _MOST_EXPONENT))))

    def distance(self, features: NDArray[np.float32]) -> float:
        """Return the Mahalanobis distance of features from those of the training images."""
        away = (evened(features) - self.centre) @ self.whitening
        return float(np.sqrt(np.mean(away**2)))

    def mask(self, scan: Scan) -> NDArray[np.bool_]:
        """Return the places that look changed: (rows, columns)."""
        return np.asarray(scan.forged >= self.map_threshold, np.bool_)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        """Return what `calibration_of` reads."""
        numbers = np.array(list(self.numbers.values()), np.float32)
        parts = {"numbers": numbers, "centre": self.centre, "whitening": self.whitening}
        return {f"{PREFIX}{name}": part for name, part in parts.items()}


def calibration_of(tensors: Tensors, *, name: str) -> Calibration:
    """Return the calibration among the tensors of a model.

    Raises
    ------
    WeightsError
        It is missing or malformed; `name` stands in the message.
    """
    try:
        numbers, centre, whitening = (
            np.asarray(tensors[f"{PREFIX}{part}"], np.float32)
            for part in ("numbers", "centre", "whitening")
        )
    except KeyError as error:
        raise WeightsError(f"{name}: there is no calibration beside the network") from error
    channels = centre.size
    fits = numbers.shape == (len(_NUMBERS),) and whitening.shape == (channels, channels)
    if not fits or not all(np.isfinite(part).all() for part in (numbers, centre, whitening)):
        raise WeightsError(f"{name}: the calibration is malformed")
    values = dict(zip(_NUMBERS, map(float, numbers), strict=True))
    return Calibration(**values, centre=centre, whitening=whitening)
