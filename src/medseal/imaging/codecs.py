"""Decode one compressed DICOM frame: one fixed decoder for each transfer syntax."""

from collections.abc import Callable
from dataclasses import dataclass

import imagecodecs
import numpy as np
from pydicom.uid import UID

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging.boundary import library_errors
from medseal.imaging.codestreams import FrameHeader, read_j2k_header, read_jpeg_header
from medseal.imaging.image import StoredValues
from medseal.imaging.limits import check_jpeg_scans

__all__ = [
    "PixelFormat",
    "decode_frame",
    "decoder_name",
    "is_supported",
    "supported_transfer_syntaxes",
]

_END_OF_IMAGE = b"\xff\xd9"
# Encoders pad a frame to even length, some to a multiple of a sector.
_END_SEARCH_BYTES = 4096
_BITS_A_BYTE = 8
_COLOUR_SAMPLES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """Image Pixel module of the data set (PS3.3 C.7.6.3), checked.

    Attributes
    ----------
    frames, rows, columns, samples
        Shape of the decoded values.
    bits_allocated, bits_stored
        Bits of a cell and of the value in it.
    is_signed
        Pixel Representation is 1.
    photometric_interpretation
        As the data set states it.
    is_planar
        Planar Configuration is 1: colour by plane.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    is_signed: bool
    photometric_interpretation: str
    is_planar: bool

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Native dtype that holds one cell."""
        size = max(1, self.bits_allocated // _BITS_A_BYTE)
        return np.dtype(f"{'i' if self.is_signed else 'u'}{size}")


Decode = Callable[[bytes, PixelFormat, FrameHeader | None], StoredValues]
ReadHeader = Callable[..., FrameHeader]


def _decode_jpeg(data: bytes, pixels: PixelFormat, header: FrameHeader | None) -> StoredValues:
    # The same colour space in and out: stored values are what was encoded, not converted.
    colour = "YCBCR" if header is not None and header.samples == _COLOUR_SAMPLES else None
    values: StoredValues = imagecodecs.jpeg8_decode(data, colorspace=colour, outcolorspace=colour)
    return values.reshape(pixels.rows, pixels.columns, pixels.samples)


def _decode_jpeg_ls(data: bytes, pixels: PixelFormat, _header: FrameHeader | None) -> StoredValues:
    # CharLS searches a cut stream for seconds; the end marker behind the end stops it at once.
    values: StoredValues = imagecodecs.jpegls_decode(data + _END_OF_IMAGE)
    if values.shape == (pixels.samples, pixels.rows, pixels.columns):
        return values.transpose(1, 2, 0)  # interleave mode 0: colour by plane
    return values.reshape(pixels.rows, pixels.columns, pixels.samples)


def _decode_j2k(data: bytes, pixels: PixelFormat, _header: FrameHeader | None) -> StoredValues:
    values: StoredValues = imagecodecs.jpeg2k_decode(data, planar=False)
    return values.reshape(pixels.rows, pixels.columns, pixels.samples)


def _decode_htj2k(data: bytes, pixels: PixelFormat, _header: FrameHeader | None) -> StoredValues:
    values: StoredValues = imagecodecs.htj2k_decode(data, planar=False)
    return values.reshape(pixels.rows, pixels.columns, pixels.samples)


def _decode_rle(data: bytes, pixels: PixelFormat, _header: FrameHeader | None) -> StoredValues:
    little = pixels.dtype.newbyteorder("<")
    size_bytes = pixels.rows * pixels.columns * pixels.samples * little.itemsize
    # The size is bound beforehand: a run of 128 equal bytes takes 2 bytes in the file.
    planes = imagecodecs.dicomrle_decode(data, little, out=size_bytes)
    values = np.frombuffer(planes, dtype=little)
    return values.reshape(pixels.samples, pixels.rows, pixels.columns).transpose(1, 2, 0)


@dataclass(frozen=True, slots=True)
class _Codec:
    library: Callable[[], str]
    decode: Decode
    read_header: ReadHeader | None
    ends_with_marker: bool


_JPEG = _Codec(imagecodecs.jpeg8_version, _decode_jpeg, read_jpeg_header, True)
_JPEG_LS = _Codec(imagecodecs.jpegls_version, _decode_jpeg_ls, read_jpeg_header, True)
_J2K = _Codec(imagecodecs.jpeg2k_version, _decode_j2k, read_j2k_header, False)
_HTJ2K = _Codec(imagecodecs.htj2k_version, _decode_htj2k, read_j2k_header, True)
_RLE = _Codec(imagecodecs.imcd_version, _decode_rle, None, False)

# PS3.6 annex A. One decoder each, never a second try: baseline JPEG decoders differ by a grey
# level, and the digest of the decoded values must not depend on what happens to be installed.
_CODECS = {
    "1.2.840.10008.1.2.4.50": _JPEG,
    "1.2.840.10008.1.2.4.51": _JPEG,
    "1.2.840.10008.1.2.4.57": _JPEG,
    "1.2.840.10008.1.2.4.70": _JPEG,
    "1.2.840.10008.1.2.4.80": _JPEG_LS,
    "1.2.840.10008.1.2.4.81": _JPEG_LS,
    "1.2.840.10008.1.2.4.90": _J2K,
    "1.2.840.10008.1.2.4.91": _J2K,
    "1.2.840.10008.1.2.4.201": _HTJ2K,
    "1.2.840.10008.1.2.4.202": _HTJ2K,
    "1.2.840.10008.1.2.4.203": _HTJ2K,
    "1.2.840.10008.1.2.5": _RLE,
}


def is_supported(transfer_syntax: str) -> bool:
    """Return whether frames of this transfer syntax can be decoded."""
    return transfer_syntax in _CODECS


def supported_transfer_syntaxes() -> dict[str, str]:
    """Return name and version of the decoder, by the name of each compressed transfer syntax."""
    return {UID(uid).name: decoder_name(uid) for uid in _CODECS}


def decoder_name(transfer_syntax: str) -> str:
    """Return name and version of the library that decodes this transfer syntax."""
    return f"{_CODECS[transfer_syntax].library()} (imagecodecs {imagecodecs.__version__})"


def _checked_header(
    data: bytes, codec: _Codec, pixels: PixelFormat, *, name: str
) -> FrameHeader | None:
    """Return the codestream's header; refuse one of another size than the data set states."""
    if codec.ends_with_marker and _END_OF_IMAGE not in data[-_END_SEARCH_BYTES:]:
        raise UnreadableImageError(
            f"{name}: a compressed frame ends early; fetch the file again from its source"
        )
    if codec.read_header is None:
        return None
    if codec is _JPEG:
        check_jpeg_scans(data, name=name)
    header = codec.read_header(data, name=name)
    stated = (pixels.rows, pixels.columns, pixels.samples)
    if (header.rows, header.columns, header.samples) != stated:
        raise UnreadableImageError(
            f"{name}: a compressed frame is {header.rows} x {header.columns} x {header.samples}, "
            f"the data set states {stated[0]} x {stated[1]} x {stated[2]}; correct one of them"
        )
    if header.precision > pixels.bits_allocated:
        raise UnsupportedImageError(
            f"{name}: values of {header.precision} bits in cells of {pixels.bits_allocated}; "
            "transcode the file to Explicit VR Little Endian"
        )
    return header


def _as_represented(
    values: StoredValues, pixels: PixelFormat, header: FrameHeader | None
) -> StoredValues:
    """Return `values` in the dtype of the data set, the sign taken from the top bit.

    JPEG and JPEG-LS know no sign, and some JPEG 2000 encoders state the wrong one: the bit
    pattern of `precision` bits is what counts (PS3.5, 8.2).
    """
    wanted = pixels.dtype
    if header is None or (values.dtype.kind == "i") == pixels.is_signed:
        return values.astype(wanted, copy=False)
    if pixels.is_signed:
        unused = wanted.itemsize * _BITS_A_BYTE - header.precision
        return (values.astype(wanted) << unused) >> unused
    mask = np.array((1 << header.precision) - 1, dtype=wanted)
    masked: StoredValues = values.astype(wanted) & mask
    return masked


def decode_frame(
    data: bytes, transfer_syntax: str, pixels: PixelFormat, *, name: str
) -> tuple[StoredValues, FrameHeader | None]:
    """Decode one frame.

    Parameters
    ----------
    data
        All fragments of the frame, joined.
    transfer_syntax
        UID of a compressed transfer syntax.
    pixels
        What the data set states; the codestream must agree.
    name
        File name for messages.

    Returns
    -------
    tuple
        Values (rows, columns, samples) of `pixels.dtype`, and the codestream's header, None for
        RLE. Colours are not converted, except that JPEG 2000 undoes its own component transform.

    Raises
    ------
    UnreadableImageError
        Damaged, truncated or of another size.
    UnsupportedImageError
        No decoder for this transfer syntax or precision.
    """
    codec = _CODECS.get(transfer_syntax)
    if codec is None:
        raise UnsupportedImageError(
            f"{name}: no decoder for transfer syntax {transfer_syntax}; transcode the file to "
            "Explicit VR Little Endian"
        )
    header = _checked_header(data, codec, pixels, name=name)
    with library_errors(name, "decode a compressed frame"):
        values = codec.decode(data, pixels, header)
    return _as_represented(values, pixels, header), header
