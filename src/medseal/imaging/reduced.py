"""Decode JPEG and JPEG 2000 at a half, a quarter or an eighth of their size, for classification.

Never for sealing, digests or verification: what comes out depends on the decoder's low-pass filter
and is not what was stored. Therefore the result is no `MedicalImage`, the only thing that can be
sealed, written or hashed; it holds display values alone. A model was trained on fully decoded
images, so serving uses this only where the export gate of the model has measured the difference.
"""

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

import imagecodecs
import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from medseal.errors import InputError
from medseal.imaging.boundary import library_errors
from medseal.imaging.codecs import PixelFormat
from medseal.imaging.codestreams import FrameHeader, read_j2k_header, read_jpeg_header
from medseal.imaging.dicom import image_from_dataset, pixel_data_of, pixels_of
from medseal.imaging.dicom_file import DicomFile, has_dicom_prefix, parse
from medseal.imaging.dicom_pixels import encapsulated_frames
from medseal.imaging.display import display_values
from medseal.imaging.image import StoredValues, frozen
from medseal.imaging.limits import check_decoded_size, check_file_size, check_jpeg_scans
from medseal.imaging.preprocess import MAX_SIDE, PreprocessConfig
from medseal.imaging.raster import is_jpeg

__all__ = ["MAX_FACTOR", "ReducedImage", "needed_size", "read_reduced"]

MAX_FACTOR = 8
"""Largest ratio of the stored to the decoded side; JPEG's DCT blocks have 8."""

_BITS_A_BYTE = 8
_WORD_BITS = 16
_GREY, _COLOUR = 1, 3
_JPEG_COLOURS = {_GREY: "GRAY", _COLOUR: "RGB"}
# After a crop the input comes from a part of the image, which shall not be enlarged either.
_CROP_ROOM = 2
_J2K = frozenset({"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"})
_HTJ2K = frozenset(
    {"1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"}
)
# OpenJPH does not clip the overshoots of a low-pass band: they wrap round in words of 16 bits, and
# can be told from values where two bits are to spare. In bytes they cannot.
_HTJ2K_BITS = range(9, 15)
# Share of the range of the stored bits by which a band may overshoot; beyond it there are values
# of more bits than the data set states.
_OVERSHOOT = 0.5
# ITU-T T.800, table A.2: coding style default, start of a tile part; A.6.1: where in the former
# the decomposition levels stand.
_CODING_STYLE, _START_OF_TILE = b"\xff\x52", b"\xff\x90"
_LEVELS_OFFSET = 9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReducedImage:
    """Display values of an image that was decoded at reduced size.

    Attributes
    ----------
    shown
        One uint8 array a frame, (rows, columns) or (rows, columns, 3), read-only.
    factor
        Ratio of the stored to the decoded side: 2, 4 or 8.
    modality
        DICOM code, or None where the format has none.
    photometric_interpretation
        As of `MedicalImage`.
    decoder
        Name and version of the library.
    """

    shown: tuple[NDArray[np.uint8], ...]
    factor: int
    modality: str | None
    photometric_interpretation: str
    decoder: str

    @property
    def frames(self) -> int:
        """Number of frames."""
        return len(self.shown)


def needed_size(config: PreprocessConfig) -> tuple[int, int]:
    """Return the rows and columns that a decoded image must keep for a model's input."""
    room = _CROP_ROOM if config.crop != "none" or config.margin_share else 1
    return config.rows * room, config.columns * room


def read_reduced(data: bytes, *, rows: int, columns: int, name: str) -> ReducedImage | None:
    """Decode a JPEG or DICOM file at reduced size, where that is possible and worth it.

    Parameters
    ----------
    data
        The whole file.
    rows, columns
        Neither side becomes smaller than this; 1 to `MAX_SIDE`.
    name
        File name for messages.

    Returns
    -------
    ReducedImage
        Or None, and the image is to be decoded in full: another format or colour space, fewer
        than twice the rows or columns, or a codestream without enough resolution levels.

    Raises
    ------
    InputError
        A side is out of range.
    UnreadableImageError
        Damaged or truncated.
    UnsupportedImageError
        No image, or a colour space that is not supported.
    ImageTooLargeError
        A stated size exceeds a limit.

    References
    ----------
    DCT scaling: libjpeg-turbo, `scale_num`. Resolution levels: ITU-T T.800, B.5; T.814.
    """
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise InputError(f"a network input has 1 to {MAX_SIDE} rows and columns")
    check_file_size(len(data), name=name)
    if has_dicom_prefix(data):
        return _read_dicom(data, rows=rows, columns=columns, name=name)
    if is_jpeg(data):
        return _read_jpeg(data, rows=rows, columns=columns, name=name)
    return None


def _factor(header: FrameHeader, rows: int, columns: int) -> int:
    """Return the largest power of two that leaves at least (rows, columns)."""
    factor = MAX_FACTOR
    while factor > 1 and (header.rows < rows * factor or header.columns < columns * factor):
        factor //= 2
    return factor


def _read_jpeg(data: bytes, *, rows: int, columns: int, name: str) -> ReducedImage | None:
    header = _checked_jpeg(data, name=name)
    factor = _factor(header, rows, columns)
    if factor == 1 or header.precision != _BITS_A_BYTE or header.samples not in _JPEG_COLOURS:
        return None
    shown = _decode_jpeg(data, header, factor, name=name)
    return ReducedImage(
        shown=(shown,),
        factor=factor,
        modality=None,
        photometric_interpretation="MONOCHROME2" if header.samples == _GREY else "RGB",
        decoder=_jpeg_decoder(),
    )


def _checked_jpeg(data: bytes, *, name: str) -> FrameHeader:
    check_jpeg_scans(data, name=name)
    header = read_jpeg_header(data, name=name)
    shape = (1, header.rows, header.columns, max(1, header.samples))
    check_decoded_size(shape, 1, name=name)
    return header


def _decode_jpeg(data: bytes, header: FrameHeader, factor: int, *, name: str) -> NDArray[np.uint8]:
    """Return (rows, columns) or (rows, columns, 3), each side divided by `factor`, rounded up."""
    with library_errors(name, "decode the JPEG file"):
        # Imported when used: an image is read, sealed and classified in full without it.
        import simplejpeg  # noqa: PLC0415

        values: NDArray[np.uint8] = simplejpeg.decode_jpeg(
            data,
            colorspace=_JPEG_COLOURS[header.samples],
            min_height=-(-header.rows // factor),
            min_width=-(-header.columns // factor),
            min_factor=float(factor),
        )
    return _read_only(values[:, :, 0] if header.samples == _GREY else values)


def _jpeg_decoder() -> str:
    import simplejpeg  # noqa: PLC0415

    return f"simplejpeg {simplejpeg.__version__}, scaled DCT"


def _read_dicom(data: bytes, *, rows: int, columns: int, name: str) -> ReducedImage | None:
    file = parse(data, name=name)
    pixels = pixels_of(file, name=name)
    syntax = pixel_data_of(file, name=name).transfer_syntax
    decode = _DECODERS.get(syntax)
    if decode is None or pixels.samples != _GREY:
        return None
    if pixels.photometric_interpretation == "PALETTE COLOR":
        return None  # the mean of two palette indices is no colour between them
    frames = encapsulated_frames(pixel_data_of(file, name=name), pixels.frames, name=name)
    headers = [read_j2k_header(frame, name=name) for frame in frames]
    factor = min(_factor(header, rows, columns) for header in headers)
    factor = min(factor, *(1 << _levels(frame) for frame in frames))
    if factor == 1 or not all(_fits(header, pixels, factor) for header in headers):
        return None
    if syntax in _HTJ2K and pixels.bits_stored not in _HTJ2K_BITS:
        return None
    pairs = zip(frames, headers, strict=True)
    values = np.stack([decode(frame, header, factor, name) for frame, header in pairs])
    low = -(1 << (pixels.bits_stored - 1)) if pixels.is_signed else 0
    high = low + (1 << pixels.bits_stored) - 1
    room = _OVERSHOOT * (high - low)
    if values.min() < low - room or values.max() > high + room:
        return None
    return _shown(file, pixels, np.clip(values, low, high), factor, name)


def _fits(header: FrameHeader, pixels: PixelFormat, factor: int) -> bool:
    """Return whether the low-pass band of the codestream is a smaller image of the data set.

    A codestream of another size or depth goes to the full decoder, which refuses it. Where only
    one side knows of a sign, -1 is stored as the largest value, and their mean means nothing.
    """
    stated = (pixels.rows, pixels.columns, pixels.samples)
    return (
        (header.rows, header.columns, header.samples) == stated
        and header.is_signed == pixels.is_signed
        and header.precision <= min(pixels.bits_allocated, _WORD_BITS)
        # Pillow and OpenJPEG round an odd size differently.
        and header.rows % factor == header.columns % factor == 0
    )


def _levels(data: bytes) -> int:
    """Return the decomposition levels in the main header; 0 if it does not say."""
    position = 2
    while position + _LEVELS_OFFSET < len(data):
        marker = data[position : position + 2]
        if marker == _CODING_STYLE:
            return data[position + _LEVELS_OFFSET]
        if marker[:1] != b"\xff" or marker == _START_OF_TILE:
            break
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return 0


def _decode_j2k(data: bytes, header: FrameHeader, factor: int, name: str) -> StoredValues:
    with (
        library_errors(name, "decode a compressed frame"),
        Image.open(BytesIO(data), formats=["JPEG2000"]) as picture,
    ):
        picture.reduce = factor.bit_length() - 1  # type: ignore[method-assign,assignment]
        # Pillow shifts the values up to 8 or 16 bits, and signed ones above 0.
        bits = _BITS_A_BYTE if picture.mode == "L" else _WORD_BITS
        values = np.asarray(picture).astype(np.int32) >> (bits - header.precision)
    return values - (1 << (header.precision - 1)) if header.is_signed else values


def _decode_htj2k(data: bytes, header: FrameHeader, factor: int, name: str) -> StoredValues:
    levels = factor.bit_length() - 1
    with library_errors(name, "decode a compressed frame"):
        values: StoredValues = imagecodecs.htj2k_decode(data, planar=False, skipres=levels)
    words = values.reshape(header.rows // factor, header.columns // factor)
    return words.astype(np.int16).astype(np.int32)


_DECODERS: dict[str, Callable[[bytes, FrameHeader, int, str], StoredValues]] = {
    **dict.fromkeys(_J2K, _decode_j2k),
    **dict.fromkeys(_HTJ2K, _decode_htj2k),
}


def _shown(
    file: DicomFile, pixels: PixelFormat, values: StoredValues, factor: int, name: str
) -> ReducedImage:
    """Return display values by the same window and look-up tables as of the full image."""
    is_ht = pixel_data_of(file, name=name).transfer_syntax in _HTJ2K
    library = imagecodecs.htj2k_version() if is_ht else f"pillow {PIL.__version__}"
    image = image_from_dataset(
        file.dataset,
        frozen(values[:, :, :, np.newaxis].astype(pixels.dtype)),
        bits_stored=pixels.bits_stored,
        photometric_interpretation=pixels.photometric_interpretation,
        decoder=library,
        name=name,
    )
    return ReducedImage(
        shown=tuple(_read_only(display_values(image, frame=i)) for i in range(image.frames)),
        factor=factor,
        modality=image.modality,
        photometric_interpretation=image.photometric_interpretation,
        decoder=f"{library}, resolution level {factor.bit_length() - 1}",
    )


def _read_only(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    result = np.ascontiguousarray(values)
    result.flags.writeable = False
    return result
