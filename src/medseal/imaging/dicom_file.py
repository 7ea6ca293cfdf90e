"""Parse a DICOM file: meta group, data set without pixel data, and where the pixel data lies."""

import struct
from dataclasses import dataclass
from io import BytesIO

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.values import converters

from medseal.errors import ImageTooLargeError, UnreadableImageError
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom_pixels import PixelData, read_fragments
from medseal.imaging.limits import MAX_DATASET_BYTES, MAX_DATASET_ELEMENTS, inflate

__all__ = ["DicomFile", "has_dicom_prefix", "is_dicom", "parse"]

_PREAMBLE_BYTES = 128
_PREFIX = b"DICM"
_META_GROUP = 0x0002
_META_START = b"\x02\x00"
_DATASET_STARTS = (b"\x08\x00", b"\x00\x08")
_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
_DEFLATED_LITTLE = "1.2.840.10008.1.2.1.99"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"
_NATIVE = frozenset({_IMPLICIT_LITTLE, _EXPLICIT_LITTLE, _DEFLATED_LITTLE, _EXPLICIT_BIG})
_PIXEL_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
_EXTENDED_OFFSETS = 0x7FE00001
_UNDEFINED = 0xFFFFFFFF
_BARE_DEFLATE = -15


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DicomFile:
    """A parsed file: data set without group 7FE0, and the pixel data where it lies.

    Attributes
    ----------
    file_meta
        Group 0002; empty if the file has none.
    dataset
        Elements still encoded.
    pixel_data
        None if the file holds no image.
    """

    file_meta: FileMetaDataset
    dataset: Dataset
    pixel_data: PixelData | None


def has_dicom_prefix(data: bytes) -> bool:
    """Return whether the bytes hold a preamble and the DICOM prefix (PS3.10, 7.1)."""
    return data[_PREAMBLE_BYTES : _PREAMBLE_BYTES + 4] == _PREFIX


def is_dicom(data: bytes) -> bool:
    """Return whether the bytes look like DICOM, with or without preamble."""
    if has_dicom_prefix(data):
        return True
    starts_plainly = data[:2] == _META_START or data[:2] in _DATASET_STARTS
    return starts_plainly and len(data) > _PREAMBLE_BYTES and 0 in data[2:8]


class _StopAt:
    """The parser's callback: stop at pixel data, and refuse too many elements."""

    def __init__(
        self, stream: BytesIO, size_bytes: int, *, name: str, after_pixels: bool = False
    ) -> None:
        self._stream = stream
        self._size_bytes = size_bytes
        self._count = 0
        self._name = name
        self._after_pixels = after_pixels

    def __call__(self, tag: BaseTag, _vr: str | None, length: int) -> bool:
        self._count += 1
        position = self._stream.tell() + (0 if length == _UNDEFINED else length)
        stops = tag <= max(_PIXEL_TAGS) if self._after_pixels else tag in _PIXEL_TAGS
        if stops:
            return True
        if position > self._size_bytes:
            raise UnreadableImageError(
                f"{self._name}: the file ends inside element ({tag.group:04X},{tag.element:04X}); "
                "fetch it again from its source"
            )
        if self._count > MAX_DATASET_ELEMENTS or position > MAX_DATASET_BYTES:
            raise ImageTooLargeError(
                f"{self._name}: the data set without pixel data exceeds {MAX_DATASET_ELEMENTS} "
                f"elements or {MAX_DATASET_BYTES} bytes; split the image"
            )
        return False


def _read_meta(data: bytes, *, name: str) -> tuple[FileMetaDataset, int]:
    """Return group 0002 and the position where the data set begins."""
    start = _PREAMBLE_BYTES + len(_PREFIX) if has_dicom_prefix(data) else 0
    meta = FileMetaDataset()
    if data[start : start + 2] != _META_START:
        return meta, start
    stream = BytesIO(data[start : start + MAX_DATASET_BYTES])
    elements = read_dataset(
        stream,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, _vr, _length: tag.group != _META_GROUP,
    )
    meta.update({tag: elements[tag] for tag in elements.keys() if tag.group == _META_GROUP})  # noqa: SIM118  see above
    if not meta:
        raise UnreadableImageError(f"{name}: the file meta group is damaged; fetch it again")
    return meta, start + stream.tell()


def _guessed_syntax(head: bytes) -> str:
    """Return the transfer syntax of a data set without a meta group (PS3.10 forbids it)."""
    if head[4:6].decode("latin-1") not in converters:
        return _IMPLICIT_LITTLE
    return _EXPLICIT_BIG if head[:1] == b"\x00" else _EXPLICIT_LITTLE


def _element_header(
    body: memoryview, position: int, *, is_implicit: bool, is_little: bool
) -> tuple[int, str, int, int]:
    """Return tag, VR, length and the position of the value."""
    order = "<" if is_little else ">"
    if is_implicit:
        group, element, length = struct.unpack_from(f"{order}HHL", body, position)
        return group << 16 | element, "OW", length, position + 8
    # Pixel data of any kind has the long form: OB, OW, OF, OD, UN.
    group, element, vr, _, length = struct.unpack_from(f"{order}HH2sHL", body, position)
    return group << 16 | element, vr.decode("latin-1"), length, position + 12


def _extended_offsets(dataset: Dataset) -> tuple[int, ...]:
    element = dataset.get_item(_EXTENDED_OFFSETS)
    table = bytes(element.value or b"") if element is not None else b""
    return struct.unpack(f"<{len(table) // 8}Q", table[: len(table) // 8 * 8])


def _read_pixel_data(
    body: memoryview, position: int, syntax: str, dataset: Dataset, *, name: str
) -> tuple[PixelData, int]:
    """Return the pixel data element at `position` and the position after it."""
    is_implicit, is_little = dataset.original_encoding
    tag, vr, length, start = _element_header(
        body, position, is_implicit=bool(is_implicit), is_little=bool(is_little)
    )
    if length != _UNDEFINED:
        if start + length > len(body):
            raise UnreadableImageError(
                f"{name}: the pixel data ends {start + length - len(body)} bytes early; "
                "fetch the file again from its source"
            )
        if syntax not in _NATIVE:
            raise UnreadableImageError(
                f"{name}: transfer syntax {syntax} needs encapsulated pixel data, which this "
                "file lacks; correct its meta group"
            )
        value = body[start : start + length]
        native = PixelData(
            tag=tag, vr=vr, transfer_syntax=syntax, is_little_endian=bool(is_little), value=value
        )
        return native, start + length
    if syntax in _NATIVE:
        raise UnreadableImageError(
            f"{name}: uncompressed pixel data of undefined length; correct the transfer syntax"
        )
    fragments, offsets, length = read_fragments(body[start:], name=name)
    encapsulated = PixelData(
        tag=tag,
        vr=vr,
        transfer_syntax=syntax,
        is_little_endian=True,
        value=None,
        fragments=fragments,
        offsets=offsets or _extended_offsets(dataset),
    )
    return encapsulated, start + length


def _read_after_pixels(body: memoryview, position: int, dataset: Dataset, *, name: str) -> None:
    """Add the elements behind the pixel data; what is no element there is left out."""
    stream = BytesIO(body[position : position + MAX_DATASET_BYTES])
    is_implicit, is_little = dataset.original_encoding
    rest = read_dataset(
        stream,
        is_implicit_VR=bool(is_implicit),
        is_little_endian=bool(is_little),
        stop_when=_StopAt(stream, len(body) - position, name=name, after_pixels=True),
    )
    for tag, element in rest.items():  # elements as parsed, not decoded
        dataset[tag] = element


def parse(data: bytes, *, name: str) -> DicomFile:
    """Parse a DICOM file without decoding its values.

    Parameters
    ----------
    data
        The whole file.
    name
        File name for messages.

    Raises
    ------
    UnreadableImageError
        Damaged or truncated.
    ImageTooLargeError
        The data set or the inflated file exceeds a limit.
    """
    with library_errors(name, "parse the DICOM data set"):
        meta, start = _read_meta(data, name=name)
        syntax = str(meta.get("TransferSyntaxUID") or "") or _guessed_syntax(data[start:][:6])
        if syntax == _DEFLATED_LITTLE:
            body = inflate(memoryview(data)[start:], window_bits=_BARE_DEFLATE, name=name)
            start = 0
        else:
            body = data
        stream = BytesIO(body)
        stream.seek(start)
        dataset = read_dataset(
            stream,
            is_implicit_VR=syntax == _IMPLICIT_LITTLE,
            is_little_endian=syntax != _EXPLICIT_BIG,
            stop_when=_StopAt(stream, len(body), name=name),
        )
        if not len(dataset):
            raise UnreadableImageError(f"{name}: the data set is empty; fetch the file again")
        pixel_data = None
        position = stream.tell()
        if position + 8 <= len(body):
            view = memoryview(body)
            pixel_data, position = _read_pixel_data(view, position, syntax, dataset, name=name)
            if position < len(body):
                _read_after_pixels(view, position, dataset, name=name)
        return DicomFile(file_meta=meta, dataset=dataset, pixel_data=pixel_data)
