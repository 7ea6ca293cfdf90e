"""Layers of the integer cipher: convolutions from bytes to bytes on a torus, all of them exact.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from medseal.errors import InexactArithmeticError
from medseal.protection.encryption.cnn.backends import (
    EXACT_LIMIT,
    MAX_INPUT,
    MAX_WEIGHT,
    Product,
)
from medseal.protection.encryption.keystream import Stream

__all__ = [
    "Layer",
    "Map",
    "check_bound",
    "convolve",
    "draw_layer",
    "fold_bytes",
    "fold_words",
    "mix",
    "pool",
    "to_space",
    "upsample",
]

Map = NDArray[np.uint8]
"""(rows, columns, channels)."""
Sums = NDArray[np.int32]
Fold = Callable[[Sums], NDArray[Any]]

_KERNEL = 3
# So many places at a time that sums and gathered neighbours stay in the second-level cache.
_BAND_PLACES = 2048
_WEIGHT_BITS_MASK = 2 * MAX_WEIGHT - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layer:
    """Weights of one layer.

    Attributes
    ----------
    matrix
        (inputs, outputs), -64 to 63; the inputs of a 3 x 3 layer are ordered by row, column,
        channel.
    bias
        (outputs,), below 2**16.
    """

    matrix: NDArray[np.int8]
    bias: Sums


def draw_layer(stream: Stream, inputs: int, outputs: int) -> Layer:
    """Return a layer from the key stream: one byte a weight, then two a bias."""
    data = np.frombuffer(stream.bytes(inputs * outputs), np.uint8)
    matrix = ((data & _WEIGHT_BITS_MASK).astype(np.int8) - np.int8(MAX_WEIGHT)).reshape(
        inputs, outputs
    )
    check_bound(matrix)
    return Layer(matrix=matrix, bias=stream.words(outputs).astype(np.int32))


def check_bound(matrix: NDArray[np.int8]) -> None:
    """Check at key set-up that no sum can reach 2**24: then float32 is exact in any order.

    Raises
    ------
    InexactArithmeticError
        A column of weights is too large.
    """
    bound = int(np.abs(matrix.astype(np.int32)).sum(axis=0).max()) * MAX_INPUT
    if bound >= EXACT_LIMIT:
        raise InexactArithmeticError(
            f"a sum of the integer cipher may reach {bound}; update medseal"
        )


def fold_bytes(sums: Sums) -> NDArray[np.uint8]:
    """Return (sum xor sum / 2**8) mod 2**8, the activation; `sums` is overwritten."""
    sums ^= sums >> 8
    return sums.astype(np.uint8)


def fold_words(sums: Sums, factors: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Return 16-bit words, each from two sums: join, fold, multiply by odd keyed factors, fold.

    Parameters
    ----------
    sums
        (places, 2 * channels). One sum spreads over little more than 2**16; the second one, 32
        times, makes every word equally likely.
    factors
        (channels,), odd.
    """
    channels = len(factors)
    joined = sums[:, channels:] << 5
    joined += sums[:, :channels]
    joined ^= joined >> 11
    words = joined.astype(np.uint16)
    words *= factors
    words ^= words >> np.uint16(8)
    return words


def mix(product: Product, source: Map, layer: Layer, fold: Fold = fold_bytes) -> NDArray[Any]:
    """Return a 1 x 1 convolution and its fold: (rows, columns, outputs)."""
    rows, columns, channels = source.shape
    flat = source.reshape(rows * columns, channels)
    parts = [
        _finish(product(flat[start : start + _BAND_PLACES], layer.matrix), layer, fold)
        for start in range(0, len(flat), _BAND_PLACES)
    ]
    return np.concatenate(parts).reshape(rows, columns, -1)


def convolve(product: Product, source: Map, layer: Layer, *, stride: int = 1) -> Map:
    """Return a 3 x 3 convolution on the torus and its fold.

    Parameters
    ----------
    product
        From a backend.
    source
        (rows, columns, channels); sides divisible by the stride.
    layer
        Of 9 * channels inputs.
    stride
        1 or 2.

    Returns
    -------
    NDArray
        (rows / stride, columns / stride, outputs).
    """
    around = _with_border(source)
    rows, columns = source.shape[0] // stride, source.shape[1] // stride
    reach = _KERNEL * source.shape[2]
    down, right, one = around.strides
    band_rows = max(1, _BAND_PLACES // columns)
    parts: list[NDArray[Any]] = []
    for start in range(0, rows, band_rows):
        height = min(band_rows, rows - start)
        gathered = np.empty((height, columns, _KERNEL, reach), np.uint8)
        for offset in range(_KERNEL):
            # The three neighbours in a row lie side by side in memory.
            gathered[:, :, offset] = as_strided(
                around[start * stride + offset :],
                (height, columns, reach),
                (stride * down, stride * right, one),
                writeable=False,
            )
        sums = product(gathered.reshape(height * columns, _KERNEL * reach), layer.matrix)
        parts.append(_finish(sums, layer, fold_bytes))
    return np.concatenate(parts).reshape(rows, columns, -1)


def _finish(sums: Sums, layer: Layer, fold: Fold) -> NDArray[Any]:
    """Add the bias and fold."""
    sums += layer.bias
    return fold(sums)


def _with_border(source: Map) -> Map:
    """Return the map with the opposite edges of the torus around it."""
    rows, columns, channels = source.shape
    around = np.empty((rows + 2, columns + 2, channels), np.uint8)
    around[1:-1, 1:-1] = source
    around[0, 1:-1], around[-1, 1:-1] = source[-1], source[0]
    around[:, 0], around[:, -1] = around[:, -2], around[:, 1]
    return around


def pool(source: Map) -> Map:
    """Return the sums of 2 x 2 places modulo 2**8: (rows / 2, columns / 2, channels)."""
    upper = source[0::2, 0::2] + source[0::2, 1::2]
    lower = source[1::2, 0::2] + source[1::2, 1::2]
    return upper + lower


def upsample(source: Map) -> Map:
    """Return every place four times: (2 rows, 2 columns, channels)."""
    return source.repeat(2, axis=0).repeat(2, axis=1)


def to_space(source: Map) -> Map:
    """Return a quarter of the channels on four times the places: depth to space."""
    rows, columns, channels = source.shape
    blocks = source.reshape(rows, columns, 2, 2, channels // 4).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(2 * rows, 2 * columns, channels // 4)
