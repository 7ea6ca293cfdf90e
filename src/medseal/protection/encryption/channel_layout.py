"""How the sealed bytes of a digital cipher image lie in its pixels: levels, code rate and sides.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import dataclasses
import math
import struct
from dataclasses import dataclass
from typing import Self

import numpy as np

from medseal.errors import CipherHeaderError
from medseal.imaging import MedicalImage
from medseal.protection.encryption.channel_hybrid import Below
from medseal.protection.encryption.channel_levels import LEVEL_BITS
from medseal.protection.encryption.cipher_image import CipherHeader
from medseal.protection.encryption.ldpc import RATES, Code

__all__ = ["FORM", "TAG_BYTES", "Layout", "chosen_layout"]

FORM = "digital"
TAG_BYTES = 16
# The second has an analog part below.
_VERSION, _HYBRID_VERSION = 1, 2
# Version, quality, bits of a level, code rate, sealed bytes, rows and columns of the cipher image.
_PARAMETERS = struct.Struct(">BBBBIII")
_BITS_A_BYTE = 8
_BLOCK = 8

# Bits of a level, code rate, and the least quality to take it for; the strongest first. At equal
# density four levels bear a worse JPEG than eight, and take less time.
_FORMATS: tuple[tuple[int, str, int], ...] = (
    (1, "1/2", 0),
    (1, "2/3", 0),
    (1, "5/6", 0),
    (2, "1/2", 0),
    (2, "3/5", 0),
    (2, "2/3", 0),
    (2, "3/4", 45),
    (2, "5/6", 50),
    (2, "9/10", 55),
    (3, "2/3", 65),
    (3, "3/4", 75),
    (3, "5/6", 80),
    (3, "9/10", 85),
)
# Values of the cipher image for each of the plain one that error correction may fill, by quality.
_ROOM = ((30, 3.8), (50, 3.0), (70, 2.2), (95, 1.5))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the sealed bytes lie in the pixels; travels in the header's parameters."""

    quality: int
    bits: int
    rate: str
    sealed_bytes: int
    rows: int
    columns: int
    below: Below | None = None

    def to_bytes(self) -> bytes:
        """Return the parameters of the header."""
        own = _PARAMETERS.pack(
            _VERSION if self.below is None else _HYBRID_VERSION,
            self.quality,
            self.bits,
            RATES.index(self.rate),
            self.sealed_bytes,
            self.rows,
            self.columns,
        )
        return own if self.below is None else own + self.below.to_bytes()

    def above(self, below: Below) -> Self:
        """Return the layout of the same bytes with an analog part below it, and as wide."""
        columns = below.sides[1]
        rows = _BLOCK * _whole(self.level_count, columns // _BLOCK)
        return dataclasses.replace(self, rows=rows, columns=columns, below=below)

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns of the whole cipher image."""
        return self.rows + (0 if self.below is None else self.below.sides[0]), self.columns

    @classmethod
    def from_header(cls, header: CipherHeader) -> Self:
        """Return the layout that a header states.

        Raises
        ------
        CipherHeaderError
            Another form or version, or no room for the bytes.
        """
        if header.form != FORM or len(header.parameters) < _PARAMETERS.size:
            raise CipherHeaderError(f"this cipher image is not of the {FORM} form")
        version, quality, bits, rate, sealed_bytes, rows, columns = _PARAMETERS.unpack_from(
            header.parameters
        )
        rest = header.parameters[_PARAMETERS.size :]
        if (
            version != (_HYBRID_VERSION if rest else _VERSION)
            or bits not in LEVEL_BITS
            or rate >= len(RATES)
        ):
            raise CipherHeaderError("the digital form has another version; update medseal")
        layout = cls(
            quality=quality,
            bits=bits,
            rate=RATES[rate],
            sealed_bytes=sealed_bytes,
            rows=rows,
            columns=columns,
            below=Below.from_bytes(rest) if rest else None,
        )
        if sealed_bytes <= TAG_BYTES or not layout.level_count <= rows * columns:
            raise CipherHeaderError("the header states a cipher image without room for its bytes")
        if layout.below is not None and layout.below.sides[1] != columns:
            raise CipherHeaderError("the two parts of this cipher image differ in width")
        return layout

    @property
    def code(self) -> Code:
        """The code of the sealed bytes."""
        return Code.of(self.rate, _BITS_A_BYTE * self.sealed_bytes)

    @property
    def level_count(self) -> int:
        """Values that carry bits; the others are random."""
        return -(-self.code.coded_bits // self.bits)


def _room(quality: int) -> float:
    qualities, rooms = zip(*_ROOM, strict=True)
    return float(np.interp(quality, qualities, rooms))


def chosen_layout(image: MedicalImage, quality: int, sealed_bytes: int) -> Layout:
    """Return the strongest format that has room; where none has, the densest that endures.

    Room is first sought in the places of the image, then in twice as many, up to its values: a
    colour image has three for each place.
    """
    places = image.frames * image.rows * image.columns
    enduring = [(bits, rate) for bits, rate, lowest in _FORMATS if lowest <= quality]
    sides = [
        _sides(-(-Code.of(rate, _BITS_A_BYTE * sealed_bytes).coded_bits // bits), image)
        for bits, rate in enduring
    ]
    sizes = [rows * columns for rows, columns in sides]
    for values in range(places, places * image.samples + 1, places):
        fits = [place for place, size in enumerate(sizes) if size <= _room(quality) * values]
        if fits:
            break
    place = fits[0] if fits else sizes.index(min(sizes))
    return Layout(
        quality=quality,
        bits=enduring[place][0],
        rate=enduring[place][1],
        sealed_bytes=sealed_bytes,
        rows=sides[place][0],
        columns=sides[place][1],
    )


def _sides(count: int, image: MedicalImage) -> tuple[int, int]:
    """Return rows and columns for a number of levels: whole blocks of a JPEG, shaped as the image.

    Each number of columns near the one in proportion is tried: whole blocks cost a small image
    much.
    """
    proportion = min(max(image.columns / (image.rows * image.frames), 1 / 4), 4.0)
    first = max(1, round(math.sqrt(count * proportion) / _BLOCK))
    blocks = range(max(1, first - first // 4), first + first // 4 + 2)
    best = min(blocks, key=lambda wide: wide * _whole(count, wide))
    return _BLOCK * _whole(count, best), _BLOCK * best


def _whole(count: int, wide: int) -> int:
    """Return rows of blocks that hold a number of levels, `wide` blocks in each."""
    return -(-count // (_BLOCK * _BLOCK * wide))
