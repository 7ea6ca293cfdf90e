"""What a watermark that was read says about the places of a copy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError

__all__ = ["MarkEvidence"]

_PLACEMENT_SHAPE = (2, 3)
_CELL_AXES = 2
_CELL = 8
# Of the surest place: from here on a cell is suspected, and below there it is not.
_SUSPECTED, _UNSUSPECTED = 0.5, 0.25
# Cells that the deviation of what is heard is taken from.
_LEAST_CELLS = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarkEvidence:
    """How well the mark of a copy is heard in each part of it.

    A mark proves no integrity; where something else stands it is not heard.

    Attributes
    ----------
    cells
        (rows, columns): log-likelihood ratio that a cell of 8 x 8 places bears the mark rather than
        none; about 0 where it is too faint to tell, clearly negative where something else stands.
    placement
        (2, 3): column and row of a place of the frame of cells, in places, to column and row of
        the copy.

    Raises
    ------
    ImageMismatchError
        One of them has another shape, or is not finite.
    """

    cells: NDArray[np.float64]
    placement: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.cells.ndim != _CELL_AXES or self.placement.shape != _PLACEMENT_SHAPE:
            raise ImageMismatchError("cells of a mark have two axes, their placement 2 x 3 numbers")
        if not (np.isfinite(self.cells).all() and np.isfinite(self.placement).all()):
            raise ImageMismatchError("cells of a mark and their placement are finite numbers")

    @property
    def heard_share(self) -> float:
        """Share of the cells that bear the mark rather than none, 0 to 1; 0 without cells."""
        return float((self.cells > 0).mean()) if self.cells.size else 0.0

    def absence(self, score_map: NDArray[np.float32]) -> float:
        """Return how much better the suspected cells fit a missing mark than a present one.

        What is heard of a cell is taken as normal: about the mean of the cells that nobody
        suspects where the mark is present, about 0 where it is not, with one deviation.

        Parameters
        ----------
        score_map
            (rows, columns) of the copy, 0 to 1: how surely each place was forged.

        Returns
        -------
        float
            Log-likelihood ratio, positive where the mark is missing; 0 where too little is heard.
        """
        scores = self._scores(score_map)
        inside = ~np.isnan(scores)
        top = float(scores[inside].max(initial=0.0))
        suspected = inside & (scores >= _SUSPECTED * top)
        others = self.cells[inside & (scores < _UNSUSPECTED * top)]
        if not suspected.any() or others.size < _LEAST_CELLS:
            return 0.0
        deviation, expected = float(others.std()), float(others.mean())
        if deviation == 0 or expected <= 0:
            return 0.0
        root = float(np.sqrt(suspected.sum()))
        heard = float(self.cells[suspected].mean()) * root / deviation
        usual = expected * root / deviation
        return usual * (usual / 2 - heard)

    def _scores(self, score_map: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the score at the centre of each cell, NaN outside the copy."""
        rows, columns = np.indices(self.cells.shape) * _CELL + (_CELL - 1) / 2
        places = np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])
        across, down = np.rint(self.placement @ places).astype(int)
        height, width = score_map.shape
        inside = (across >= 0) & (across < width) & (down >= 0) & (down < height)
        scores = np.full(rows.size, np.nan, np.float32)
        scores[inside] = score_map[down[inside], across[inside]]
        return scores.reshape(self.cells.shape)
