"""Read and write PNG; read JPEG."""

import struct
import zlib
from io import BytesIO
from types import MappingProxyType

import imagecodecs
import numpy as np
import PIL
from PIL import Image, features

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging.attachment import PNG_CHUNK, framed
from medseal.imaging.boundary import library_errors
from medseal.imaging.codestreams import read_jpeg_header
from medseal.imaging.image import MedicalImage, StoredValues, frozen
from medseal.imaging.limits import check_decoded_size, check_jpeg_scans
from medseal.imaging.notes import NOTE_KEYWORD, apply_note, check_exportable, note_of

__all__ = ["encode_png", "is_jpeg", "is_png", "photometric_of", "read_jpeg", "read_png"]

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_JPEG_SIGNATURE = b"\xff\xd8\xff"
_PNG_HEADER = struct.Struct(">IIBBBBB")
_PNG_HEADER_END = 33
_PNG_END_BYTES = 12
_PALETTE = 3
_DECODED_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_SAMPLES_OF_COLOUR_TYPE = {0: 1, 2: 3, 3: 4, 4: 2, 6: 4}
_PHOTOMETRIC_OF_SAMPLES = {1: "MONOCHROME2", 2: "MONOCHROME2A", 3: "RGB", 4: "RGBA"}
_JPEG_MODES = {"L": 1, "RGB": 3}
_BITS_A_BYTE = 8
_WORD_BITS = 16
_METRES = 1


def photometric_of(samples: int) -> str:
    """Return the photometric interpretation of grey or colour, with or without alpha."""
    return _PHOTOMETRIC_OF_SAMPLES[samples]


def is_png(data: bytes) -> bool:
    """Return whether the bytes begin as a PNG file does."""
    return data.startswith(_PNG_SIGNATURE)


def is_jpeg(data: bytes) -> bool:
    """Return whether the bytes begin as a JPEG file does."""
    return data.startswith(_JPEG_SIGNATURE)


def _chunks(data: bytes, *, name: str) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG file up to IEND, each with its CRC checked."""
    found: list[tuple[bytes, bytes]] = []
    position = len(_PNG_SIGNATURE)
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + 12 + length
        if end > len(data):
            break
        kind = data[position + 4 : position + 8]
        body = data[position + 8 : end - 4]
        if zlib.crc32(body, zlib.crc32(kind)) != int.from_bytes(data[end - 4 : end], "big"):
            raise UnreadableImageError(f"{name}: a PNG chunk is damaged; fetch the file again")
        found.append((kind, body))
        if kind == b"IEND":
            return found
        position = end
    raise UnreadableImageError(f"{name}: the PNG file ends early; fetch it again from its source")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png_attributes(chunks: list[tuple[bytes, bytes]]) -> dict[str, object]:
    """Return the text chunks, and pixels a metre where stated."""
    attributes: dict[str, object] = {}
    for kind, body in chunks:
        if kind == b"tEXt" and b"\0" in body:
            keyword, text = body.split(b"\0", 1)
            attributes[keyword.decode("latin-1")] = text.decode("latin-1")
        elif kind == b"pHYs" and len(body) == 9 and body[8] == _METRES:  # noqa: PLR2004  PNG 11.3.5.3
            across, down = struct.unpack(">II", body[:8])
            attributes["pixels_per_metre"] = (down, across)
    return attributes


def read_png(data: bytes, *, name: str) -> MedicalImage:
    """Read a PNG file of 1 to 16 bits: grey, RGB, palette (as RGB), each with or without alpha.

    Raises
    ------
    UnreadableImageError
        Damaged or truncated.
    UnsupportedImageError
        An animation.
    ImageTooLargeError
        The stated size exceeds a limit.
    """
    chunks = _chunks(data, name=name)
    if not chunks or chunks[0][0] != b"IHDR" or len(chunks[0][1]) != _PNG_HEADER.size:
        raise UnreadableImageError(f"{name}: the PNG header is damaged; fetch the file again")
    columns, rows, depth, colour_type, _, _, _ = _PNG_HEADER.unpack(chunks[0][1])
    if any(kind == b"acTL" for kind, _ in chunks):
        raise UnsupportedImageError(f"{name}: an animated PNG; give one file for each frame")
    samples = _SAMPLES_OF_COLOUR_TYPE.get(colour_type, 1)
    check_decoded_size((1, rows, columns, samples), 2, name=name)
    with library_errors(name, "decode the PNG file"):
        # Gamma and colour profiles must not touch stored values, nor print libpng's warnings.
        decodable = b"".join(_chunk(*chunk) for chunk in chunks if chunk[0] in _DECODED_CHUNKS)
        values: StoredValues = imagecodecs.png_decode(_PNG_SIGNATURE + decodable)
        values = values.reshape(1, rows, columns, -1)
    bits_stored = depth if colour_type != _PALETTE else _BITS_A_BYTE
    if bits_stored < _BITS_A_BYTE:
        # libpng spreads 1, 2 and 4 bits over 0..255; stored values are what the file holds.
        values = values // (255 // ((1 << bits_stored) - 1))
    attributes = _png_attributes(chunks)
    note = str(attributes.pop(NOTE_KEYWORD, ""))
    image = MedicalImage(
        stored_values=frozen(values),
        bits_stored=bits_stored,
        is_signed=False,
        photometric_interpretation=photometric_of(values.shape[3]),
        attributes=MappingProxyType(attributes),
        source_format="png",
        decoder=f"{imagecodecs.png_version()} (imagecodecs {imagecodecs.__version__})",
    )
    return apply_note(image, note)


def encode_png(image: MedicalImage, *, attachment: bytes = b"") -> bytes:
    """Return a PNG file with the same stored values.

    Parameters
    ----------
    image
        One frame of at most 16 bits.
    attachment
        Opaque bytes for a chunk of their own; none for no bytes.

    Raises
    ------
    UnsupportedImageError
        More than one frame, more than 16 bits, signed or floating values, palette or YBR.
    ImageTooLargeError
        The attachment exceeds its limit.
    """
    check_exportable(image, "PNG")
    values = image.stored_values
    if image.frames > 1:
        raise UnsupportedImageError("PNG holds one frame; write a .tif, .nii.gz or .dcm file")
    if values.dtype.kind != "u" or int(values.max()) >= 1 << _WORD_BITS:
        raise UnsupportedImageError(
            f"PNG cannot hold {values.dtype} values; write a .tif or .nii.gz file"
        )
    is_byte = image.bits_stored <= _BITS_A_BYTE and int(values.max()) < 1 << _BITS_A_BYTE
    plane = values[0].astype(np.uint8 if is_byte else np.uint16, copy=False)
    if image.samples == 1:
        plane = plane[:, :, 0]
    file = bytes(imagecodecs.png_encode(np.ascontiguousarray(plane)))
    text = _chunk(b"tEXt", NOTE_KEYWORD.encode() + b"\0" + note_of(image).encode())
    extra = _chunk(PNG_CHUNK, framed(attachment)) if attachment else b""
    start, body = file[:_PNG_HEADER_END], file[_PNG_HEADER_END:-_PNG_END_BYTES]
    return start + text + body + extra + file[-_PNG_END_BYTES:]


def read_jpeg(data: bytes, *, name: str) -> MedicalImage:
    """Read a JPEG file, grey or RGB, 8 bits; EXIF orientation is not applied.

    Raises
    ------
    UnreadableImageError
        Damaged or truncated.
    UnsupportedImageError
        CMYK.
    ImageTooLargeError
        The stated size exceeds a limit.
    """
    check_jpeg_scans(data, name=name)
    header = read_jpeg_header(data, name=name)
    shape = (1, header.rows, header.columns, max(1, header.samples))
    check_decoded_size(shape, 1, name=name)
    if header.precision != _BITS_A_BYTE:
        raise UnsupportedImageError(
            f"{name}: a JPEG file of {header.precision} bits; convert it to PNG or TIFF"
        )
    with (
        library_errors(name, "decode the JPEG file"),
        Image.open(BytesIO(data), formats=["JPEG"]) as picture,
    ):
        samples = _JPEG_MODES.get(picture.mode)
        if samples is None:
            raise UnsupportedImageError(
                f"{name}: a JPEG file in {picture.mode}; convert it to grey or RGB"
            )
        values = np.asarray(picture).reshape(shape)
        density = picture.info.get("dpi")
    library = features.version_codec("jpg")
    attributes: dict[str, object] = {}
    if density is not None and picture.info.get("jfif_unit"):
        attributes["dots_per_inch"] = (round(float(density[1]), 4), round(float(density[0]), 4))
    return MedicalImage(
        stored_values=frozen(values),
        bits_stored=_BITS_A_BYTE,
        is_signed=False,
        photometric_interpretation=photometric_of(samples),
        attributes=MappingProxyType(attributes),
        source_format="jpeg",
        decoder=f"libjpeg_turbo {library} (pillow {PIL.__version__})",
    )
