"""One logit from what a comparison saw: the surest tiles, the usual ones, and how the copy lies.

A tile that is sure among many that are nearly so is less than one that stands alone, and a copy
that was handled roughly excuses more than one that was not. The number of tiles and the share that
the registration explains are left out: they tell small images and large forgeries, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from medseal.errors import WeightsError
from medseal.protection.tamper.canonical import Plane
from medseal.protection.tamper.reference.alignment import Aligned

__all__ = ["CLUES", "FUSION", "UNSEEN_LOGIT", "Fusion", "clues", "image_logit"]

FUSION = "fusion"
"""Name of the tensor: a weight for each clue, then the constant."""

UNSEEN_LOGIT = -20.0
"""Of a tile that does not lie in the copy."""

_QUANTILES = (0.5, 0.9, 0.95, 0.98, 0.99, 0.995)
CLUES = 7 + len(_QUANTILES)
"""Numbers that `clues` gives."""

_SHARPNESS = 4.0
_HALF = 0.5
_UPPER = 0.9
# Tiles around the surest one that belong to the same place.
_AROUND = 2
_LARGEST = 30.0

Values = NDArray[np.float64]


def image_logit(tiles: Plane, outside: Plane) -> float:
    """Return a soft maximum over the tiles that are seen, as in `losses.image_logit`."""
    logits = np.where(outside < _HALF, tiles, UNSEEN_LOGIT).astype(np.float64) * _SHARPNESS
    top = float(logits.max())
    return (top + float(np.log(np.exp(logits - top).sum()))) / _SHARPNESS


def _second(tiles: Plane, outside: Plane) -> float:
    """Return the surest logit that is not beside the surest of all."""
    seen = np.where(outside < _HALF, tiles, UNSEEN_LOGIT)
    row, column = np.unravel_index(int(seen.argmax()), seen.shape)
    rows = slice(max(0, int(row) - _AROUND), int(row) + _AROUND + 1)
    seen[rows, max(0, int(column) - _AROUND) : int(column) + _AROUND + 1] = UNSEEN_LOGIT
    return float(seen.max())


def clues(tiles: Plane, energy: Plane, outside: Plane, laid: Aligned) -> Values:
    """Return what is known of a copy as a whole.

    Parameters
    ----------
    tiles
        (down, across): logit of each tile.
    energy
        (down, across): how unlike its features are, 0 to 1.
    outside
        (down, across): share of it that does not lie in the copy. Some tile lies in it.
    laid
        The copy, laid on its record.

    Returns
    -------
    numpy.ndarray
        (CLUES,): the soft maximum of the logits first.
    """
    shown = outside < _HALF
    found = [
        image_logit(tiles, outside),
        _second(tiles, outside),
        *np.quantile(tiles[shown], _QUANTILES),
        float(np.median(energy[shown])),
        float(np.quantile(energy[shown], _UPPER)),
        float(np.asarray(laid.clipped, np.float64).mean()),
        float(np.asarray(laid.unknown, np.float64).mean()),
        float(laid.registration.moved),
    ]
    return np.clip(np.array(found, np.float64), -_LARGEST, _LARGEST)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fusion:
    """Weights of the clues, fixed on patients kept for that.

    Attributes
    ----------
    weights
        (CLUES,).
    constant
        Added to their sum.
    """

    weights: Values
    constant: float

    @classmethod
    def of(cls, tensors: Mapping[str, NDArray[np.generic]], *, name: str) -> Self:
        """Return the fusion among the tensors of a model; without one, the first clue alone.

        Raises
        ------
        WeightsError
            It has another size, or is not finite.
        """
        if FUSION not in tensors:
            return cls(weights=np.eye(1, CLUES)[0], constant=0.0)
        numbers = np.asarray(tensors[FUSION], np.float64)
        if numbers.shape != (CLUES + 1,) or not np.isfinite(numbers).all():
            raise WeightsError(f"{name}: its fusion is not {CLUES} weights and a constant")
        return cls(weights=numbers[:-1], constant=float(numbers[-1]))

    def logit(self, found: Values) -> float:
        """Return the sum of the clues by their weights."""
        return float(found @ self.weights) + self.constant

    def tensor(self) -> NDArray[np.float32]:
        """Return what `of` reads."""
        return np.append(self.weights, self.constant).astype(np.float32)
