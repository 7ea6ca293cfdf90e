"""Coarse picture of an analog cipher image: a JPEG 2000 codestream cut into a base and a detail.

The parts of the codestream that follow from shape and type (everything before the packets) are
left out and made anew by the reader, so that a small image keeps its few bytes for content.
No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Codestream", "compress", "decompress"]

Plane = NDArray[Any]
_Fit = tuple[bytes, float]

_COD, _SOT, _SOD, _EOC = b"\xff\x52", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
# Of the marker COD's body: length, style and progression stand before the number of layers.
_LAYERS_OFFSET = 5
_SOT_BYTES = 12
_FRAMING_BYTES = _SOT_BYTES + len(_SOD)
_MOST_RESOLUTIONS = 6
_COLOUR = 3
_LEAST_TARGET_BYTES = 8
# The encoder meets its target from below, in steps; the last tries ask for less.
_TARGETS = (1.0, 0.97, 0.9, 0.75, 0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Codestream:
    """Packets of one picture.

    Attributes
    ----------
    packets
        Both quality layers; empty where not even the shortest stream fits.
    base_bytes
        How many of them give the base picture; 0 where there is no base.
    """

    packets: bytes
    base_bytes: int


def _resolutions(shape: tuple[int, ...]) -> int:
    return max(1, min(_MOST_RESOLUTIONS, min(shape[:2]).bit_length()))


def _encoded(values: Plane, sizes: tuple[float, ...]) -> bytes:
    """Return a codestream of as many quality layers as there are sizes in bytes."""
    buffer = io.BytesIO()
    Image.fromarray(values).save(
        buffer,
        "JPEG2000",
        no_jp2=True,
        quality_mode="rates",
        quality_layers=[max(1.0, values.nbytes / size) for size in sizes],
        irreversible=True,
        num_resolutions=_resolutions(values.shape),
        mct=1 if values.ndim == _COLOUR else 0,
    )
    return buffer.getvalue()


def _split(codestream: bytes) -> tuple[bytes, bytes]:
    """Return main header and packets of a codestream of one tile."""
    tile = codestream.index(_SOT)
    return codestream[:tile], codestream[tile + _FRAMING_BYTES : -len(_EOC)]


def _fitting(values: Plane, header_bytes: int, room: int, before: tuple[float, ...]) -> _Fit:
    """Return packets no longer than the room, and their target; empty if there are none.

    Targets of earlier layers are given.
    """
    overhead = header_bytes + _FRAMING_BYTES + len(_EOC)
    for share in _TARGETS:
        target = max(_LEAST_TARGET_BYTES, share * room) + overhead
        packets = _split(_encoded(values, (*before, target)))[1]
        if len(packets) <= room:
            return packets, target
    return b"", 0.0


def compress(values: Plane, *, base_bytes: int, detail_bytes: int) -> Codestream:
    """Compress a picture to at most so many bytes.

    Parameters
    ----------
    values
        (rows, columns) uint8 or uint16, or (rows, columns, 3) uint8.
    base_bytes
        Room for the base; 0 for none.
    detail_bytes
        Room for the rest: for all where there is no base.
    """
    header_bytes = len(_split(_encoded(np.zeros_like(values), (1.0,)))[0])
    if base_bytes:
        base, target = _fitting(values, header_bytes, base_bytes, ())
        room = len(base) + detail_bytes
        whole = _fitting(values, header_bytes, room, (target,))[0] if base else b""
        # The first layer of two is, byte for byte, the one layer of its size: seen with OpenJPEG,
        # promised by nobody.
        if base and whole.startswith(base):
            return Codestream(packets=whole, base_bytes=len(base))
    packets = _fitting(values, header_bytes, detail_bytes, ())[0]
    return Codestream(packets=packets, base_bytes=0)


def decompress(
    packets: bytes, *, shape: tuple[int, ...], dtype: np.dtype[Any], layers: int
) -> Plane:
    """Return the picture that packets of `compress` give.

    Parameters
    ----------
    packets
        Of the base alone, or all of them; none give a picture of middle grey.
    shape, dtype
        Of the values that were compressed.
    layers
        Quality layers in the packets: 1 or 2.
    """
    if not packets:
        return np.full(shape, 1 << (8 * dtype.itemsize - 1), dtype)
    header = bytearray(_split(_encoded(np.zeros(shape, dtype), (1.0,)))[0])
    place = header.index(_COD) + len(_COD) + _LAYERS_OFFSET - 1
    header[place : place + 2] = layers.to_bytes(2, "big")
    length = (_FRAMING_BYTES + len(packets)).to_bytes(4, "big")
    tile = _SOT + b"\x00\x0a\x00\x00" + length + b"\x00\x01" + _SOD
    with Image.open(io.BytesIO(bytes(header) + tile + packets + _EOC)) as decoded:
        return np.asarray(decoded, dtype).reshape(shape)
