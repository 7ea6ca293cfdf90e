"""Carrier of an analog cipher image: keyed places, a keystream mask, four points on a circle.

Every value that travels is (point + residual + mask) modulo 256 with a fresh ChaCha20 mask, hence
uniform and independent of the image. No security claim rests on a learned method: confidentiality
and integrity come from the sealed package around it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.protection.encryption.cnn.analog_layout import BITS_A_CELL, Part
from medseal.protection.encryption.keystream import Stream, subkey

__all__ = [
    "FORM",
    "LEVELS",
    "POINT_DISTANCE",
    "Carrier",
    "bits_of",
    "bytes_of",
    "log_likelihoods",
    "points_of",
]

FORM = "analog"
LEVELS = 256
POINT_DISTANCE = 64
# Gray code: neighbours on the circle differ in one bit. Point of the number 2 * first + second.
_POINT_OF_BITS = np.array([0, 1, 3, 2], np.uint8)
_BITS_OF_POINT = np.array([[0, 0], [0, 1], [1, 1], [1, 0]], np.uint8)

Bits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Carrier:
    """Keyed secrets of one frame.

    Attributes
    ----------
    places
        Place in the frame, row by row, of each cell: (cells,).
    mask
        In the order of the cells: (cells,).
    """

    places: NDArray[np.int64]
    mask: NDArray[np.uint8]

    @classmethod
    def of(cls, key: bytes, nonce: bytes, *, frame: int, cells: int) -> "Carrier":
        """Return the carrier of one frame; each frame has keys of its own."""
        places = Stream(subkey(key, nonce, FORM, f"places-{frame}"))
        mask = Stream(subkey(key, nonce, FORM, f"mask-{frame}")).bytes(cells)
        return cls(places=places.permutation(cells), mask=np.frombuffer(mask, np.uint8))

    def sent(self, content: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return the frame for the content of the cells, taken modulo 256: (cells,)."""
        frame = np.empty(len(self.mask), np.uint8)
        frame[self.places] = (content.astype(np.int64) % LEVELS).astype(np.uint8) + self.mask
        return frame

    def received(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the content of the cells, modulo 256, of a frame that came back: (cells,)."""
        return frame[self.places] - self.mask


def points_of(coded: Bits, part: Part) -> NDArray[np.uint8]:
    """Return the points that carry coded bits, 0 to 192: (cells,); cells left over carry 0."""
    padded = np.zeros(part.cells * BITS_A_CELL, np.uint8)
    padded[: len(coded) * part.times] = np.tile(coded, part.times)
    number = 2 * padded[0::2] + padded[1::2]
    return np.asarray(_POINT_OF_BITS[number] * np.uint8(POINT_DISTANCE), np.uint8)


def log_likelihoods(densities: NDArray[np.float32], part: Part) -> NDArray[np.float32]:
    """Return ln P(0) - ln P(1) of the coded bits from the densities of the four points.

    Parameters
    ----------
    densities
        (4, cells), positive.
    part
        Whose cells they are.
    """
    ratios = np.empty((part.cells, BITS_A_CELL), np.float32)
    for bit in range(BITS_A_CELL):
        ones = _BITS_OF_POINT[:, bit] == 1
        ratios[:, bit] = np.log(densities[~ones].sum(0)) - np.log(densities[ones].sum(0))
    sent = ratios.reshape(-1)[: part.code.coded_bits * part.times]
    return np.asarray(sent.reshape(part.times, -1).sum(0), np.float32)


def bits_of(message: bytes) -> Bits:
    """Return the bits of a message, most significant first."""
    return np.unpackbits(np.frombuffer(message, np.uint8))


def bytes_of(bits: Bits) -> bytes:
    """Return the message of whole bytes."""
    return np.packbits(bits).tobytes()
