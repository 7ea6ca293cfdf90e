"""Opaque bytes that travel inside an image file: their frame, and the place each format has.

docs/spec/side-information.md defines both. An attachment belongs to one file: no reader puts it
into a `MedicalImage`, and no writer carries it over from one file to the next.
"""

import struct
from io import BytesIO

import nibabel
import tifffile
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from medseal.errors import ImageTooLargeError, UnreadableImageError
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom_file import parse
from medseal.imaging.image import SourceFormat
from medseal.imaging.limits import inflate

__all__ = [
    "DICOM_GROUP",
    "MAX_ATTACHMENT_BYTES",
    "NIFTI_ALIGNMENT_BYTES",
    "PNG_CHUNK",
    "PRIVATE_CREATOR",
    "TIFF_TAG",
    "attachment_of",
    "framed",
    "nifti_extension",
    "put_into_dataset",
]

MAX_ATTACHMENT_BYTES = 16 * 1024**2
"""Bytes of one attachment: half of what a DICOM data set may hold before its pixel data."""

# The name, then the version of the frame.
_MAGIC = b"MSI\x01"
_FRAME = struct.Struct(">4sL")
_MAX_PADDING_BYTES = 15

DICOM_GROUP = 0x0099
PRIVATE_CREATOR = "MEDSEAL RELEASE"
_DICOM_ELEMENT = 0x01
_FIRST_BLOCK, _LAST_BLOCK = 0x0010, 0x00FF
_CHARACTERISTICS = Tag(0x0008, 0x0300)

# Ancillary, private, unsafe to copy: an editor that changes the image leaves it out (PNG 5.4).
PNG_CHUNK = b"msSI"
_PNG_SIGNATURE_BYTES = 8
_PNG_CHUNK_OVERHEAD_BYTES = 12

TIFF_TAG = 65_044
"""In the range 65000 to 65535 that TIFF leaves to private use."""

NIFTI_ALIGNMENT_BYTES = 16
_NIFTI_CODE = 0  # NIFTI_ECODE_IGNORE: of no meaning to others
_NIFTI_HEADER_BYTES = (348, 540)
_NIFTI_EXTENSION_BYTES = 8


def framed(data: bytes) -> bytes:
    """Return an attachment with its magic and its length in front.

    Parameters
    ----------
    data
        1 to `MAX_ATTACHMENT_BYTES` bytes.

    Raises
    ------
    ImageTooLargeError
        More than `MAX_ATTACHMENT_BYTES`.
    """
    if len(data) > MAX_ATTACHMENT_BYTES:
        raise ImageTooLargeError(
            f"{len(data)} bytes do not fit beside an image, the limit is {MAX_ATTACHMENT_BYTES}; "
            "split the image"
        )
    return _FRAME.pack(_MAGIC, len(data)) + data


def _unframed(frame: bytes, *, name: str) -> bytes:
    """Return what `framed` was given; zeros that a format needs behind it are left out."""
    if len(frame) < _FRAME.size:
        raise _damaged(name)
    magic, size = _FRAME.unpack_from(frame)
    if magic != _MAGIC:
        raise _damaged(name)
    end = _FRAME.size + size
    padding = frame[end:]
    is_whole = 1 <= size <= MAX_ATTACHMENT_BYTES and end <= len(frame)
    if not is_whole or len(padding) > _MAX_PADDING_BYTES or any(padding):
        raise _damaged(name)
    return frame[_FRAME.size : end]


def _damaged(name: str) -> UnreadableImageError:
    return UnreadableImageError(f"{name}: the side information in the file is damaged or cut off")


def attachment_of(data: bytes, source_format: SourceFormat, *, name: str) -> bytes | None:
    """Return the attachment of a file that can be read as an image.

    Parameters
    ----------
    data
        The whole file.
    source_format
        As its image says.
    name
        File name for messages.

    Returns
    -------
    bytes or None
        None where the file has none. JPEG files never have one.

    Raises
    ------
    UnreadableImageError
        There are several, or one that is damaged.
    """
    with library_errors(name, "look for side information"):
        if source_format == "dicom":
            found = _in_dataset(parse(data, name=name).dataset)
        elif source_format == "png":
            found = _in_png(data)
        elif source_format == "tiff":
            found = _in_tiff(data)
        elif source_format == "nifti":
            found = _in_nifti(data, name=name)
        else:
            found = []
    if len(found) > 1:
        raise UnreadableImageError(f"{name}: side information of several releases; keep one")
    return _unframed(found[0], name=name) if found else None


# --- DICOM: a private block (PS3.5, 7.8.1) ----------------------------------------------------


def _blocks(dataset: Dataset) -> list[int]:
    """Return the element numbers (gggg,00xx) by which our private creator reserves blocks."""
    found = []
    for number in range(_FIRST_BLOCK, _LAST_BLOCK + 1):
        tag = Tag(DICOM_GROUP, number)
        if tag in dataset and str(dataset[tag].value).strip() == PRIVATE_CREATOR:
            found.append(number)
    return found


def _in_dataset(dataset: Dataset) -> list[bytes]:
    found = []
    for number in _blocks(dataset):
        tag = Tag(DICOM_GROUP, number << 8 | _DICOM_ELEMENT)
        if tag in dataset:
            found.append(bytes(dataset[tag].value or b""))
    return found


def put_into_dataset(dataset: Dataset, data: bytes) -> None:
    """Put an attachment into a data set in the place of any other; none for no bytes.

    Private Data Element Characteristics says that the block identifies nobody, so that another
    de-identification may keep it (PS3.15, E.3.10).

    Raises
    ------
    ImageTooLargeError
        As `framed`.
    """
    for number in _blocks(dataset):
        first = number << 8
        for tag in [tag for tag in dataset.keys() if tag.group == DICOM_GROUP]:  # noqa: SIM118  a Dataset iterates over decoded elements
            if tag.element == number or first <= tag.element <= first | 0xFF:
                del dataset[tag]
    _forget_characteristics(dataset)
    if not data:
        return
    frame = framed(data)
    block = dataset.private_block(DICOM_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(_DICOM_ELEMENT, "OB", frame + b"\0" * (len(frame) % 2))
    item = Dataset()
    item.PrivateGroupReference = DICOM_GROUP
    item.PrivateCreatorReference = PRIVATE_CREATOR
    item.BlockIdentifyingInformationStatus = "SAFE"
    dataset.PrivateDataElementCharacteristicsSequence = [
        *(dataset.get("PrivateDataElementCharacteristicsSequence") or ()),
        item,
    ]


def _forget_characteristics(dataset: Dataset) -> None:
    if _CHARACTERISTICS not in dataset:
        return
    kept = [
        item
        for item in dataset[_CHARACTERISTICS].value or ()
        if str(item.get("PrivateCreatorReference", "")).strip() != PRIVATE_CREATOR
    ]
    if kept:
        dataset.PrivateDataElementCharacteristicsSequence = kept
    else:
        del dataset[_CHARACTERISTICS]


# --- PNG: a private chunk ---------------------------------------------------------------------


def _in_png(data: bytes) -> list[bytes]:
    """Return the bodies of our chunks; the reader has checked every CRC before."""
    found = []
    position = _PNG_SIGNATURE_BYTES
    while position + _PNG_CHUNK_OVERHEAD_BYTES <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        end = position + _PNG_CHUNK_OVERHEAD_BYTES + length
        if data[position + 4 : position + 8] == PNG_CHUNK:
            found.append(data[position + 8 : end - 4])
        position = end
    return found


# --- TIFF: a private tag of the first page ----------------------------------------------------


def _in_tiff(data: bytes) -> list[bytes]:
    with tifffile.TiffFile(BytesIO(data)) as file:
        tags = file.pages.first.tags.getall(TIFF_TAG, default=[])
        return [bytes(tag.value) for tag in tags]


# --- NIfTI: a header extension ----------------------------------------------------------------


def nifti_extension(data: bytes) -> bytes:
    """Return the header extension that holds an attachment, little endian; empty for no bytes.

    Its length is a multiple of 16 bytes, as NIfTI asks.

    Raises
    ------
    ImageTooLargeError
        As `framed`.
    """
    if not data:
        return b""
    frame = framed(data)
    size = _NIFTI_EXTENSION_BYTES + len(frame)
    padding = -size % NIFTI_ALIGNMENT_BYTES
    return struct.pack("<ll", size + padding, _NIFTI_CODE) + frame + b"\0" * padding


def _in_nifti(data: bytes, *, name: str) -> list[bytes]:
    if data.startswith(b"\x1f\x8b"):
        data = inflate(data, window_bits=31, name=name)
    is_first = _NIFTI_HEADER_BYTES[0] in (
        int.from_bytes(data[:4], "little"),
        int.from_bytes(data[:4], "big"),
    )
    size = _NIFTI_HEADER_BYTES[0 if is_first else 1]
    kind = nibabel.Nifti1Header if is_first else nibabel.Nifti2Header
    header = kind(data[:size], check=False)
    extension = struct.Struct(f"{header.endianness}ll")
    position, end = size + 4, int(header["vox_offset"])
    found = []
    while data[size : size + 1] != b"\0" and position + extension.size <= end:
        length, code = extension.unpack_from(data, position)
        if not extension.size < length <= end - position:
            raise _damaged(name)
        content = data[position + extension.size : position + length]
        if code == _NIFTI_CODE and content.startswith(_MAGIC):
            found.append(content)
        position += length
    return found
