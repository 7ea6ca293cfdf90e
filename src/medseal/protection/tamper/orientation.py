"""The eight orientations of an image, by name, with their way back."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import StoredValues

__all__ = ["ORIENTATIONS", "Box", "Orientation"]

Box = tuple[int, int, int, int]
"""First row and column, and those behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Orientation:
    """A number of quarter turns, then perhaps a mirror from left to right.

    Attributes
    ----------
    name
        What was done to the copy; empty for nothing.
    quarter_turns
        Counter-clockwise.
    mirrored
        Whether left and right are exchanged after the turns.
    """

    name: str
    quarter_turns: int
    mirrored: bool

    @property
    def swaps_sides(self) -> bool:
        """True if rows become columns."""
        return self.quarter_turns % 2 == 1

    def undo(self, values: StoredValues) -> StoredValues:
        """Return the original of a copy: (frames, rows, columns, samples)."""
        if self.mirrored:
            values = values[:, :, ::-1]
        return np.rot90(values, -self.quarter_turns, axes=(1, 2))

    def apply(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return a mask of the original as it lies on the copy: (rows, columns)."""
        turned = np.rot90(mask, self.quarter_turns)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)

    def apply_box(self, box: Box, *, rows: int, columns: int) -> Box:
        """Return a rectangle of an original of this size as it lies on the copy."""
        top, left, bottom, right = box
        for _ in range(self.quarter_turns):
            top, left, bottom, right = columns - right, top, columns - left, bottom
            rows, columns = columns, rows
        if self.mirrored:
            left, right = columns - right, columns - left
        return top, left, bottom, right


ORIENTATIONS = (
    Orientation(name="", quarter_turns=0, mirrored=False),
    Orientation(name="turned by 90 degrees", quarter_turns=1, mirrored=False),
    Orientation(name="turned by 180 degrees", quarter_turns=2, mirrored=False),
    Orientation(name="turned by 270 degrees", quarter_turns=3, mirrored=False),
    Orientation(name="mirrored left to right", quarter_turns=0, mirrored=True),
    Orientation(name="mirrored top to bottom", quarter_turns=2, mirrored=True),
    Orientation(name="mirrored along the main diagonal", quarter_turns=3, mirrored=True),
    Orientation(name="mirrored along the other diagonal", quarter_turns=1, mirrored=True),
)
"""All of them, the untouched one first; turns are counter-clockwise."""
