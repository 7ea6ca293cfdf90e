"""Pixel data of a DICOM file: its format, its encoded frames, its decoded stored values."""

import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging.boundary import library_errors
from medseal.imaging.codecs import PixelFormat, decode_frame, decoder_name
from medseal.imaging.image import StoredValues, frozen
from medseal.imaging.limits import MAX_FRAMES, check_decoded_size

__all__ = [
    "DecodedPixels",
    "PixelData",
    "decode_pixels",
    "encapsulated_frames",
    "native_frames",
    "pixel_format",
    "read_fragments",
]

FLOAT_BITS = {0x7FE00008: 32, 0x7FE00009: 64}
"""Tags of Float and Double Float Pixel Data, and the bits of their values."""

_ITEM, _SEQUENCE_DELIMITER = 0xFFFEE000, 0xFFFEE0DD
_ITEM_HEADER = struct.Struct("<HHL")
_BITS_A_BYTE = 8
_ALLOCATED_BITS = (1, 8, 16, 32)
_GREY_SAMPLES, _COLOUR_SAMPLES = 1, 3
_GREY = frozenset({"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"})
_COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"})
_LOSSY_JPEG = frozenset({"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"})
_J2K_COLOUR = {"YBR_ICT": "RGB", "YBR_RCT": "RGB"}
_START_OF_FRAME = (b"\xff\xd8", b"\xff\x4f")


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelData:
    """The pixel data element as it lies in the file.

    Attributes
    ----------
    tag
        (7FE0,0010), or (7FE0,0008) and (7FE0,0009) for floating values.
    vr
        OB, OW, OF or OD.
    transfer_syntax
        UID; the implicit little endian one where the file has no meta group.
    is_little_endian
        Byte order of native values.
    value
        Native values; None if encapsulated.
    fragments
        Fragments after the offset table; empty if native.
    offsets
        Basic Offset Table, or the Extended one; empty if there is none.
    """

    tag: int
    vr: str
    transfer_syntax: str
    is_little_endian: bool
    value: memoryview | None
    fragments: tuple[memoryview, ...] = ()
    offsets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedPixels:
    """Stored values with what decoding them taught about their meaning."""

    values: StoredValues
    bits_stored: int
    photometric_interpretation: str
    decoder: str


_KEYWORDS = (
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PlanarConfiguration",
)


class _Module:
    """The elements of the Image Pixel module, decoded at once."""

    def __init__(self, dataset: Dataset, *, name: str) -> None:
        self._name = name
        with library_errors(name, "read rows, columns and bits"):
            self._values = {keyword: dataset.get(keyword) for keyword in _KEYWORDS}

    def number(self, keyword: str, default: int | None) -> int:
        value: Any = self._values[keyword]
        if value is not None and value != "":
            with library_errors(self._name, f"read {keyword}"):
                return int(value)
        if default is None:
            raise UnreadableImageError(
                f"{self._name}: the data set lacks {keyword}; fetch the file again from its source"
            )
        return default

    def photometric_interpretation(self, samples: int) -> str:
        stated = str(self._values["PhotometricInterpretation"] or "").strip()
        if not stated:
            return "MONOCHROME2" if samples == _GREY_SAMPLES else "RGB"
        if stated not in (_GREY if samples == _GREY_SAMPLES else _COLOURS):
            raise UnsupportedImageError(
                f"{self._name}: photometric interpretation {stated[:16]!r} with {samples} samples "
                "is not supported; convert the image to MONOCHROME2 or RGB"
            )
        return stated


def pixel_format(dataset: Dataset, tag: int, *, name: str) -> PixelFormat:
    """Return the checked Image Pixel module.

    Parameters
    ----------
    dataset
        Without pixel data.
    tag
        Of the pixel data element: integer, float or double float.
    name
        File name for messages.

    Raises
    ------
    UnreadableImageError
        A mandatory element is missing or makes no sense.
    UnsupportedImageError
        Cells of a width or a colour space that is not supported.
    ImageTooLargeError
        The stated size exceeds a limit.
    """
    module = _Module(dataset, name=name)
    samples = module.number("SamplesPerPixel", _GREY_SAMPLES)
    if samples not in {_GREY_SAMPLES, _COLOUR_SAMPLES}:
        raise UnsupportedImageError(
            f"{name}: {samples} samples per pixel are not supported; convert it to 1 or 3"
        )
    float_bits = FLOAT_BITS.get(tag)
    allocated = float_bits or module.number("BitsAllocated", None)
    stored = float_bits or module.number("BitsStored", allocated)
    if float_bits is None and (allocated not in _ALLOCATED_BITS or not 1 <= stored <= allocated):
        raise UnsupportedImageError(
            f"{name}: {stored} bits stored of {allocated} allocated are not supported; transcode "
            "the image to 8, 16 or 32 bits allocated"
        )
    pixels = PixelFormat(
        frames=max(1, module.number("NumberOfFrames", 1)),
        rows=module.number("Rows", None),
        columns=module.number("Columns", None),
        samples=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        is_signed=float_bits is not None or module.number("PixelRepresentation", 0) == 1,
        photometric_interpretation=module.photometric_interpretation(samples),
        is_planar=module.number("PlanarConfiguration", 0) == 1,
    )
    shape = (pixels.frames, pixels.rows, pixels.columns, pixels.samples)
    check_decoded_size(shape, pixels.dtype.itemsize, name=name)
    return pixels


def read_fragments(
    data: memoryview, *, name: str
) -> tuple[tuple[memoryview, ...], tuple[int, ...], int]:
    """Split an encapsulated value that begins at `data[0]`.

    Returns
    -------
    tuple
        Fragments, basic offset table, and the length in bytes with the sequence delimiter.

    Raises
    ------
    UnreadableImageError
        The items do not fit, or the delimiter is missing.

    References
    ----------
    PS3.5, annex A.4.
    """
    items: list[memoryview] = []
    position = 0
    while position + _ITEM_HEADER.size <= len(data):
        group, element, length = _ITEM_HEADER.unpack_from(data, position)
        position += _ITEM_HEADER.size
        tag = group << 16 | element
        if tag == _SEQUENCE_DELIMITER and items:
            table = bytes(items[0])
            offsets = struct.unpack(f"<{len(table) // 4}L", table[: len(table) // 4 * 4])
            return tuple(items[1:]), offsets, position
        if tag != _ITEM or position + length > len(data):
            break
        items.append(data[position : position + length])
        position += length
    raise UnreadableImageError(
        f"{name}: the compressed pixel data ends early; fetch the file again from its source"
    )


def _frame_starts(pixel_data: PixelData, frames: int) -> list[int]:
    """Return the index of each frame's first fragment; empty if it cannot be told."""
    fragments = pixel_data.fragments
    if frames == 1:
        return [0]
    if len(fragments) == frames:
        return list(range(frames))
    if len(pixel_data.offsets) == frames:
        positions: dict[int, int] = {}
        position = 0
        for index, fragment in enumerate(fragments):
            positions[position] = index
            position += _ITEM_HEADER.size + len(fragment)
        found = [positions[offset] for offset in pixel_data.offsets if offset in positions]
        return found if len(found) == frames and found == sorted(set(found)) else []
    found = [i for i, fragment in enumerate(fragments) if fragment[:2] in _START_OF_FRAME]
    return found if len(found) == frames else []


def encapsulated_frames(pixel_data: PixelData, frames: int, *, name: str) -> list[bytes]:
    """Return the encoded bytes of each frame, its fragments joined.

    Raises
    ------
    UnreadableImageError
        Fragments and Number of Frames do not fit each other.
    """
    fragments = pixel_data.fragments
    starts = _frame_starts(pixel_data, frames) if fragments and frames <= MAX_FRAMES else []
    if not starts or starts[0] != 0:
        raise UnreadableImageError(
            f"{name}: {len(fragments)} fragments do not make {frames} frames; "
            "fetch the file again from its source"
        )
    return [b"".join(fragments[first:last]) for first, last in pairwise([*starts, len(fragments)])]


def _native_frame_bits(pixels: PixelFormat) -> int:
    cells = pixels.rows * pixels.columns * pixels.samples
    if pixels.photometric_interpretation == "YBR_FULL_422":
        cells = pixels.rows * pixels.columns * 2
    return cells * pixels.bits_allocated


def native_frames(pixel_data: PixelData, pixels: PixelFormat, *, name: str) -> list[memoryview]:
    """Return the bytes of each native frame without the pad byte at the end.

    Frames of single bits that do not end on a whole byte come as one view of all of them.

    Raises
    ------
    UnreadableImageError
        The value is shorter than the data set states.
    """
    value = pixel_data.value if pixel_data.value is not None else memoryview(b"")
    frame_bits = _native_frame_bits(pixels)
    total_bytes = (frame_bits * pixels.frames + _BITS_A_BYTE - 1) // _BITS_A_BYTE
    if len(value) < total_bytes:
        raise UnreadableImageError(
            f"{name}: the pixel data has {len(value)} bytes, {total_bytes} are stated; "
            "fetch the file again from its source"
        )
    if frame_bits % _BITS_A_BYTE:
        return [value[:total_bytes]]
    step = frame_bits // _BITS_A_BYTE
    return [value[start : start + step] for start in range(0, total_bytes, step)]


def _without_subsampling(cells: StoredValues, shape: tuple[int, int, int, int]) -> StoredValues:
    """Repeat the chroma of YBR_FULL_422: Y1 Y2 B R becomes Y1 B R, Y2 B R (PS3.3 C.7.6.3.1.2)."""
    pairs = cells.reshape(-1, 4)
    values = np.empty((len(pairs), 2, _COLOUR_SAMPLES), dtype=cells.dtype)
    values[:, :, 0] = pairs[:, :2]
    values[:, :, 1:] = pairs[:, None, 2:]
    return values.reshape(shape)


def _cells(pixel_data: PixelData, pixels: PixelFormat, total_bytes: int) -> StoredValues:
    """Return native cells in one row, a view of the file where its byte order allows."""
    value = pixel_data.value if pixel_data.value is not None else memoryview(b"")
    swaps_pairs = pixel_data.vr == "OW" and not pixel_data.is_little_endian
    if swaps_pairs and pixels.bits_allocated <= _BITS_A_BYTE:
        # Cells of 8 bits in big endian words stand in the order 1 0 3 2 (PS3.5, 8.1.1).
        words = np.frombuffer(value[: len(value) // 2 * 2], dtype=np.uint16)
        return words.byteswap().view(np.uint8)[:total_bytes].view(pixels.dtype)
    value = value[:total_bytes]
    if pixel_data.tag in FLOAT_BITS:
        dtype = np.dtype(f"f{pixels.bits_allocated // _BITS_A_BYTE}")
    else:
        dtype = pixels.dtype
    in_file = dtype.newbyteorder("<" if pixel_data.is_little_endian else ">")
    return np.frombuffer(value, dtype=in_file)


def _decode_native(
    pixel_data: PixelData, pixels: PixelFormat, *, name: str
) -> tuple[StoredValues, str]:
    """Return (frames, rows, columns, samples) and the photometric interpretation."""
    shape = (pixels.frames, pixels.rows, pixels.columns, pixels.samples)
    photometric_interpretation = pixels.photometric_interpretation
    frames = native_frames(pixel_data, pixels, name=name)
    cells = _cells(pixel_data, pixels, sum(map(len, frames)))
    if pixels.bits_allocated == 1:
        count = pixels.frames * pixels.rows * pixels.columns * pixels.samples
        bits = np.unpackbits(cells.view(np.uint8), bitorder="little", count=count)
        return bits.reshape(shape), photometric_interpretation
    if photometric_interpretation == "YBR_FULL_422":
        return _without_subsampling(cells, shape), "YBR_FULL"
    if pixels.is_planar and pixels.samples > 1:
        planes = cells.reshape(pixels.frames, pixels.samples, pixels.rows, pixels.columns)
        return planes.transpose(0, 2, 3, 1), photometric_interpretation
    return cells.reshape(shape), photometric_interpretation


def _decode_encapsulated(
    pixel_data: PixelData, pixels: PixelFormat, *, name: str
) -> tuple[StoredValues, str, int]:
    """Return values, photometric interpretation and the largest precision of a codestream."""
    syntax = pixel_data.transfer_syntax
    frames = encapsulated_frames(pixel_data, pixels.frames, name=name)
    shape = (pixels.frames, pixels.rows, pixels.columns, pixels.samples)
    values = np.empty(shape, dtype=pixels.dtype)
    precision = pixels.bits_stored
    photometric_interpretation = pixels.photometric_interpretation
    for index, frame in enumerate(frames):
        decoded, header = decode_frame(frame, syntax, pixels, name=name)
        values[index] = decoded
        if header is None:
            continue
        precision = max(precision, header.precision)
        if header.colour is not None and syntax in _LOSSY_JPEG and pixels.samples > 1:
            photometric_interpretation = header.colour
    if photometric_interpretation == "YBR_FULL_422":
        photometric_interpretation = "YBR_FULL"
    photometric_interpretation = _J2K_COLOUR.get(
        photometric_interpretation, photometric_interpretation
    )
    return values, photometric_interpretation, precision


def _fits(values: StoredValues, bits: int) -> bool:
    """Return whether each value lies in what `bits` can hold."""
    if values.dtype.kind == "f" or bits >= values.dtype.itemsize * _BITS_A_BYTE:
        return True
    if values.dtype.kind == "u":
        return int(values.max()) < 1 << bits
    half = 1 << (bits - 1)
    return -half <= int(values.min()) and int(values.max()) < half


def decode_pixels(pixel_data: PixelData, pixels: PixelFormat, *, name: str) -> DecodedPixels:
    """Decode all frames.

    Unused high bits of native and RLE cells (old overlays lie there) are cleared, or filled with
    the sign; a compressed frame that holds more bits than Bits Stored raises `bits_stored`.

    Raises
    ------
    UnreadableImageError
        Damaged, truncated, or data set and pixel data contradict each other.
    UnsupportedImageError
        No decoder.
    """
    bits_stored = pixels.bits_stored
    if pixel_data.value is not None:
        with library_errors(name, "decode the pixel data"):
            values, colour = _decode_native(pixel_data, pixels, name=name)
        decoder, precision = f"numpy {np.__version__}", bits_stored
    else:
        values, colour, precision = _decode_encapsulated(pixel_data, pixels, name=name)
        decoder = decoder_name(pixel_data.transfer_syntax)
    if not _fits(values, bits_stored):
        if precision > bits_stored:
            bits_stored = precision
        else:
            unused = values.dtype.itemsize * _BITS_A_BYTE - bits_stored
            values = (values << unused) >> unused
    if not values.flags.aligned:
        values = values.copy()
    return DecodedPixels(
        values=frozen(values),
        bits_stored=bits_stored,
        photometric_interpretation=colour,
        decoder=decoder,
    )
