"""Read and write TIFF: one page a frame."""

import logging
from io import BytesIO
from types import MappingProxyType
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging.attachment import TIFF_TAG, framed
from medseal.imaging.boundary import library_errors
from medseal.imaging.codestreams import read_jpeg_header
from medseal.imaging.image import MedicalImage, StoredValues, frozen
from medseal.imaging.limits import MAX_FRAMES, check_decoded_size, check_jpeg_scans
from medseal.imaging.notes import apply_note, check_exportable, note_of
from medseal.imaging.raster import photometric_of

__all__ = ["encode_tiff", "is_tiff", "read_tiff"]

_SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# None, CCITT, LZW, JPEG, deflate (two numbers), PackBits, LZMA, Zstandard. The other codecs of
# TIFF state a size of their own, which may be a bomb.
_COMPRESSIONS = frozenset({1, 2, 3, 4, 5, 7, 8, 32946, 32773, 34925, 50000})
_JPEG = 7
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _YBR = 0, 1, 2, 3, 6
_GREY = frozenset({_WHITE_IS_ZERO, _BLACK_IS_ZERO})
_SEPARATE_PLANES = 2
_UNDEFINED = 7
_REDUCED_OR_MASK = 0b101
_BITS_A_BYTE = 8
_MAX_SAMPLES = 4
_GREY_SAMPLES, _COLOUR_SAMPLES = (1, 2), (3, 4)
# 8-bit colours are spread over 16 bits exactly, or, by some writers, shifted.
_16_BITS_OF_8 = (257, 256)

# Without a handler Python prints a library's warnings to stderr.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def is_tiff(data: bytes) -> bool:
    """Return whether the bytes begin as a TIFF or BigTIFF file does."""
    return data.startswith(_SIGNATURES)


def _page_key(page: Any) -> tuple[object, ...]:
    return (
        page.imagelength,
        page.imagewidth,
        page.samplesperpixel,
        page.bitspersample,
        page.sampleformat,
        page.photometric,
    )


def _pages(file: tifffile.TiffFile, *, name: str) -> list[Any]:
    """Return the full-size pages, which must be alike; thumbnails and masks are left out."""
    pages: list[Any] = []
    seen: set[int] = set()
    for page in file.pages:
        if page.offset in seen:
            raise UnreadableImageError(f"{name}: the TIFF pages form a loop; fetch it again")
        seen.add(page.offset)
        if pages and int(page.subfiletype) & _REDUCED_OR_MASK:
            continue
        pages.append(page)
        if len(pages) > MAX_FRAMES:
            break
        if _page_key(page) != _page_key(pages[0]):
            raise UnsupportedImageError(
                f"{name}: pages of several sizes or kinds; give one TIFF file for each"
            )
    if not pages:
        raise UnreadableImageError(f"{name}: a TIFF file without a page; fetch it again")
    return pages


def _check_page(page: Any, file_bytes: memoryview, *, name: str) -> None:
    """Refuse codecs and layouts that are not supported, before anything is decoded."""
    photometric = int(page.photometric)
    samples = int(page.samplesperpixel)
    is_grey = photometric in _GREY and samples in _GREY_SAMPLES
    is_colour = photometric == _RGB and samples in _COLOUR_SAMPLES
    is_palette = photometric == _PALETTE and samples == 1
    is_jpeg_colour = photometric == _YBR and samples == 3 and page.compression == _JPEG  # noqa: PLR2004
    if not (is_grey or is_colour or is_palette or is_jpeg_colour) or page.imagedepth != 1:
        raise UnsupportedImageError(
            f"{name}: TIFF photometric interpretation {photometric} with {samples} samples is "
            "not supported; convert it to grey or RGB"
        )
    if int(page.compression) not in _COMPRESSIONS:
        raise UnsupportedImageError(
            f"{name}: TIFF compression {int(page.compression)} is not supported; save it with "
            "deflate"
        )
    if page.compression == _JPEG:
        _check_jpeg_segments(page, file_bytes, name=name)


def _check_jpeg_segments(page: Any, file_bytes: memoryview, *, name: str) -> None:
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if not count:
            continue
        segment = bytes(file_bytes[offset : offset + count])
        check_jpeg_scans(segment, name=name)
        header = read_jpeg_header(segment, name=name)
        # A last strip may be padded to whole blocks of 16 values.
        if header.rows > rows + 16 or header.columns > columns + 16:
            raise UnreadableImageError(
                f"{name}: a compressed strip is larger than stated; fetch the file again"
            )


def _page_values(page: Any) -> StoredValues:
    """Return (rows, columns, samples), palette and JPEG colours as RGB."""
    values: StoredValues = np.asarray(page.asarray(maxworkers=1))
    shape = (int(page.imagelength), int(page.imagewidth))
    samples = int(page.samplesperpixel)
    if page.planarconfig == _SEPARATE_PLANES and samples > 1:
        values = values.reshape(samples, *shape).transpose(1, 2, 0)
    else:
        values = values.reshape(*shape, samples)
    if int(page.photometric) == _PALETTE:
        colours = np.asarray(page.colormap, dtype=np.uint16).T
        for factor in _16_BITS_OF_8:
            if not (colours % factor).any():
                colours = (colours // factor).astype(np.uint8)
                break
        values = colours[values[:, :, 0]]
    if values.dtype.kind == "b":
        values = values.astype(np.uint8)
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    return values


def _bits_stored(page: Any, values: StoredValues) -> int:
    if int(page.photometric) == _PALETTE or values.dtype.kind == "f":
        return values.dtype.itemsize * _BITS_A_BYTE
    bits = page.bitspersample
    return int(max(bits) if isinstance(bits, tuple) else bits)


def read_tiff(data: bytes, *, name: str) -> MedicalImage:
    """Read a TIFF file of 1 to 64 bits: grey, RGB or palette (as RGB), one page a frame.

    Raises
    ------
    UnreadableImageError
        Damaged or truncated.
    UnsupportedImageError
        A codec, colour space or mixture of pages that is not supported.
    ImageTooLargeError
        A stated size exceeds a limit.
    """
    view = memoryview(data)
    with library_errors(name, "read the TIFF file"), tifffile.TiffFile(BytesIO(data)) as file:
        pages = _pages(file, name=name)
        first = pages[0]
        samples = max(1, int(first.samplesperpixel))
        shape = (len(pages), int(first.imagelength), int(first.imagewidth), samples)
        if first.dtype is None or first.dtype.kind not in "uifb" or samples > _MAX_SAMPLES:
            raise UnsupportedImageError(
                f"{name}: TIFF values of an unusual kind; convert them to integers or floats"
            )
        check_decoded_size(shape, first.dtype.itemsize, name=name)
        for page in pages:
            _check_page(page, view, name=name)
        planes = [_page_values(page) for page in pages]
        values = np.stack(planes) if len(planes) > 1 else planes[0][None]
        description = str(first.description or "")
        is_inverted = int(first.photometric) == _WHITE_IS_ZERO
        bits_stored = _bits_stored(first, values)
        colour = photometric_of(values.shape[3])
        image = MedicalImage(
            stored_values=frozen(values),
            bits_stored=bits_stored,
            is_signed=values.dtype.kind != "u",
            photometric_interpretation="MONOCHROME1" if is_inverted and samples == 1 else colour,
            attributes=MappingProxyType({"ImageDescription": description[:1024]}),
            source_format="tiff",
            decoder=f"tifffile {tifffile.__version__} (imagecodecs {imagecodecs.__version__})",
        )
    return apply_note(image, description)


def encode_tiff(image: MedicalImage, *, attachment: bytes = b"") -> bytes:
    """Return a TIFF file with the same stored values, compressed without loss (deflate).

    Parameters
    ----------
    image
        Grey or RGB, each with or without alpha.
    attachment
        Opaque bytes for a private tag of the first page; none for no bytes.

    Raises
    ------
    UnsupportedImageError
        Palette or YBR values.
    ImageTooLargeError
        The attachment exceeds its limit.
    """
    check_exportable(image, "TIFF")
    photometric = "rgb" if image.samples in _COLOUR_SAMPLES else "minisblack"
    if image.photometric_interpretation == "MONOCHROME1":
        photometric = "miniswhite"
    has_alpha = image.samples in {_GREY_SAMPLES[1], _COLOUR_SAMPLES[1]}
    frame_of_bytes = framed(attachment) if attachment else b""
    extra = [(TIFF_TAG, _UNDEFINED, len(frame_of_bytes), frame_of_bytes, True)]
    stream = BytesIO()
    # BigTIFF from 2 GiB on: deflate may not shrink noise, and offsets have 32 bits.
    is_big = image.stored_values.nbytes > 2 * 1024**3
    with tifffile.TiffWriter(stream, bigtiff=is_big) as file:
        for index, frame in enumerate(image.stored_values):
            file.write(
                frame[:, :, 0] if image.samples == 1 else frame,
                photometric=photometric,
                planarconfig=None if image.samples == 1 else "contig",
                extrasamples=["unassalpha"] if has_alpha else None,
                compression="zlib",
                description=note_of(image),
                software=False,
                metadata=None,
                contiguous=False,
                extratags=extra if attachment and index == 0 else (),
                maxworkers=1,
            )
    return stream.getvalue()
