"""Take a mark out again, bit for bit: the side information that leads from a copy to its cover.

docs/spec/side-information.md defines the bytes. They are no secret format: whoever has them and the
marked copy has the cover image, so they leave a workspace in a sealed package only.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from medseal.digest import Digest
from medseal.errors import (
    DigestMismatchError,
    ImageMismatchError,
    ImageTooLargeError,
    SideInformationError,
)
from medseal.imaging import MedicalImage, values_digest
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.watermark.deflated import (
    CELL_WIDTHS,
    StorableLimits,
    read_difference,
    read_residual,
    unmarked,
    write_difference,
    write_residual,
)
from medseal.protection.watermark.embed import DEFAULT_PSNR_DB, mark
from medseal.protection.watermark.residual import Residual

__all__ = [
    "MAX_SIDE_INFORMATION_BYTES",
    "Removable",
    "embed_removable",
    "remove",
    "side_information",
]

MAX_SIDE_INFORMATION_BYTES = 1024**3
"""Bytes of the side information of one image, all frames together."""

_VERSION = 1
_DIFFERENCES, _MAPS = 1, 2
_KINDS = "uif"
# Version, digests of copy and cover, kind and bytes of a cover's value, geometry, coding.
_HEADER = struct.Struct(">B32s32sBBLLLBB")
_LIMITS = struct.Struct(">qq")
_INT64 = np.iinfo(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Removable:
    """A marked image and what takes the mark out of it.

    Attributes
    ----------
    image
        The marked copy.
    side_information
        For `remove`; as confidential as the cover image.
    """

    image: MedicalImage
    side_information: bytes = field(repr=False)


def embed_removable(
    image: MedicalImage, payload: bytes, key: bytes, *, psnr_db: float = DEFAULT_PSNR_DB
) -> Removable:
    """Return a marked copy, as `embed` does, and what takes the mark out of it.

    Parameters
    ----------
    image, payload, key, psnr_db
        As for `embed`.

    Raises
    ------
    WatermarkKeyError, WatermarkCapacityError, UnsupportedImageError, ConfigurationError
        As `embed`.
    ImageTooLargeError
        As `side_information`.
    """
    marked = mark(image, payload, key, psnr_db=psnr_db)
    values, residuals = image.stored_values, marked.residuals
    # A map is smaller than the differences it stands for, where the image is larger than the map.
    if residuals is None or values[0].size <= residuals[0].map.size:
        return Removable(image=marked.image, side_information=side_information(image, marked.image))
    limits = _limits(image)
    frames = (
        _by_map(one, other, residual, limits)
        for one, other, residual in zip(values, marked.image.stored_values, residuals, strict=True)
    )
    start = _header(image, marked.image, _MAPS) + _LIMITS.pack(*limits)
    return Removable(image=marked.image, side_information=_joined(start, frames))


def side_information(original: MedicalImage, marked: MedicalImage) -> bytes:
    """Return what `remove` needs to make `original` of `marked`, whatever they differ by.

    Parameters
    ----------
    original, marked
        Images of one shape and one kind: integers, or floats of one width.

    Raises
    ------
    ImageMismatchError
        The two do not belong together.
    ImageTooLargeError
        More than `MAX_SIDE_INFORMATION_BYTES`.
    """
    values = original.stored_values
    _check_pair(values.shape, values.dtype, marked)
    frames = (
        write_difference(one, other)
        for one, other in zip(values, marked.stored_values, strict=True)
    )
    return _joined(_header(original, marked, _DIFFERENCES), frames)


def _header(original: MedicalImage, marked: MedicalImage, coding: int) -> bytes:
    values = original.stored_values
    return _HEADER.pack(
        _VERSION,
        values_digest(marked).value,
        values_digest(original).value,
        _KINDS.index(values.dtype.kind),
        values.dtype.itemsize,
        *values.shape,
        coding,
    )


def _limits(image: MedicalImage) -> StorableLimits:
    """Return the storable range in 64 bits; a limit beyond them stops no value."""
    least, most = (min(max(int(one), _INT64.min), _INT64.max) for one in image.storable_range)
    return least, most


def _by_map(
    original: StoredValues, marked: StoredValues, residual: Residual, limits: StorableLimits
) -> bytes:
    """Return one frame: the map of its mark, and what it does not explain."""
    nearly = unmarked(marked, residual, original.dtype, limits)
    return write_residual(residual) + write_difference(original, nearly)


def _joined(start: bytes, frames: Iterable[bytes]) -> bytes:
    """Return all frames behind the start, unless they are too many."""
    parts, size_bytes = [start], len(start)
    for frame in frames:
        parts.append(frame)
        size_bytes += len(frame)
        if size_bytes > MAX_SIDE_INFORMATION_BYTES:
            raise ImageTooLargeError(
                f"the side information exceeds {MAX_SIDE_INFORMATION_BYTES} bytes; split the image"
            )
    return b"".join(parts)


def remove(marked: MedicalImage, data: bytes) -> MedicalImage:
    """Return the cover image: the stored values before the mark, everything else as in `marked`.

    1. The header is sound. 2. The stored values are those that were marked. 3. Every frame is
    sound. 4. The result is the cover image.

    Parameters
    ----------
    marked
        The copy, in any file format that kept its stored values.
    data
        From `side_information`.

    Raises
    ------
    SideInformationError
        The side information is malformed, or does not lead to the cover image it names.
    DigestMismatchError
        The stored values are not those that were marked.
    ImageMismatchError
        The copy is of another shape or kind, or cannot hold the values of the cover image.
    """
    # 1.
    header = _Header.parse(data)
    # 2.
    actual = values_digest(marked)
    if actual != header.marked:
        raise DigestMismatchError(
            "the stored values are not those that were marked; the mark cannot be taken out",
            expected=str(header.marked),
            actual=str(actual),
        )
    _check_pair(header.shape, header.dtype, marked)
    # 3.
    original = np.empty(header.shape, header.dtype)
    position = header.size_bytes
    for index, frame in enumerate(marked.stored_values):
        nearly, position = _nearly(frame, data, position, header)
        original[index], position = read_difference(data, position, nearly, header.dtype)
    if position != len(data):
        raise SideInformationError("the side information has bytes after its end")
    # 4.
    restored = marked.with_stored_values(frozen(_as(original, marked.stored_values.dtype)))
    if values_digest(restored) != header.original:
        raise SideInformationError("the side information does not lead to the image it names")
    return restored


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """What stands before the frames.

    Attributes
    ----------
    marked, original
        Digests of copy and cover.
    shape
        (frames, rows, columns, samples) of the cover.
    dtype
        Of the cover.
    limits
        Of its storable range; None where no maps follow.
    size_bytes
        Of the header.
    """

    marked: Digest
    original: Digest
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]
    limits: StorableLimits | None
    size_bytes: int

    @classmethod
    def parse(cls, data: bytes) -> "_Header":
        if len(data) > MAX_SIDE_INFORMATION_BYTES:
            raise SideInformationError(
                f"the side information exceeds {MAX_SIDE_INFORMATION_BYTES} bytes"
            )
        if len(data) < _HEADER.size:
            raise SideInformationError("the side information ends early")
        version, marked, original, kind, cell, *shape, coding = _HEADER.unpack_from(data)
        if version != _VERSION or coding not in (_DIFFERENCES, _MAPS):
            raise SideInformationError(
                f"side information of version {version}, coding {coding}; update medseal"
            )
        widths = CELL_WIDTHS if kind < _KINDS.index("f") else CELL_WIDTHS[1:]
        if kind >= len(_KINDS) or cell not in widths:
            raise SideInformationError("the side information names values of an unknown kind")
        limits, size_bytes = None, _HEADER.size
        if coding == _MAPS:
            if _KINDS[kind] == "f":
                raise SideInformationError("the side information has maps for floating values")
            size_bytes += _LIMITS.size
            if len(data) < size_bytes:
                raise SideInformationError("the side information ends early")
            limits = _LIMITS.unpack_from(data, _HEADER.size)
        return cls(
            marked=Digest(marked),
            original=Digest(original),
            shape=(shape[0], shape[1], shape[2], shape[3]),
            dtype=np.dtype(f"{_KINDS[kind]}{cell}"),
            limits=limits,
            size_bytes=size_bytes,
        )


def _nearly(
    marked: StoredValues, data: bytes, position: int, header: _Header
) -> tuple[StoredValues, int]:
    """Return a frame without what its map explains, and where its difference begins."""
    if header.limits is None:
        return marked, position
    residual, position = read_residual(data, position, marked.shape)
    if residual is None:
        return marked, position
    return unmarked(marked, residual, header.dtype, header.limits), position


def _check_pair(shape: tuple[int, ...], dtype: np.dtype[Any], marked: MedicalImage) -> None:
    """Refuse a copy of another shape or kind; integers may have another width."""
    copy = marked.stored_values
    one, other = (d if d.kind == "f" else "integer" for d in (dtype, copy.dtype))
    if shape != copy.shape or one != other:
        raise ImageMismatchError(
            f"cover image and copy do not belong together: {shape} of {dtype}, "
            f"{copy.shape} of {copy.dtype}"
        )


def _as(values: StoredValues, dtype: np.dtype[Any]) -> StoredValues:
    """Return the values in the dtype of the copy."""
    if values.dtype == dtype:
        return values
    limits = np.iinfo(dtype)
    if int(values.min()) < limits.min or int(values.max()) > limits.max:
        raise ImageMismatchError(f"{dtype} cannot hold the values of the cover image")
    return values.astype(dtype)
