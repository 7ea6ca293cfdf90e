"""The keyed tile that carries the mark: signs and places of block-DCT coefficients."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.payload import CODED_BITS, derive

__all__ = ["BLOCK", "TILE", "Carrier", "block_dct", "carrier", "inverse_block_dct"]

# Side of a tile in pixels; the pattern repeats with this period in both directions.
TILE = 128
BLOCK = 8
_BLOCKS = TILE // BLOCK
# A window of this many blocks a side holds every coded bit at least twice.
_REPEAT_BLOCKS = 8
# Coefficients (vertical, horizontal frequency) that carry: low enough to outlive JPEG 50 and a
# resize to one half, without the block's mean.
_MAX_FREQUENCY = 4
_FREQUENCIES = tuple(
    (u, v)
    for u in range(_MAX_FREQUENCY + 1)
    for v in range(_MAX_FREQUENCY + 1)
    if 1 <= u + v <= _MAX_FREQUENCY
)
_SLOTS = _REPEAT_BLOCKS * _REPEAT_BLOCKS * len(_FREQUENCIES)
# A sixth of the slots carries no bit but the synchronisation sequence.
_SYNC_SLOTS = _SLOTS // 6
_SYNC = -1
_CACHED_KEYS = 8

Tile = NDArray[np.float32]


def _dct_matrix() -> Tile:
    frequency = np.arange(BLOCK)[:, None]
    place = np.arange(BLOCK)[None]
    matrix = np.sqrt(2 / BLOCK) * np.cos(np.pi * (2 * place + 1) * frequency / (2 * BLOCK))
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_DCT = _dct_matrix()


def block_dct(tile: Tile) -> Tile:
    """Return the orthonormal DCT-II of the 8 x 8 blocks: (128, 128) to (16, 16, 8, 8)."""
    blocks = tile.reshape(_BLOCKS, BLOCK, _BLOCKS, BLOCK).transpose(0, 2, 1, 3)
    return np.asarray(_DCT @ blocks @ _DCT.T, np.float32)


def inverse_block_dct(coefficients: Tile) -> Tile:
    """Return the tile with these block-DCT coefficients: (16, 16, 8, 8) to (128, 128)."""
    blocks = _DCT.T @ coefficients @ _DCT
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3).reshape(TILE, TILE), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Carrier:
    """Where and with which sign each coded bit stands in the tile; secret as the key is.

    Attributes
    ----------
    bit_of
        (16, 16, 14): index of the coded bit a coefficient carries, -1 for synchronisation.
    signs
        (16, 16, 14): +1 or -1.
    sync_spectrum
        (128, 65): conjugate spectrum of the synchronisation pattern.
    """

    bit_of: NDArray[np.intp]
    signs: Tile
    sync_spectrum: NDArray[np.complex64]

    def read(self, tile: Tile) -> Tile:
        """Return the carrying coefficients of a tile, signs taken off: (16, 16, 14)."""
        return np.asarray(block_dct(tile)[:, :, _ROWS, _COLUMNS] * self.signs, np.float32)

    def write(self, amplitudes: Tile) -> Tile:
        """Return the tile whose carrying coefficients are `amplitudes` under the key's signs."""
        coefficients = np.zeros((_BLOCKS, _BLOCKS, BLOCK, BLOCK), np.float32)
        coefficients[:, :, _ROWS, _COLUMNS] = amplitudes * self.signs
        return inverse_block_dct(coefficients)

    def sum_by_bit(self, coefficients: Tile) -> tuple[NDArray[np.float64], float]:
        """Return the sums over the carriers of each bit, (318,), and over those of the sync."""
        places = self.bit_of.ravel() + 1
        counted = np.bincount(places, coefficients.ravel(), CODED_BITS + 1)
        sums = np.asarray(counted, np.float64)
        return sums[1:], float(sums[0])


_ROWS = np.array([u for u, _ in _FREQUENCIES])
_COLUMNS = np.array([v for _, v in _FREQUENCIES])


def _permutation(key: bytes, purpose: str, size: int) -> NDArray[np.intp]:
    words = np.frombuffer(derive(key, purpose, 8 * size), "<u8")
    return np.argsort(words, kind="stable")


@lru_cache(maxsize=_CACHED_KEYS)
def carrier(key: bytes) -> Carrier:
    """Return the tile of a key.

    The slots of 8 x 8 blocks are shared out among the coded bits by a keyed permutation (the
    interleaver) and repeated four times over the tile; the signs differ in all 16 x 16 blocks.
    """
    slots = np.full(_SLOTS, _SYNC, np.intp)
    order = _permutation(key, "slots", _SLOTS)
    bits = _permutation(key, "bits", CODED_BITS)
    slots[order[_SYNC_SLOTS:]] = np.resize(bits, _SLOTS - _SYNC_SLOTS)
    bit_of = np.tile(slots.reshape(_REPEAT_BLOCKS, _REPEAT_BLOCKS, -1), (2, 2, 1))
    sign_bits = np.unpackbits(np.frombuffer(derive(key, "signs", bit_of.size // 8), np.uint8))
    signs = (sign_bits.reshape(bit_of.shape).astype(np.float32) * 2 - 1).astype(np.float32)
    silent = Carrier(bit_of=bit_of, signs=signs, sync_spectrum=np.empty((0, 0), np.complex64))
    sync = silent.write((bit_of == _SYNC).astype(np.float32))
    spectrum = np.conj(np.fft.rfft2(sync)).astype(np.complex64)
    for array in (bit_of, signs, spectrum):
        array.flags.writeable = False
    return Carrier(bit_of=bit_of, signs=signs, sync_spectrum=spectrum)
