"""What a watermark that was read says about the places of a copy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError

__all__ = ["MarkEvidence"]

_PLACEMENT_SHAPE = (2, 3)
_CELL_AXES = 2


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
