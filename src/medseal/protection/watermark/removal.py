"""Take a mark out again, bit for bit: the side information that leads from a copy to its cover.

docs/spec/side-information.md defines the bytes. They are no secret format: whoever has them and the
marked copy has the cover image, so they leave a workspace in a sealed package only.
"""

import struct
import zlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.digest import Digest
from medseal.errors import (
    DigestMismatchError,
    ImageMismatchError,
    ImageTooLargeError,
    SideInformationError,
)
from medseal.imaging import MedicalImage, values_digest
from medseal.imaging.image import StoredValues, frozen
from medseal.protection.watermark.embed import DEFAULT_PSNR_DB, embed

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
_DIFFERENCES = 1
_KINDS = "uif"
# Version, digests of copy and cover, kind and bytes of a cover's value, geometry, coding.
_HEADER = struct.Struct(">B32s32sBBLLLBB")
_FRAME = struct.Struct(">BL")
_WIDTHS = (1, 2, 4, 8)
_BITS_A_BYTE = 8


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
    marked = embed(image, payload, key, psnr_db=psnr_db)
    return Removable(image=marked, side_information=side_information(image, marked))


def side_information(original: MedicalImage, marked: MedicalImage) -> bytes:
    """Return what `remove` needs to make `original` of `marked`.

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
    parts = [
        _HEADER.pack(
            _VERSION,
            values_digest(marked).value,
            values_digest(original).value,
            _KINDS.index(values.dtype.kind),
            values.dtype.itemsize,
            *values.shape,
            _DIFFERENCES,
        )
    ]
    size_bytes = len(parts[0])
    for one, other in zip(values, marked.stored_values, strict=True):
        parts.append(_frame_difference(one, other))
        size_bytes += len(parts[-1])
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
    position = _HEADER.size
    for index, frame in enumerate(marked.stored_values):
        difference, position = _parse_difference(data, position, frame.shape)
        original[index] = _added(frame, difference, header.dtype)
    if position != len(data):
        raise SideInformationError("the side information has bytes after its end")
    # 4.
    restored = marked.with_stored_values(frozen(_as(original, marked.stored_values.dtype)))
    if values_digest(restored) != header.original:
        raise SideInformationError("the side information does not lead to the image it names")
    return restored


@dataclass(frozen=True, slots=True, kw_only=True)
class _Header:
    """Digests of copy and cover; shape (frames, rows, columns, samples) and dtype of the cover."""

    marked: Digest
    original: Digest
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    @classmethod
    def parse(cls, data: bytes) -> "_Header":
        if len(data) > MAX_SIDE_INFORMATION_BYTES:
            raise SideInformationError(
                f"the side information exceeds {MAX_SIDE_INFORMATION_BYTES} bytes"
            )
        if len(data) < _HEADER.size:
            raise SideInformationError("the side information ends early")
        version, marked, original, kind, cell, *shape, coding = _HEADER.unpack_from(data)
        if (version, coding) != (_VERSION, _DIFFERENCES):
            raise SideInformationError(
                f"side information of version {version}, coding {coding}; update medseal"
            )
        widths = _WIDTHS if kind < _KINDS.index("f") else _WIDTHS[1:]
        if kind >= len(_KINDS) or cell not in widths:
            raise SideInformationError("the side information names values of an unknown kind")
        return cls(
            marked=Digest(marked),
            original=Digest(original),
            shape=(shape[0], shape[1], shape[2], shape[3]),
            dtype=np.dtype(f"{_KINDS[kind]}{cell}"),
        )


def _check_pair(shape: tuple[int, ...], dtype: np.dtype[Any], marked: MedicalImage) -> None:
    """Refuse a copy of another shape or kind; integers may have another width."""
    copy = marked.stored_values
    one, other = (d if d.kind == "f" else "integer" for d in (dtype, copy.dtype))
    if shape != copy.shape or one != other:
        raise ImageMismatchError(
            f"cover image and copy do not belong together: {shape} of {dtype}, "
            f"{copy.shape} of {copy.dtype}"
        )


def _integers(values: StoredValues) -> NDArray[np.int64]:
    """Return the values as 64-bit integers modulo 2^64; floats by their bits."""
    if values.dtype.kind == "f":
        values = values.view(f"u{values.dtype.itemsize}")
    if values.dtype == np.uint64:
        return values.view(np.int64)
    return values.astype(np.int64)


def _frame_difference(original: StoredValues, marked: StoredValues) -> bytes:
    """Return width, length and the deflated difference, its bytes sorted by significance."""
    cell = original.dtype.itemsize
    # Modulo 2^64, then modulo the width of a value: exact for every pair of values.
    difference = (_integers(original) - _integers(marked)).astype(f"<i{cell}")
    if not difference.any():
        return _FRAME.pack(0, 0)
    low, high = int(difference.min()), int(difference.max())
    width = next(
        width
        for width in _WIDTHS
        if -(1 << (width * _BITS_A_BYTE - 1)) <= low and high < 1 << (width * _BITS_A_BYTE - 1)
    )
    narrow = difference.astype(f"<i{width}").reshape(-1, 1).view(np.uint8)
    stream = zlib.compress(np.ascontiguousarray(narrow.T).tobytes())
    return _FRAME.pack(width, len(stream)) + stream


def _parse_difference(
    data: bytes, position: int, shape: tuple[int, ...]
) -> tuple[NDArray[np.int64] | None, int]:
    """Return the difference of one frame, None where there is none, and where the next begins."""
    if len(data) < position + _FRAME.size:
        raise SideInformationError("the side information ends early")
    width, length = _FRAME.unpack_from(data, position)
    start = position + _FRAME.size
    end = start + length
    if end > len(data):
        raise SideInformationError("the side information ends early")
    if width == 0 and length == 0:
        return None, end
    if width not in _WIDTHS:
        raise SideInformationError("a frame of the side information has an unknown width")
    count = int(np.prod(shape))
    stream = zlib.decompressobj()
    try:
        # One byte more than wanted, so that a longer stream shows.
        plain = stream.decompress(data[start:end], count * width + 1)
    except zlib.error:
        raise SideInformationError("a frame of the side information is damaged") from None
    if len(plain) != count * width or not stream.eof or stream.unused_data:
        raise SideInformationError("a frame of the side information has a wrong length")
    sorted_bytes = np.frombuffer(plain, np.uint8).reshape(width, count)
    values = np.ascontiguousarray(sorted_bytes.T).view(f"<i{width}")
    return values.reshape(shape).astype(np.int64), end


def _added(
    marked: StoredValues, difference: NDArray[np.int64] | None, dtype: np.dtype[Any]
) -> StoredValues:
    """Return the cover's values: copy plus difference, modulo the width of a value."""
    wrapped = _integers(marked) + (0 if difference is None else difference)
    if dtype.kind == "f":
        return wrapped.astype(f"u{dtype.itemsize}").view(dtype)
    return wrapped.astype(dtype)


def _as(values: StoredValues, dtype: np.dtype[Any]) -> StoredValues:
    """Return the values in the dtype of the copy."""
    if values.dtype == dtype:
        return values
    limits = np.iinfo(dtype)
    if int(values.min()) < limits.min or int(values.max()) > limits.max:
        raise ImageMismatchError(f"{dtype} cannot hold the values of the cover image")
    return values.astype(dtype)
