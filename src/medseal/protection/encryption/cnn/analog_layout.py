"""Where the coarse picture lies in an analog cipher image: its shape alone decides.

No length depends on the content, so that none leaks anything of it. No security claim rests on a
learned method: confidentiality and integrity come from the sealed package around it.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from medseal.protection.encryption.ldpc import Code

__all__ = ["BITS_A_CELL", "Layout", "Part", "layout_of"]

BITS_A_CELL = 2
# The base is sent twice: it is read through most of what the detail no longer endures.
_BASE_RATE, _BASE_TIMES = "1/2", 2
_DETAIL_RATE, _DETAIL_TIMES = "7/12", 1
_BASE_SHARE = 0.3
# Below these numbers of cells a base, or any coarse picture, would hold next to nothing.
_LEAST_CELLS_WITH_BASE = 4096
_LEAST_CELLS = 640
_GOLDEN = 0.6180339887498949
_BITS_A_BYTE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One message.

    Attributes
    ----------
    start, cells
        Its cells in the order of the carrier.
    code
        Of its bits.
    times
        How often the codeword is sent.
    """

    start: int
    cells: int
    code: Code
    times: int

    @property
    def message_bytes(self) -> int:
        """Length of the message."""
        return self.code.message_bits // _BITS_A_BYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Division of the cells of one frame.

    Attributes
    ----------
    cells
        Pixels of the frame of the cipher image.
    base, detail
        Messages; None where the image is too small for one.
    stride
        The residual of pixel k travels in cell k * stride modulo `cells`, so that neighbours, and
        pixels of one kind, are spread over both parts.
    """

    cells: int
    base: Part | None
    detail: Part | None
    stride: int

    def residual_cells(self) -> NDArray[np.int64]:
        """Return the cell of each pixel's residual, in the order of the carrier: (cells,)."""
        return np.arange(self.cells, dtype=np.int64) * self.stride % self.cells


def _part(start: int, cells: int, rate: str, times: int) -> Part:
    """Return the longest message of whole bytes whose codeword fits the cells so many times."""
    room = cells * BITS_A_CELL // times
    size = room // _BITS_A_BYTE
    while (code := Code.of(rate, size * _BITS_A_BYTE)).coded_bits > room:
        size -= max(1, (code.coded_bits - room) // (4 * _BITS_A_BYTE))
    return Part(start=start, cells=cells, code=code, times=times)


def _stride(cells: int) -> int:
    stride = max(1, int(cells * _GOLDEN))
    while gcd(stride, cells) != 1:
        stride += 1
    return stride


@lru_cache(maxsize=64)
def layout_of(cells: int) -> Layout:
    """Return the layout of a frame of so many cells."""
    stride = _stride(cells)
    if cells < _LEAST_CELLS:
        return Layout(cells=cells, base=None, detail=None, stride=stride)
    if cells < _LEAST_CELLS_WITH_BASE:
        whole = _part(0, cells, _DETAIL_RATE, _DETAIL_TIMES)
        return Layout(cells=cells, base=None, detail=whole, stride=stride)
    share = int(cells * _BASE_SHARE)
    return Layout(
        cells=cells,
        base=_part(0, share, _BASE_RATE, _BASE_TIMES),
        detail=_part(share, cells - share, _DETAIL_RATE, _DETAIL_TIMES),
        stride=stride,
    )
