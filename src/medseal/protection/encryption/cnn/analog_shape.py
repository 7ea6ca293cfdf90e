"""What a frame of an analog cipher image is made of, and the order in which its planes travel.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.protection.encryption.cnn.analog_carrier import LEVELS
from medseal.protection.encryption.cnn.analog_coarse import decompress

__all__ = ["Shape"]

Levels = NDArray[Any]

_COLOUR = 3
_BYTE_BITS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a frame is: stored values as (rows, columns, samples) of so many bits, without sign."""

    rows: int
    columns: int
    samples: int
    bits: int

    @property
    def white(self) -> int:
        """Largest value."""
        return (1 << self.bits) - 1

    @property
    def stacked(self) -> tuple[int, int]:
        """Rows and columns of the planes below one another."""
        return self.rows * self.samples, self.columns

    @property
    def cells(self) -> int:
        """Pixels of the frame that travels."""
        return self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type in which the coarse picture is coded."""
        return np.dtype(np.uint8 if self.bits <= _BYTE_BITS else np.uint16)

    @property
    def in_colour(self) -> bool:
        """Whether the planes are coded together."""
        return self.samples == _COLOUR and self.bits <= _BYTE_BITS

    def coded(self, stack: Levels) -> Levels:
        """Return planes below one another in the form in which they are coded."""
        values = stack.astype(self.dtype)
        return self.unstacked(values) if self.in_colour else values

    def stack(self, frame: Levels) -> Levels:
        """Return (rows, columns, samples) as planes below one another."""
        return np.ascontiguousarray(frame.transpose(2, 0, 1)).reshape(self.stacked)

    def unstacked(self, stack: Levels) -> Levels:
        """Return planes below one another as (rows, columns, samples)."""
        planes = stack.reshape(self.samples, self.rows, self.columns)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))

    def picture(self, packets: bytes, layers: int) -> Levels:
        """Return the coarse picture that packets give: planes below one another, int64."""
        shape = (self.rows, self.columns, self.samples) if self.in_colour else self.stacked
        values = decompress(packets, shape=shape, dtype=self.dtype, layers=layers)
        values = self.stack(values) if self.in_colour else values
        return np.minimum(values.astype(np.int64), self.white)

    @property
    def plain_gain(self) -> float:
        """Gain of an image that is too small for a coarse picture: its values fill the circle."""
        return (LEVELS - 1) / self.white
