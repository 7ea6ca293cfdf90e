"""MedicalImage: one immutable value for every source format."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from medseal.errors import ImageMismatchError

__all__ = ["MedicalImage", "SourceFormat", "StoredValues", "frozen"]

StoredValues = npt.NDArray[Any]
SourceFormat = Literal["dicom", "png", "jpeg", "tiff", "nifti"]

_BITS_A_BYTE = 8
_NDIM = 4
_MAX_SAMPLES = 4


def frozen(values: StoredValues) -> StoredValues:
    """Return `values` C-contiguous, in native byte order and read-only.

    The caller hands the array over: it is marked read-only in place unless it had to be copied.
    """
    native = values.dtype.newbyteorder("=")
    result = np.ascontiguousarray(values, dtype=native)
    result.flags.writeable = False
    return result


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MedicalImage:
    """An image as it is stored: before modality LUT, window and palette.

    Attributes
    ----------
    stored_values
        (frames, rows, columns, samples), unsigned, signed or floating, C-contiguous, read-only.
        One sample is grey or a palette index, three are colour; a second or a fourth sample is
        an alpha channel. A writeable array given to the constructor is copied.
    bits_stored
        Bits of a stored value, 1 to 64; the dtype may be wider. 32 or 64 for floating values.
    is_signed
        True for signed and floating values.
    photometric_interpretation
        The DICOM term for the *decoded* values: MONOCHROME1, MONOCHROME2, RGB, YBR_FULL,
        PALETTE COLOR; with an alpha channel MONOCHROME2A or RGBA, which DICOM does not know.
    modality
        DICOM code such as CT, or None where the format has none.
    spacing_mm
        Distance of neighbouring rows and of neighbouring columns in millimetres, or None.
    attributes
        Read-only. By DICOM keyword for DICOM, the header's own names for other formats.
    source_format
        Format the image was read from.
    decoder
        Name and version of the library that decoded the values.

    Raises
    ------
    ImageMismatchError
        Shape, dtype, bits and sign do not fit each other.
    """

    stored_values: StoredValues
    bits_stored: int
    is_signed: bool
    photometric_interpretation: str
    source_format: SourceFormat
    decoder: str
    modality: str | None = None
    spacing_mm: tuple[float, float] | None = None
    attributes: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        values = self.stored_values
        if values.ndim != _NDIM or 0 in values.shape or values.shape[3] > _MAX_SAMPLES:
            raise ImageMismatchError(
                "stored values have the shape (frames, rows, columns, samples), none of it zero, "
                f"with 1 to {_MAX_SAMPLES} samples; this is {values.shape}"
            )
        if values.dtype.kind not in "uif":
            raise ImageMismatchError(f"stored values are numbers, not {values.dtype}")
        if not 1 <= self.bits_stored <= values.dtype.itemsize * _BITS_A_BYTE:
            raise ImageMismatchError(f"{self.bits_stored} bits do not fit {values.dtype}")
        if self.is_signed != (values.dtype.kind != "u"):
            raise ImageMismatchError(f"is_signed={self.is_signed} does not fit {values.dtype}")
        if values.flags.writeable:
            values = values.copy()
        object.__setattr__(self, "stored_values", frozen(values))

    def __repr__(self) -> str:
        """Return shape and type only: values and attributes may identify a person."""
        return (
            f"MedicalImage({self.source_format}, shape={self.stored_values.shape}, "
            f"dtype={self.stored_values.dtype}, bits_stored={self.bits_stored}, "
            f"{self.photometric_interpretation})"
        )

    @property
    def frames(self) -> int:
        """Number of frames, pages or slices."""
        return int(self.stored_values.shape[0])

    @property
    def rows(self) -> int:
        """Height in stored values."""
        return int(self.stored_values.shape[1])

    @property
    def columns(self) -> int:
        """Width in stored values."""
        return int(self.stored_values.shape[2])

    @property
    def samples(self) -> int:
        """Stored values at one place: 1 grey or palette, 3 colour, 2 and 4 with alpha."""
        return int(self.stored_values.shape[3])

    @property
    def storable_range(self) -> tuple[float, float]:
        """Smallest and largest value that `bits_stored` can hold; for floats, that occur."""
        if self.stored_values.dtype.kind == "f":
            finite = self.stored_values[np.isfinite(self.stored_values)]
            return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
        if self.is_signed:
            return float(-(1 << (self.bits_stored - 1))), float((1 << (self.bits_stored - 1)) - 1)
        return 0.0, float((1 << self.bits_stored) - 1)

    def with_stored_values(self, values: StoredValues, **changes: Any) -> "MedicalImage":
        """Return a copy with other stored values and, where given, other fields.

        Parameters
        ----------
        values
            (frames, rows, columns, samples); copied if writeable.
        changes
            Fields by name. A change of dtype class needs `bits_stored` and `is_signed`.

        Raises
        ------
        ImageMismatchError
            The new values do not fit the other fields.
        """
        return dataclasses.replace(self, stored_values=values, **changes)
