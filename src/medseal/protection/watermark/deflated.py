"""Frames of side information: deflated differences between values, and the map of a mark.

docs/spec/side-information.md defines the bytes.
"""

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.errors import SideInformationError
from medseal.imaging.image import StoredValues
from medseal.protection.watermark.residual import (
    MAP_LIMIT,
    MAX_SCALE,
    SHIFT_LIMITS,
    Residual,
    differences,
)

__all__ = [
    "CELL_WIDTHS",
    "MAX_ENLARGEMENT",
    "StorableLimits",
    "read_difference",
    "read_residual",
    "unmarked",
    "write_difference",
    "write_residual",
]

CELL_WIDTHS = (1, 2, 4, 8)
MAX_ENLARGEMENT = 4
"""Largest side of a map for one row or column of the image."""

# Width of a difference and length of its stream.
_DIFFERENCE = struct.Struct(">BL")
# Number of scales; shift, rows and columns of the map; one scale; length of the stream.
_COUNT = struct.Struct(">B")
_MAP = struct.Struct(">bLL")
_SCALE = struct.Struct(">L")
_LENGTH = struct.Struct(">L")
_BITS_A_BYTE = 8

StorableLimits = tuple[int, int]


def _modular(values: StoredValues, cell: int) -> NDArray[Any]:
    """Return values modulo 2**(8 * cell), without a sign; floats by their bits."""
    unsigned = f"u{cell}"
    return values.view(unsigned) if values.dtype.kind == "f" else values.astype(unsigned)


def _taken(data: bytes, position: int, size: int) -> tuple[bytes, int]:
    """Return some bytes and the place behind them."""
    if size > len(data) - position:
        raise SideInformationError("the side information ends early")
    return data[position : position + size], position + size


def _inflated(stream: bytes, size: int) -> NDArray[np.uint8]:
    """Return exactly `size` bytes.

    Raises
    ------
    SideInformationError
        The stream is damaged, longer, shorter, or followed by something.
    """
    inflater = zlib.decompressobj()
    try:
        # One byte more than wanted, so that a longer stream shows.
        plain = inflater.decompress(stream, size + 1)
    except zlib.error:
        raise SideInformationError("a frame of the side information is damaged") from None
    if len(plain) != size or not inflater.eof or inflater.unused_data:
        raise SideInformationError("a frame of the side information has a wrong length")
    return np.frombuffer(plain, np.uint8)


def write_difference(wanted: StoredValues, given: StoredValues) -> bytes:
    """Return what leads from one frame to another: exact for every pair of values.

    Parameters
    ----------
    wanted, given
        (rows, columns, samples) each; both integers, or floats of one width.
    """
    cell = wanted.dtype.itemsize
    difference = (_modular(wanted, cell) - _modular(given, cell)).view(f"i{cell}")
    if not difference.any():
        return _DIFFERENCE.pack(0, 0)
    low, high = int(difference.min()), int(difference.max())
    width = next(
        width
        for width in CELL_WIDTHS
        if -(1 << (width * _BITS_A_BYTE - 1)) <= low and high < 1 << (width * _BITS_A_BYTE - 1)
    )
    narrow = difference.astype(f"<i{width}").reshape(-1, 1).view(np.uint8)
    # Bytes of one significance stand together.
    stream = zlib.compress(np.ascontiguousarray(narrow.T).tobytes())
    return _DIFFERENCE.pack(width, len(stream)) + stream


def read_difference(
    data: bytes, position: int, given: StoredValues, dtype: np.dtype[Any]
) -> tuple[StoredValues, int]:
    """Return the frame of `dtype` that `write_difference` was given, and where the next begins.

    Raises
    ------
    SideInformationError
        The bytes end early or are malformed.
    """
    fields, position = _taken(data, position, _DIFFERENCE.size)
    width, length = _DIFFERENCE.unpack(fields)
    stream, position = _taken(data, position, length)
    cell = dtype.itemsize
    result = _modular(given, cell)
    if width == 0 and length == 0:
        return result.view(dtype), position
    if width not in CELL_WIDTHS or width > cell:
        raise SideInformationError("a frame of the side information has an unknown width")
    sorted_bytes = _inflated(stream, given.size * width).reshape(width, given.size)
    difference = np.ascontiguousarray(sorted_bytes.T).view(f"<i{width}").reshape(given.shape)
    return (result + difference.astype(f"u{cell}")).view(dtype), position


def write_residual(residual: Residual) -> bytes:
    """Return map, scales and shift of what was added to one frame."""
    if not residual.map.any():
        return _COUNT.pack(0)
    # Run lengths for flat air and one code for all the rest: measured, a mark has no repetitions
    # for the deflater to find, and differences between neighbours are no smaller.
    deflater = zlib.compressobj(9, strategy=zlib.Z_RLE)
    stream = deflater.compress(residual.map.tobytes()) + deflater.flush()
    return b"".join(
        [
            _COUNT.pack(len(residual.scales)),
            *(_SCALE.pack(scale) for scale in residual.scales),
            _MAP.pack(residual.shift, *residual.map.shape),
            _LENGTH.pack(len(stream)),
            stream,
        ]
    )


def read_residual(
    data: bytes, position: int, shape: tuple[int, ...]
) -> tuple[Residual | None, int]:
    """Return what was added to one frame, None for nothing, and where the next field begins.

    Parameters
    ----------
    data, position
        Side information, and a place in it.
    shape
        (rows, columns, samples) of the frame.

    Raises
    ------
    SideInformationError
        The bytes end early, are malformed, or ask for more than the frame can need.
    """
    fields, position = _taken(data, position, _COUNT.size)
    (count,) = _COUNT.unpack(fields)
    if count == 0:
        return None, position
    if count > shape[2]:
        raise SideInformationError("a mark of the side information has too many samples")
    fields, position = _taken(data, position, count * _SCALE.size)
    scales = tuple(scale for (scale,) in _SCALE.iter_unpack(fields))
    fields, position = _taken(data, position, _MAP.size)
    shift, rows, columns = _MAP.unpack(fields)
    sides = zip((rows, columns), shape[:2], strict=True)
    if not all(1 <= side <= MAX_ENLARGEMENT * native for side, native in sides):
        raise SideInformationError("a map of the side information does not fit the image")
    if max(scales) > MAX_SCALE or not SHIFT_LIMITS[0] <= shift <= SHIFT_LIMITS[1]:
        raise SideInformationError("a mark of the side information is out of range")
    fields, position = _taken(data, position, _LENGTH.size)
    stream, position = _taken(data, position, *_LENGTH.unpack(fields))
    small = _inflated(stream, rows * columns).view(np.int8).reshape(rows, columns)
    if int(small.min()) < -MAP_LIMIT:
        raise SideInformationError("a map of the side information is out of range")
    return Residual(map=small, scales=scales, shift=shift), position


def unmarked(
    marked: StoredValues, residual: Residual, dtype: np.dtype[Any], limits: StorableLimits
) -> StoredValues:
    """Return a marked frame less its mark: the cover's values, but for some that were clipped.

    A value at a limit that the mark drove there is more often one that was there before (the air of
    a CT, the black of a screen) than one that was moved exactly onto it, so it is left.

    Parameters
    ----------
    marked
        (rows, columns, samples), integers.
    residual
        What was added.
    dtype
        Of the cover, integers.
    limits
        Least and largest value that the mark was clipped to.
    """
    cell = dtype.itemsize
    result = _modular(marked, cell).view(dtype)
    least, most = (np.int64(limit) for limit in limits)
    for rows, added in differences(residual, (marked.shape[0], marked.shape[1])):
        part = marked[rows, :, : added.shape[2]].astype(np.int64)
        is_clipped = ((part == least) & (added < 0)) | ((part == most) & (added > 0))
        cover = np.where(is_clipped, part, part - added)
        result[rows, :, : added.shape[2]] = cover.astype(dtype)
    return result
