"""Headers of compressed frames: size, precision and colour, read before a codec sees the bytes."""

import struct
from dataclasses import dataclass

from medseal.errors import UnreadableImageError

__all__ = ["FrameHeader", "read_j2k_header", "read_jpeg_header"]

_JPEG_START = b"\xff\xd8"
# Frame markers of ITU-T T.81 table B.1 without the differential and arithmetic ones, and SOF55
# of ITU-T T.87 (JPEG-LS).
_JPEG_FRAMES = frozenset({0xC0, 0xC1, 0xC2, 0xC3, 0xF7})
_JPEG_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_JPEG_SCAN = 0xDA
_JPEG_APP0 = 0xE0
_JPEG_APP14 = 0xEE
_ADOBE_TRANSFORM_OFFSET = 11
_COMPONENT_OFFSET, _COMPONENT_BYTES = 6, 3
_RGB_COMPONENTS = (b"RGB", b"rgb")

_J2K_START = b"\xff\x4f\xff\x51"
_J2K_SIZE = struct.Struct(">HHIIIIIIIIH")
_J2K_SIGNED = 0x80
_JP2_CODESTREAM_BOX = b"jp2c"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameHeader:
    """What a compressed frame says about itself.

    Attributes
    ----------
    rows, columns, samples
        Size of the decoded frame.
    precision
        Bits of a value, 1 to 38.
    is_signed
        True if the codestream (JPEG 2000) holds signed values.
    colour
        RGB or YBR_FULL where the stream tells, else None.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    is_signed: bool = False
    colour: str | None = None


def _damaged(name: str) -> UnreadableImageError:
    return UnreadableImageError(
        f"{name}: the header of a compressed frame is damaged; fetch the file again"
    )


def _colour_of_application_segment(marker: int, segment: bytes) -> str | None:
    """Return what JFIF (APP0) or Adobe (APP14) say about the colour space."""
    if marker == _JPEG_APP0 and segment.startswith(b"JFIF"):
        return "YBR_FULL"
    if marker == _JPEG_APP14 and segment.startswith(b"Adobe"):
        if len(segment) <= _ADOBE_TRANSFORM_OFFSET:
            return None
        return "YBR_FULL" if segment[_ADOBE_TRANSFORM_OFFSET] else "RGB"
    return None


def _frame_header(segment: bytes, colour: str | None, *, name: str) -> FrameHeader:
    if len(segment) < _COMPONENT_OFFSET:
        raise _damaged(name)
    precision, rows, columns, samples = struct.unpack_from(">BHHB", segment)
    components = segment[_COMPONENT_OFFSET::_COMPONENT_BYTES][:samples]
    if components in _RGB_COMPONENTS:
        colour = "RGB"
    return FrameHeader(
        rows=rows, columns=columns, samples=samples, precision=precision, colour=colour
    )


def read_jpeg_header(data: bytes | memoryview, *, name: str) -> FrameHeader:
    """Return the frame header of a JPEG or JPEG-LS stream.

    Raises
    ------
    UnreadableImageError
        No frame header is found where one belongs.

    References
    ----------
    ITU-T T.81, annex B; ITU-T T.87, annex C; JFIF 1.02; Adobe technical note 5116.
    """
    if data[:2] != _JPEG_START:
        raise _damaged(name)
    colour: str | None = None
    position = 2
    end = len(data)
    while position + 4 <= end:
        if data[position] != 0xFF:  # noqa: PLR2004  each marker starts with FF
            raise _damaged(name)
        marker = data[position + 1]
        if marker in _JPEG_ALONE or marker == 0xFF:  # noqa: PLR2004  FF also fills
            position += 1 if marker == 0xFF else 2  # noqa: PLR2004
            continue
        if marker == _JPEG_SCAN:
            break
        length = (data[position + 2] << 8) | data[position + 3]
        segment = bytes(data[position + 4 : position + 2 + length])
        if marker in _JPEG_FRAMES:
            return _frame_header(segment, colour, name=name)
        colour = _colour_of_application_segment(marker, segment) or colour
        position += 2 + max(length, 2)
    raise _damaged(name)


def read_j2k_header(data: bytes | memoryview, *, name: str) -> FrameHeader:
    """Return the size header of a JPEG 2000 or HTJ2K codestream, bare or in a JP2 file.

    Raises
    ------
    UnreadableImageError
        No size header is found where one belongs.

    References
    ----------
    ITU-T T.800, A.5.1.
    """
    start = 0
    if data[:4] != _J2K_START:
        box = bytes(data[:4096]).find(_JP2_CODESTREAM_BOX)
        start = box + 4
        if box < 0 or data[start : start + 4] != _J2K_START:
            raise _damaged(name)
    body = bytes(data[start + 4 : start + 4 + _J2K_SIZE.size + 1])
    if len(body) <= _J2K_SIZE.size:
        raise _damaged(name)
    _, _, width, height, left, top, _, _, _, _, samples = _J2K_SIZE.unpack_from(body)
    depth = body[_J2K_SIZE.size]
    return FrameHeader(
        rows=height - top,
        columns=width - left,
        samples=samples,
        precision=(depth & ~_J2K_SIGNED) + 1,
        is_signed=bool(depth & _J2K_SIGNED),
    )
