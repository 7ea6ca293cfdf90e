"""Lossless codestream of stored values: the smallest of several codecs, chosen for each image.

The fewer bits an image has, the more of the cipher image is left for error correction.
No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from medseal.errors import CipherIntegrityError

__all__ = ["pack", "unpack"]

Values = NDArray[Any]

# Up to so many values the thorough JPEG XL is tried. It takes about four times as long to read, so
# that it must save a share of the bytes.
_MANY = 2**22
_THOROUGH, _FAST = 7, 3
_WORTH = 0.96
# Most rows or columns that JPEG-LS can state.
_MAX_JPEG_LS_SIDE = 2**16 - 1
_COLOUR_SAMPLES = 3
_BYTE_LEVELS = 2**8
# Least value, bytes of the table of steps.
_HEAD = struct.Struct(">iI")
_MAX_STEPS_BYTES = 2 * 2**16
# A table of the values in use pays only where most of the range is not.
_SPARSE = 0.75


def _jpegxl(plane: Values) -> bytes:
    fast, thorough = (
        bytes(imagecodecs.jpegxl_encode(plane, lossless=True, effort=effort, numthreads=1))
        for effort in (_FAST, _THOROUGH if plane.size <= _MANY else _FAST)
    )
    return thorough if len(thorough) < _WORTH * len(fast) else fast


def _jpeg_ls(plane: Values) -> bytes | None:
    if max(plane.shape[:2]) > _MAX_JPEG_LS_SIDE:
        return None
    return bytes(imagecodecs.jpegls_encode(plane))


def _jpeg_2000(plane: Values) -> bytes | None:
    # Its wavelets win on radiographs of many bits; below, they never did and cost time.
    if plane.dtype.itemsize == 1:
        return None
    return bytes(
        imagecodecs.jpeg2k_encode(plane, level=0, reversible=True, codecformat="j2k", numthreads=1)
    )


def _deflate(plane: Values) -> bytes:
    return zlib.compress(plane.astype(plane.dtype.newbyteorder("<")).tobytes(), 9)


def _decode_deflate(data: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
    size_bytes = int(np.prod(shape)) * dtype.itemsize
    raw = zlib.decompressobj().decompress(data, size_bytes)
    return np.frombuffer(raw, dtype.newbyteorder("<")).reshape(shape)


# In the order of their numbers in the stream.
_ENCODERS: tuple[Callable[[Values], bytes | None], ...] = (_jpegxl, _jpeg_ls, _jpeg_2000, _deflate)
_DECODERS: tuple[Callable[[bytes], Values], ...] = (
    lambda data: imagecodecs.jpegxl_decode(data, numthreads=1),
    imagecodecs.jpegls_decode,
    imagecodecs.jpeg2k_decode,
)


def _plane_shape(shape: tuple[int, int, int, int]) -> tuple[int, ...]:
    """Return the shape of one picture that holds all frames, below one another.

    Three samples stay a colour picture, because the codecs use what the colours share; others
    become planes below one another.
    """
    frames, rows, columns, samples = shape
    if samples == _COLOUR_SAMPLES:
        return frames * rows, columns, samples
    return frames * samples * rows, columns


def _plane(values: Values) -> Values:
    shape = values.shape
    ordered = values if shape[3] == _COLOUR_SAMPLES else values.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(ordered).reshape(_plane_shape((*shape[:3], shape[3])))


def _from_plane(plane: Values, shape: tuple[int, int, int, int]) -> Values:
    frames, rows, columns, samples = shape
    if samples == _COLOUR_SAMPLES:
        return plane.reshape(shape)
    return plane.reshape(frames, samples, rows, columns).transpose(0, 2, 3, 1)


def _narrow(levels: NDArray[np.uint16]) -> Values:
    return levels.astype(np.uint8) if levels.max() < _BYTE_LEVELS else levels


def _as_levels(values: Values) -> Iterator[tuple[bytes, Values]]:
    """Yield ways to write the values as unsigned levels: a table of steps, and the levels.

    Without steps the levels count up from the least value; with them, from one value in use to
    the next.
    """
    least = int(values.min())
    shifted = (values.astype(np.int32) - least).astype(np.uint16)
    head = _HEAD.pack(least, 0)
    yield head, _narrow(shifted)
    used = np.unique(shifted)
    if len(used) > 1 and len(used) <= _SPARSE * int(used[-1]):
        steps = zlib.compress(np.diff(used).astype("<u2").tobytes(), 9)
        places = np.zeros(int(used[-1]) + 1, np.uint16)
        places[used] = np.arange(len(used))
        yield _HEAD.pack(least, len(steps)) + steps, _narrow(places[shifted])


def pack(values: Values) -> bytes:
    """Return the smallest codestream.

    Parameters
    ----------
    values
        Stored values (frames, rows, columns, samples) of 8 or 16 bits.

    Returns
    -------
    bytes
        Number of the codec, bytes of a level (1 or 2), least value, steps between the values in
        use, codestream.
    """
    streams = []
    for table, levels in _as_levels(values):
        plane = _plane(levels)
        for number, encode in enumerate(_ENCODERS):
            found = encode(plane)
            if found is not None:
                streams.append(bytes((number, plane.dtype.itemsize)) + table + found)
    return min(streams, key=len)


def unpack(data: bytes, shape: tuple[int, int, int, int], dtype: np.dtype[Any]) -> Values:
    """Return the stored values of a codestream that was found authentic.

    Parameters
    ----------
    data
        What `pack` returned.
    shape, dtype
        Of the values.

    Raises
    ------
    CipherIntegrityError
        The codestream is malformed or of another size: a holder of the key made it wrongly.
    """
    try:
        number, width = data[0], data[1]
        least, size_bytes = _HEAD.unpack_from(data, 2)
        start = 2 + _HEAD.size
        packed, stream = data[start : start + size_bytes], data[start + size_bytes :]
        plane = _decoded(number, stream, _plane_shape(shape), np.dtype(f"u{width}"))
        if packed:
            steps = np.frombuffer(zlib.decompressobj().decompress(packed, _MAX_STEPS_BYTES), "<u2")
            used = np.concatenate([[0], np.cumsum(steps, dtype=np.int64)]) + least
            values = used.astype(dtype)[plane]
        elif least == 0:
            values = plane.astype(dtype, copy=False)
        else:
            values = (plane.astype(np.int32) + least).astype(dtype)
    except (ValueError, IndexError, RuntimeError, TypeError, struct.error, zlib.error) as error:
        raise CipherIntegrityError(
            "the codestream inside this cipher image is malformed; encode the image again"
        ) from error
    return _from_plane(values, shape)


def _decoded(number: int, stream: bytes, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Values:
    if number == len(_DECODERS):
        return _decode_deflate(stream, shape, dtype)
    return np.asarray(_DECODERS[number](stream)).reshape(shape)
