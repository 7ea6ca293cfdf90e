"""Analog residual: what the coarse picture lacks, sent as a small shift of every point.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Heard",
    "code_of_factor",
    "factor_of_code",
    "gain_code_of",
    "heard",
    "restored",
    "shifts",
]

Floats = NDArray[np.float32]
Levels = NDArray[Any]

# Spread of the shifts: loud enough to be heard through JPEG 90, small beside the 64 levels between
# two points.
_SPREAD = 8.0
_LOUDEST = 12.0
_MOST_SHIFT = 127
# A factor f is written as floor(8 log2 f) + 128.
_CODE_STEPS, _CODE_ZERO = 8, 128
_BLOCK = 8
# Below this mean square the noise is rounding, or nothing.
_LEAST_NOISE = 0.35
_LEAST_BLOCKS = 48
_HELD, _HELD_SHARE = 0.5, 0.9
_DEAF = 1e3


def factor_of_code(code: int) -> float:
    """Return the factor of a code of 0 to 255: 2 ** -16 to 2 ** 15.9."""
    return float(2.0 ** ((code - _CODE_ZERO) / _CODE_STEPS))


def code_of_factor(factor: float) -> int:
    """Return the code of the next smaller factor."""
    return int(np.clip(np.floor(_CODE_STEPS * np.log2(factor) + 1e-9) + _CODE_ZERO, 0, 255))


def gain_code_of(residual: Levels) -> int:
    """Return the code of the gain by which a residual is sent.

    Its spread becomes 8 levels. It is sent louder, up to 12, where a gain of 1 then brings every
    level of an undisturbed image home, and more softly where its largest value must fit the circle.
    """
    deviation = float(np.sqrt(np.mean(np.square(residual, dtype=np.float64))))
    if deviation == 0:
        return code_of_factor(1.0)
    gain = _SPREAD / deviation
    if deviation <= _LOUDEST:
        gain = max(gain, 1.0)
    largest = float(np.abs(residual).max())
    if gain > 1:
        gain = min(gain, max(1.0, _MOST_SHIFT / largest))
    return code_of_factor(gain)


def shifts(residual: Levels, gain: float) -> NDArray[np.int16]:
    """Return whole levels of -127 to 127 for a residual."""
    scaled = np.rint(residual * np.float64(gain))
    return np.clip(scaled, -_MOST_SHIFT, _MOST_SHIFT).astype(np.int16)


def restored(coarse: Levels, shift: Levels, gain: float, *, white: int) -> NDArray[np.int64]:
    """Return the stored values, 0 to `white`, that undisturbed shifts give."""
    values = np.rint(coarse.astype(np.float64) + shift / gain)
    return np.clip(values, 0, white).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """Shifts as they came back.

    Attributes
    ----------
    shift
        Unbiased, (rows, columns) of the frame that travelled.
    noise
        Standard deviation of what is wrong with them, in levels.
    """

    shift: Floats
    noise: float


def heard(distance: Floats, held: Floats, power: float) -> Heard:
    """Return the shifts in what was received.

    JPEG, and most other channels, disturb the frequencies of a block of 8 x 8 pixels unequally.
    The shifts are white there, as their places are drawn at random: so each frequency is weighted
    by its own ratio of signal to noise.

    Parameters
    ----------
    distance
        Received levels less point, mask and tone curve: (rows, columns).
    held
        Probability of each pixel to have come through: (rows, columns).
    power
        Mean square of the shifts that were sent.
    """
    good = held > _HELD
    if not good.any():
        return Heard(shift=distance, noise=_DEAF)
    noise = float(np.average(np.square(distance, dtype=np.float64), weights=held)) - power
    if noise < _LEAST_NOISE:
        return Heard(shift=distance, noise=0.0)
    plain = Heard(shift=distance, noise=float(np.sqrt(noise)))
    rows, columns = (side // _BLOCK for side in distance.shape)
    if rows * columns == 0 or power == 0:
        return plain
    inner = np.s_[: rows * _BLOCK, : columns * _BLOCK]
    blocks = _blocks(np.where(good, distance, np.float32(0))[inner])
    whole = _blocks(good[inner].astype(np.float32)).mean((1, 2)) > _HELD_SHARE
    if whole.sum() < _LEAST_BLOCKS:
        return plain
    matrix = _cosines()
    frequencies = matrix @ blocks @ matrix.T
    total = np.square(frequencies[whole], dtype=np.float64).mean(0)
    share = np.asarray(power / np.maximum(total, power), np.float32)
    mean = float(share.mean())
    result = distance.copy()
    clear = np.asarray(matrix.T @ (share * frequencies) @ matrix / mean, np.float32)
    result[inner] = _joined(clear, rows, columns)
    return Heard(shift=result, noise=float(np.sqrt(power * (1 - mean) / mean)))


def _cosines() -> Floats:
    """Return the orthonormal matrix of the discrete cosine transform."""
    return np.asarray(cv2.dct(np.eye(_BLOCK, dtype=np.float32), flags=cv2.DCT_ROWS).T, np.float32)


def _blocks(plane: Floats) -> Floats:
    rows, columns = (side // _BLOCK for side in plane.shape)
    return plane.reshape(rows, _BLOCK, columns, _BLOCK).swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)


def _joined(blocks: Floats, rows: int, columns: int) -> Floats:
    return (
        blocks.reshape(rows, columns, _BLOCK, _BLOCK)
        .swapaxes(1, 2)
        .reshape(rows * _BLOCK, columns * _BLOCK)
    )
