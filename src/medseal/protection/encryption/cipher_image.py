"""Cipher image: pixels that travel as an ordinary image, and the header that says how to open them.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.encryption.cipher_header import (
    MAX_SAMPLES,
    NO_CLAIM,
    CipherHeader,
    plain_tag_of,
)

__all__ = ["NO_CLAIM", "CipherHeader", "CipherImage", "plain_tag_of"]

_BITS_A_BYTE = 8
_NDIM = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CipherImage:
    """The pixels that travel, and the header beside them.

    Attributes
    ----------
    stored_values
        (frames, rows, columns, samples), uint8 or uint16, read-only. A writeable array is copied.
        Whether the shape is the one that the header leads to, the form checks on decryption.
    header
        How to open them.

    Raises
    ------
    ImageMismatchError
        The values are not a whole image of 8 or 16 bits without sign.
    """

    stored_values: NDArray[Any]
    header: CipherHeader

    def __post_init__(self) -> None:
        values = self.stored_values
        if (
            values.ndim != _NDIM
            or 0 in values.shape
            or values.shape[3] > MAX_SAMPLES
            or values.dtype.newbyteorder("=") not in (np.dtype(np.uint8), np.dtype(np.uint16))
        ):
            raise ImageMismatchError(
                "a cipher image has the shape (frames, rows, columns, samples), none of it zero, "
                f"and the type uint8 or uint16; this is {values.shape} {values.dtype}"
            )
        if values.flags.writeable:
            values = values.copy()
        object.__setattr__(self, "stored_values", frozen(values))

    def __repr__(self) -> str:
        """Return form, shape and type."""
        return (
            f"CipherImage({self.header.form}, shape={self.stored_values.shape}, "
            f"dtype={self.stored_values.dtype})"
        )

    def with_values(self, values: NDArray[Any]) -> "CipherImage":
        """Return the same cipher image with the values that a channel gave back.

        Parameters
        ----------
        values
            Same shape and type; axes of length 1 may be missing.

        Raises
        ------
        ImageMismatchError
            Another shape or type.
        """
        own = self.stored_values
        squeezed = tuple(side for side in own.shape if side > 1)
        if (
            tuple(side for side in values.shape if side > 1) != squeezed
            or values.dtype.newbyteorder("=") != own.dtype
        ):
            raise ImageMismatchError(
                f"this cipher image is {own.shape} {own.dtype}; the values given are "
                f"{values.shape} {values.dtype}"
            )
        return CipherImage(stored_values=values.reshape(own.shape), header=self.header)

    def to_image(self) -> MedicalImage:
        """Return the travelling pixels as an image that identifies nobody: grey or colour."""
        values = self.stored_values
        photometric = ("MONOCHROME2", "MONOCHROME2A", "RGB", "RGBA")[values.shape[3] - 1]
        return MedicalImage(
            stored_values=values,
            bits_stored=values.dtype.itemsize * _BITS_A_BYTE,
            is_signed=False,
            photometric_interpretation=photometric,
            source_format="png",
            decoder="medseal cipher image",
        )

    @classmethod
    def from_image(cls, image: MedicalImage, header: CipherHeader) -> Self:
        """Return the cipher image whose pixels came back as `image`.

        Raises
        ------
        ImageMismatchError
            The stored values are not of 8 or 16 bits without sign.
        """
        return cls(stored_values=image.stored_values, header=header)
