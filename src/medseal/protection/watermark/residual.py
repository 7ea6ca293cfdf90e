"""From the small integer map of a mark to what is added to stored values, in integers alone.

Whoever has the map gets the same differences on every machine, so that a mark can be taken out
again bit for bit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "MAP_LIMIT",
    "MAX_SCALE",
    "SHIFT_LIMITS",
    "Residual",
    "differences",
    "native",
    "quantised",
]

MAP_LIMIT = 127
"""Largest magnitude in a map."""

# Weights of the interpolation are multiples of 2**-11, so enlarged maps of 2**-22: 31 bits in all.
_WEIGHT_BITS = 11
_UNIT_BITS = 2 * _WEIGHT_BITS
_SCALE_BITS = 30
MAX_SCALE = 1 << _SCALE_BITS
SHIFT_LIMITS = (-_UNIT_BITS + 1, 40)
"""Least and largest shift, so that whole numbers of 64 bits hold every product."""
_CUBIC, _CUBIC_REACH = -0.75, 2
# Root mean square that a map is quantised to, where it is not zero: rounding adds 1 % of energy.
_MAP_LEVEL = 3.0
_STRIP_ROWS = 512

Plane = NDArray[np.float32]
Taps = tuple[NDArray[np.intp], NDArray[np.int32]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Residual:
    """What is added to one frame.

    Attributes
    ----------
    map
        (rows, columns) int8, in the working frame.
    scales
        For each marked sample, stored values for one unit of the map, times 2**shift; 0 to 2**30.
    shift
        -21 to 40.
    """

    map: NDArray[np.int8]
    scales: tuple[int, ...]
    shift: int

    @classmethod
    def of(cls, small: NDArray[np.int8], scales: Sequence[float]) -> "Residual":
        """Return the residual with these stored values for one unit of the map."""
        largest = max(scales)
        exponent = int(np.ceil(np.log2(largest))) if largest > 0 else 0
        shift = min(max(_SCALE_BITS - exponent, SHIFT_LIMITS[0]), SHIFT_LIMITS[1])
        whole = tuple(min(round(scale * 2.0**shift), MAX_SCALE) for scale in scales)
        return cls(map=small, scales=whole, shift=shift)


def quantised(residual: Plane) -> NDArray[np.int8]:
    """Return a residual as a map of small integers, up to one factor."""
    loud = residual[residual != 0]
    level = float(np.sqrt(np.mean(loud * loud))) if loud.size else 1.0
    steps = np.rint(residual * np.float32(_MAP_LEVEL / max(level, 1e-12)))
    return np.asarray(np.clip(steps, -MAP_LIMIT, MAP_LIMIT), np.int8)


def _kernel(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Return the weight at a distance: cubic (Keys 1981), or a triangle over `width` to shrink."""
    if width > 1:
        return np.asarray(np.maximum(1 - distance / width, 0))
    near = ((_CUBIC + 2) * distance - (_CUBIC + 3)) * distance * distance + 1
    far = ((distance - 5) * distance + 8) * distance - 4
    beyond = np.where(distance < _CUBIC_REACH, _CUBIC * far, 0.0)
    return np.where(distance <= 1, near, beyond)


@lru_cache(maxsize=16)
def _taps(length: int, wanted: int) -> Taps:
    """Return places and whole weights, each (wanted, taps), that resample a line.

    Only additions, products and divisions of doubles, which every machine rounds alike.
    """
    width = max(length / wanted, 1.0)
    reach = int(np.ceil(width if width > 1 else _CUBIC_REACH))
    centre = (np.arange(wanted) + 0.5) * (length / wanted) - 0.5
    first = np.floor(centre).astype(np.intp) - reach + 1
    places = first[:, None] + np.arange(2 * reach)
    weights = _kernel(np.abs(places - centre[:, None]), width)
    weights /= weights.sum(axis=1, keepdims=True)
    whole = np.rint(weights * (1 << _WEIGHT_BITS)).astype(np.int32)
    places = np.clip(places, 0, length - 1)
    for array in (places, whole):
        array.flags.writeable = False
    return places, whole


def _enlarged(small: NDArray[np.int8], shape: tuple[int, int], rows: slice) -> NDArray[np.int32]:
    """Return some rows of a map in its native size, times 2**22."""
    places, weights = (part[rows] for part in _taps(small.shape[0], shape[0]))
    lines = small.astype(np.int32)
    down = np.zeros((places.shape[0], small.shape[1]), np.int32)
    for tap in range(places.shape[1]):
        down += lines[places[:, tap]] * weights[:, tap, None]
    places, weights = _taps(small.shape[1], shape[1])
    across = np.zeros((down.shape[0], shape[1]), np.int32)
    for tap in range(places.shape[1]):
        across += down[:, places[:, tap]] * weights[:, tap]
    return across


def native(small: NDArray[np.int8], shape: tuple[int, int]) -> Plane:
    """Return a map in its native size, in units of the map."""
    unit = np.float32(2.0**-_UNIT_BITS)
    result = np.empty(shape, np.float32)
    for rows in _strips(shape[0]):
        np.multiply(_enlarged(small, shape, rows), unit, out=result[rows])
    return result


def _strips(rows: int) -> Iterator[slice]:
    for start in range(0, rows, _STRIP_ROWS):
        yield slice(start, min(start + _STRIP_ROWS, rows))


def differences(
    residual: Residual, shape: tuple[int, int]
) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield strips of rows, and what is added to the stored values there.

    Parameters
    ----------
    residual
        Map and scales.
    shape
        Rows and columns of the image.

    Returns
    -------
    iterator
        (rows of the strip, columns, marked samples), whole stored values.
    """
    shift = np.int64(_UNIT_BITS + residual.shift)
    half = np.int64(1) << (shift - 1)
    for rows in _strips(shape[0]):
        units = _enlarged(residual.map, shape, rows).astype(np.int64)
        yield (
            rows,
            np.stack([units * np.int64(scale) + half >> shift for scale in residual.scales], -1),
        )
