"""Encryption-then-compression: blocks shuffled, turned and inverted; a known-bad baseline.

The cipher image compresses as the image does, because the inside of each block stays as it was;
that is also what jigsaw solvers and histograms see. For measuring alone; no security claim rests on
a learned method.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.protection.encryption.baselines.method import (
    Bytes,
    as_image,
    checked,
    generator_of,
)

__all__ = ["BlockScrambling"]

_TURNS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockScrambling:
    """Kiya's grey scheme: order of blocks, quarter turns and mirrors, negatives.

    Attributes
    ----------
    side
        Of a block, in pixels; both sides of an image are whole multiples.

    References
    ----------
    Chuman, Sirichotedumrong, Kiya 2018, doi:10.1109/TIFS.2018.2881677. Jigsaw attacks:
    arXiv:2202.00806, arXiv:2211.02369.
    """

    name: str = "EtC block scrambling"
    side: int = 8

    def _cut(self, values: Bytes) -> Bytes:
        rows, columns = values.shape
        if rows % self.side or columns % self.side:
            raise InputError(f"block scrambling takes sides that are multiples of {self.side}")
        down, across = rows // self.side, columns // self.side
        parts = values.reshape(down, self.side, across, self.side).transpose(0, 2, 1, 3)
        return parts.reshape(down * across, self.side, self.side)

    def _joined(self, blocks: Bytes, shape: tuple[int, int]) -> Bytes:
        down, across = shape[0] // self.side, shape[1] // self.side
        parts = blocks.reshape(down, across, self.side, self.side).transpose(0, 2, 1, 3)
        return np.ascontiguousarray(parts.reshape(shape))

    @staticmethod
    def _draws(key: bytes, count: int) -> tuple[NDArray[np.int64], ...]:
        generator = generator_of(key, "block scrambling")
        order = generator.permutation(count)
        return (
            order,
            generator.integers(0, _TURNS, count),
            generator.integers(0, 2, count),
            generator.integers(0, 2, count),
        )

    def encrypt(self, values: Bytes, key: bytes, nonce: bytes) -> Bytes:  # noqa: ARG002  of the interface
        """Return as many values as the image has; the nonce is not used.

        Raises
        ------
        InputError
            A side is no multiple of the block.
        """
        blocks = self._cut(checked(values))
        order, turns, mirrored, inverted = self._draws(key, len(blocks))
        blocks = blocks[order]
        for number, turn in enumerate(turns):
            block = np.rot90(blocks[number], int(turn))
            blocks[number] = block[:, ::-1] if mirrored[number] else block
        blocks[inverted == 1] = 255 - blocks[inverted == 1]
        return self._joined(blocks, (values.shape[0], values.shape[1])).ravel()

    def decrypt(
        self,
        values: Bytes,
        key: bytes,
        nonce: bytes,  # noqa: ARG002  of the interface
        *,
        shape: tuple[int, int],
    ) -> Bytes:
        """Return the image; damage stays where it is within its block."""
        blocks = self._cut(as_image(values, shape))
        order, turns, mirrored, inverted = self._draws(key, len(blocks))
        blocks[inverted == 1] = 255 - blocks[inverted == 1]
        for number, turn in enumerate(turns):
            block = blocks[number, :, ::-1] if mirrored[number] else blocks[number]
            blocks[number] = np.rot90(block, -int(turn))
        plain = np.empty_like(blocks)
        plain[order] = blocks
        return self._joined(plain, shape)
