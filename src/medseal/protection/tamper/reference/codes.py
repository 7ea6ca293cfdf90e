"""The bits of the learned fingerprint: a keyed readout of features, and a coarse picture.

A record keeps a few mixtures for each tile: sums of its features with signs that a key draws anew
for every tile of every image, each as its remainder modulo `MODULUS` in ``1 << BITS`` steps after a
keyed offset. The copy supplies the rest: it is nearly the image, so the remainder tells how far off
it is. Who lacks the key knows neither which mixtures are read nor where a step lies.
"""

from dataclasses import dataclass

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from numpy.typing import NDArray

__all__ = [
    "BACK_GAIN",
    "BITS",
    "COARSE_BITS",
    "COARSE_LEVELS",
    "MIXTURES",
    "MODULUS",
    "Readout",
    "cell_bounds",
    "coarse_picture",
    "from_bits",
    "saturated",
    "to_bits",
    "wrapped",
]

MIXTURES = 6
"""Mixtures that are kept of each tile."""

BACK_GAIN = 2.0
"""Of the estimate of a difference: six mixtures show half of what twelve features differ by."""

BITS = 2
"""Bits of each."""

MODULUS = float(1 << BITS)
"""In steps of a feature."""

COARSE_BITS = 3
"""Bits of a tile in the coarse picture."""

COARSE_LEVELS = 1 << COARSE_BITS
"""Levels of the coarse picture."""

_LLOYD_ROUNDS = 20
_WHITE = 255.0
_BYTE = 8
_NONCE = bytes(16)
_OFFSET_BYTES = 4
_HALF_WAY = 0.5

FloatArray = NDArray[np.float64]
Codes = NDArray[np.uint8]


def wrapped(difference: NDArray[np.floating]) -> FloatArray:
    """Return the difference modulo `MODULUS`, -MODULUS / 2 to MODULUS / 2."""
    half = MODULUS / 2
    return np.asarray((difference + half) % MODULUS - half, np.float64)


def saturated(apart: NDArray[np.floating]) -> FloatArray:
    """Return squares that no single large difference outweighs: 0 to 1."""
    square = np.asarray(apart, np.float64) ** 2
    return square / (square + _HALF_WAY)


def _stream(key: bytes, count: int) -> bytes:
    return Cipher(ChaCha20(key, _NONCE), mode=None).encryptor().update(bytes(count))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Readout:
    """What a key reads of each tile.

    Attributes
    ----------
    signs
        (tiles, MIXTURES, F), 1 or -1.
    offsets
        (tiles, MIXTURES), 0 to MODULUS.
    """

    signs: NDArray[np.float32]
    offsets: FloatArray

    @classmethod
    def of(cls, key: bytes, *, tiles: int, features: int) -> "Readout":
        """Return the readout of a key of 32 bytes, used for one frame of one image only."""
        shape = (tiles, MIXTURES, features)
        count = tiles * MIXTURES
        stream = _stream(key, _OFFSET_BYTES * count + -(-count * shape[2] // _BYTE))
        offsets = np.frombuffer(stream, "<u4", count) / 2.0**32
        bits = np.unpackbits(
            np.frombuffer(stream, np.uint8, offset=_OFFSET_BYTES * count), count=count * shape[2]
        )
        signs = 1 - 2 * bits.astype(np.float32)
        return cls(signs=signs.reshape(shape), offsets=offsets.reshape(tiles, MIXTURES) * MODULUS)

    @property
    def _unit(self) -> float:
        # So that a mixture differs about as much as a feature does.
        return float(self.signs.shape[2] ** -0.5)

    def _read(self, features: NDArray[np.floating]) -> FloatArray:
        flat = features.reshape(features.shape[0], -1)
        return np.asarray(np.einsum("tmf,ft->tm", self.signs, flat) * self._unit, np.float64)

    def codes(self, features: NDArray[np.floating]) -> Codes:
        """Return the steps in which the mixtures lie, 0 to 3: (tiles, MIXTURES).

        Parameters
        ----------
        features
            (features, down, across).
        """
        return (np.floor(self._read(features) + self.offsets) % MODULUS).astype(np.uint8)

    def residual(
        self, features: NDArray[np.floating], codes: Codes
    ) -> tuple[FloatArray, FloatArray]:
        """Return how far features lie from a record's, and how much in all.

        Returns
        -------
        tuple
            (features, down, across), an estimate of the difference from the mixtures; and (down,
            across), how much the mixtures of a tile differ, see `saturated`.
        """
        middle = codes.astype(np.float64) + 0.5 - self.offsets
        apart = wrapped(self._read(features) - middle)
        back = np.einsum("tmf,tm->ft", self.signs, apart) * (BACK_GAIN * self._unit)
        energy = saturated(apart).mean(axis=1)
        return back.reshape(features.shape), energy.reshape(features.shape[1:])


def coarse_picture(means: NDArray[np.float32]) -> tuple[NDArray[np.uint8], Codes]:
    """Return eight levels and which of them each tile has (Lloyd 1982, Max 1960).

    Parameters
    ----------
    means
        (down, across), means of the tiles.
    """
    values = np.clip(np.sort(means.ravel()), 0, _WHITE).astype(np.float64)
    levels = np.quantile(values, (np.arange(COARSE_LEVELS) + 0.5) / COARSE_LEVELS)
    # Equal quantiles, as of black margins, would waste levels: spread them over the range a little.
    spread = np.linspace(values[0], values[-1], COARSE_LEVELS)
    levels = 0.5 * levels + 0.5 * spread
    for _ in range(_LLOYD_ROUNDS):
        nearest = np.searchsorted((levels[1:] + levels[:-1]) / 2, values)
        counts = np.bincount(nearest, minlength=COARSE_LEVELS)
        sums = np.bincount(nearest, weights=values, minlength=COARSE_LEVELS)
        levels = np.where(counts > 0, sums / np.maximum(counts, 1), levels)
    book = np.sort(np.rint(levels)).astype(np.uint8)
    limits = (book[1:].astype(np.float64) + book[:-1]) / 2
    return book, np.searchsorted(limits, means.ravel()).astype(np.uint8).reshape(means.shape)


def cell_bounds(book: NDArray[np.floating]) -> tuple[FloatArray, FloatArray]:
    """Return from where to where the means lie that each level of a coarse picture stands for.

    Half way to the next level; the outer ones reach as far on their other side.
    """
    levels = np.asarray(book, np.float64)
    half = np.diff(levels) / 2
    return levels - np.r_[half[:1], half], levels + np.r_[half, half[-1:]]


def to_bits(numbers: Codes, bits: int) -> bytes:
    """Return numbers of so many bits each, the highest first, filled up with zeros."""
    places = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    return np.packbits(numbers.ravel()[:, None] >> places & 1).tobytes()


def from_bits(data: bytes, bits: int, count: int) -> Codes:
    """Return `count` numbers; `data` is as long as `to_bits` makes it."""
    single = np.unpackbits(np.frombuffer(data, np.uint8), count=bits * count)
    weights = 1 << np.arange(bits - 1, -1, -1)
    return (single.reshape(count, bits) @ weights).astype(np.uint8)
