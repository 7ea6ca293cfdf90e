"""Chosen-plaintext attack on structure: black and white images, looked at for repeated blocks.

A network without keyed constants answers equal cells with equal words, so an image of one value
whose size fills the grid of cells exactly comes out as a pattern that repeats. The sizes are those
at which grids of 16 and 64 bytes are full, and one at which they are not. No security claim rests
on a learned method.
"""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.encryption_subjects import Subject

__all__ = ["SIZES", "repeated_blocks", "repeats"]

SIZES = ((64, 64), (128, 64), (96, 96), (128, 128))
_VALUES = (0, 255)
_BLOCK = 64
# A form that sends four levels has two bits a value, the least of all that are tried.
_BITS_A_VALUE = 2


def repeats(hidden: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the number of blocks of 64 values, and how many pairs of them are equal."""
    flat = hidden.reshape(-1)
    blocks = flat[: flat.size // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    counts = Counter(block.tobytes() for block in blocks)
    return len(blocks), sum(count * (count - 1) // 2 for count in counts.values())


def repeated_blocks(subject: Subject, *, generator: np.random.Generator) -> dict[str, Any]:
    """Return for each size and value how many blocks of the cipher image are equal.

    The p-value is the expected number of equal pairs in random values of two bits each, an upper
    bound of the chance of one; 1 where none is equal.
    """
    found: dict[str, Any] = {}
    key = subject.key(generator)
    for rows, columns in SIZES:
        for value in _VALUES:
            image = np.full((rows, columns), value, np.uint8)
            blocks, equal = repeats(subject.pixels(image, key, subject.nonce(generator)))
            expected = blocks * (blocks - 1) / 2 * 2.0 ** (-_BITS_A_VALUE * _BLOCK)
            found[f"{rows} x {columns} of {value}"] = {
                "blocks": blocks,
                "equal_pairs": equal,
                "p_value": expected if equal else 1.0,
            }
    return found
