"""Analog cipher image below a digital one: what is left where the digital one cannot be corrected.

It is restored approximately by a network, and nothing vouches for its values. No security claim
rests on a learned method: confidentiality and integrity come from the sealed package around it.
"""

import importlib
import struct
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medseal.errors import CipherHeaderError
from medseal.imaging import MedicalImage
from medseal.protection.encryption.cipher_header import BACKBONES, PLAIN_TAG_BYTES, CipherHeader
from medseal.protection.encryption.cipher_image import CipherImage
from medseal.protection.encryption.keystream import NONCE_BYTES, Stream, subkey

__all__ = ["Below", "attach", "restore"]

_BACKBONE = "unet"
_ANALOG = "analog"
_MODULE = "medseal.protection.encryption.cnn.analog"
# Nonce, frames, rows and columns of the analog cipher image, its backbone; its parameters follow.
_FIELDS = struct.Struct(f">{NONCE_BYTES}sIIIB")
_BLOCK = 8

Greys = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Below:
    """The analog part: what its own header needs, and its size.

    Attributes
    ----------
    nonce, backbone, parameters
        Of the analog cipher image.
    frames, rows, columns
        Of its pixels; the frames lie below one another.
    """

    nonce: bytes
    backbone: str
    parameters: bytes
    frames: int
    rows: int
    columns: int

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns that it takes: whole blocks of a JPEG."""
        return _whole_blocks(self.frames * self.rows), _whole_blocks(self.columns)

    def to_bytes(self) -> bytes:
        """Return the part of the parameters that states it."""
        place = BACKBONES.index(self.backbone)
        fields = _FIELDS.pack(self.nonce, self.frames, self.rows, self.columns, place)
        return fields + self.parameters

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Return what `to_bytes` wrote.

        Raises
        ------
        CipherHeaderError
            It is cut, or states no backbone or no pixels.
        """
        if len(data) < _FIELDS.size:
            raise CipherHeaderError("the header of a hybrid cipher image is cut")
        nonce, frames, rows, columns, place = _FIELDS.unpack_from(data)
        if not 1 <= place < len(BACKBONES) or 0 in (frames, rows, columns):
            raise CipherHeaderError("the header states an analog part that cannot be")
        return cls(
            nonce=nonce,
            backbone=BACKBONES[place],
            parameters=data[_FIELDS.size :],
            frames=frames,
            rows=rows,
            columns=columns,
        )


def _whole_blocks(side: int) -> int:
    return -(-side // _BLOCK) * _BLOCK


def _analog() -> Any:
    """Return the module of the analog form; loaded when first used, since networks are heavy."""
    return importlib.import_module(_MODULE)


def attach(image: MedicalImage, key: bytes) -> tuple[Below, Greys]:
    """Return the analog part of an image and its pixels: (rows, columns) of `Below.sides`.

    Parameters
    ----------
    image
        As for the analog form.
    key
        32 bytes, of its own; nothing else may be encrypted with it.

    Raises
    ------
    UnsupportedImageError
        The analog form does not take such an image.
    """
    cipher: CipherImage = _analog().encrypt(image, key, backbone=_BACKBONE)
    frames, rows, columns, _ = cipher.stored_values.shape
    below = Below(
        nonce=cipher.header.nonce,
        backbone=_BACKBONE,
        parameters=cipher.header.parameters,
        frames=frames,
        rows=rows,
        columns=columns,
    )
    high, wide = below.sides
    filling = Stream(subkey(key, below.nonce, _ANALOG, "filling")).bytes(high * wide)
    pixels = np.frombuffer(filling, np.uint8).reshape(high, wide).copy()
    pixels[: frames * rows, :columns] = cipher.stored_values.reshape(frames * rows, columns)
    return below, pixels


def restore(pixels: Greys, below: Below, header: CipherHeader, key: bytes) -> MedicalImage:
    """Return the approximate image.

    Parameters
    ----------
    pixels
        What came back of the pixels that `attach` returned.
    below, key
        Of `attach`.
    header
        Of the whole cipher image: shape and kind of the plain one.

    Raises
    ------
    CipherIntegrityError
        The pixels were changed more than the analog form endures.
    """
    own = CipherHeader(
        form=_ANALOG,
        backbone=below.backbone,
        nonce=below.nonce,
        frames=header.frames,
        rows=header.rows,
        columns=header.columns,
        samples=header.samples,
        bits_allocated=header.bits_allocated,
        bits_stored=header.bits_stored,
        is_signed=header.is_signed,
        photometric_interpretation=header.photometric_interpretation,
        parameters=below.parameters,
        plain_tag=bytes(PLAIN_TAG_BYTES),
    ).with_tag(key)
    values = pixels[: below.frames * below.rows, : below.columns]
    cipher = CipherImage(
        stored_values=values.reshape(below.frames, below.rows, below.columns, 1), header=own
    )
    image: MedicalImage = _analog().decrypt(cipher, key)
    return image
