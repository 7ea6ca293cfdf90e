"""The canonical byte string of a DICOM data set, the same in every encoding of it."""

import struct
from operator import itemgetter

import numpy as np
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging.limits import MAX_SEQUENCE_DEPTH

__all__ = ["canonical_dataset"]

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_DELIMITER, _SEQUENCE_DELIMITER = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ITEM_START = b"\xfe\xff\x00\xe0"
_PIXEL_GROUP = 0x7FE0
# Command set, file meta, digital signatures; MAC parameters, trailing padding.
_LEFT_OUT_GROUPS = frozenset({0x0000, 0x0002, 0xFFFA})
_LEFT_OUT_TAGS = frozenset({0x4FFE0001, 0xFFFCFFFC})
_LONG_LENGTH_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
# Bytes that are swapped together in a big endian value (PS3.5, 7.3).
_WORD_BYTES = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
_MAYBE_SEQUENCE = frozenset({"SQ", "UN", None})
_VALUE, _SEQUENCE = b"V", b"S"
_HEADER = struct.Struct(">LcQ")
_LENGTH = struct.Struct(">Q")


class _NotItems(Exception):  # noqa: N818  not an error: the value simply is no sequence
    """A value is not a well-formed sequence of items."""


def _is_left_out(tag: int, *, is_top: bool) -> bool:
    group = tag >> 16
    return (
        tag & 0xFFFF == 0
        or group in _LEFT_OUT_GROUPS
        or tag in _LEFT_OUT_TAGS
        or (is_top and group == _PIXEL_GROUP)
    )


def _little_endian(value: bytes, vr: str) -> bytes:
    size = _WORD_BYTES.get(vr, 1)
    if size == 1 or len(value) % size:
        return value
    return np.frombuffer(value, dtype=f"u{size}").byteswap().tobytes()


def _put_value(out: bytearray, tag: int, value: bytes | memoryview) -> None:
    out += _HEADER.pack(tag, _VALUE, len(value))
    out += value


def _put_items(out: bytearray, tag: int, items: list[bytearray]) -> None:
    if not items:  # an empty sequence and an empty value look alike in implicit VR
        _put_value(out, tag, b"")
        return
    out += _HEADER.pack(tag, _SEQUENCE, len(items))
    for item in items:
        out += _LENGTH.pack(len(item))
        out += item


class _ItemReader:
    """A strict reader of items: whatever is not well formed is no sequence."""

    def __init__(self, data: bytes, *, is_implicit: bool, is_little: bool) -> None:
        self._data = data
        self._position = 0
        self._is_implicit = is_implicit
        self._is_little = is_little
        order = "<" if is_little else ">"
        self._tag_length = struct.Struct(f"{order}HHL")
        self._short = struct.Struct(f"{order}H")
        self._long = struct.Struct(f"{order}L")

    @property
    def is_at_end(self) -> bool:
        return self._position == len(self._data)

    def _take(self, count: int) -> bytes:
        end = self._position + count
        if end > len(self._data):
            raise _NotItems
        taken = self._data[self._position : end]
        self._position = end
        return taken

    def items(self, length: int, depth: int) -> list[bytearray]:
        """Read items up to `length` bytes, or to the delimiter if that is undefined."""
        if depth > MAX_SEQUENCE_DEPTH:
            raise _NotItems
        end = None if length == _UNDEFINED else self._position + length
        found: list[bytearray] = []
        while end is None or self._position < end:
            group, element, item_length = self._tag_length.unpack(self._take(8))
            tag = group << 16 | element
            if tag == _SEQUENCE_DELIMITER and end is None:
                return found
            if tag != _ITEM:
                raise _NotItems
            found.append(self._dataset(item_length, depth))
        if self._position != end:
            raise _NotItems
        return found

    def _dataset(self, length: int, depth: int) -> bytearray:
        end = None if length == _UNDEFINED else self._position + length
        if end is not None and end > len(self._data):
            raise _NotItems
        out = bytearray()
        previous = -1
        while end is None or self._position < end:
            tag, vr, value_length = self._element_header()
            if tag == _ITEM_DELIMITER and end is None:
                return out
            if tag <= previous or tag >> 16 == 0xFFFE:  # noqa: PLR2004  a stray delimiter
                raise _NotItems
            previous = tag
            self._put_element(out, tag, vr, value_length, depth)
        if self._position != end:
            raise _NotItems
        return out

    def _element_header(self) -> tuple[int, str | None, int]:
        group, element, length = self._tag_length.unpack(self._take(8))
        tag = group << 16 | element
        if self._is_implicit or group == 0xFFFE:  # noqa: PLR2004  items have no VR
            return tag, None, length
        self._position -= 4
        vr = self._take(2)
        if not (vr.isalpha() and vr.isupper()):
            raise _NotItems
        if vr in _LONG_LENGTH_VRS:
            self._take(2)
            return tag, vr.decode(), self._long.unpack(self._take(4))[0]
        return tag, vr.decode(), self._short.unpack(self._take(2))[0]

    def _put_element(
        self, out: bytearray, tag: int, vr: str | None, length: int, depth: int
    ) -> None:
        nested = bytearray()
        if length == _UNDEFINED:
            self._put_undefined(nested, tag, vr, depth)
        else:
            value = self._take(length)
            _put_bytes(
                nested, tag, value, vr, (self._is_implicit, self._is_little), depth=depth + 1
            )
        if not _is_left_out(tag, is_top=False):
            out += nested

    def _put_undefined(self, out: bytearray, tag: int, vr: str | None, depth: int) -> None:
        if tag >> 16 == _PIXEL_GROUP:
            start = self._position
            self._skip_fragments()
            _put_value(out, tag, self._data[start : self._position - 8])
            return
        if vr == "UN" and not self._is_implicit:  # PS3.5, 6.2.2 note 4: implicit inside
            self._is_implicit = True
            items = self.items(_UNDEFINED, depth + 1)
            self._is_implicit = False
        else:
            items = self.items(_UNDEFINED, depth + 1)
        _put_items(out, tag, items)

    def _skip_fragments(self) -> None:
        while True:
            group, element, length = self._tag_length.unpack(self._take(8))
            tag = group << 16 | element
            if tag == _SEQUENCE_DELIMITER:
                return
            if tag != _ITEM:
                raise _NotItems
            self._take(length)


def _put_bytes(
    out: bytearray,
    tag: int,
    value: bytes,
    vr: str | None,
    encoding: tuple[bool, bool],
    *,
    depth: int,
) -> None:
    """Append an element from its encoded value; `encoding` is (is implicit, is little endian)."""
    is_implicit, is_little = encoding
    if vr == "UN" or (vr is None and value.startswith(_ITEM_START)):
        is_implicit, is_little = True, True
    if vr == "SQ" or (vr in {None, "UN"} and value.startswith(_ITEM_START)):
        reader = _ItemReader(value, is_implicit=is_implicit, is_little=is_little)
        try:
            items = reader.items(len(value), depth)
        except _NotItems:
            _put_value(out, tag, value)
        else:
            _put_items(out, tag, items)
        return
    _put_value(out, tag, value if is_little or vr is None else _little_endian(value, vr))


def canonical_dataset(dataset: Dataset, *, name: str, depth: int = 0) -> bytearray:
    """Return the canonical byte string of a data set that was just parsed.

    Elements are taken as pydicom left them after parsing: encoded values, or sequences. None may
    have been looked at before, since pydicom then replaces the encoded value.

    Parameters
    ----------
    dataset
        Fresh from the parser.
    name
        File name for messages.
    depth
        Sequences around this one.

    Returns
    -------
    bytearray
        As docs/spec/image-digests.md defines it.

    Raises
    ------
    UnreadableImageError
        A value is shorter than its stated length.
    UnsupportedImageError
        Sequences are nested deeper than `MAX_SEQUENCE_DEPTH`.
    """
    if depth > MAX_SEQUENCE_DEPTH:
        raise UnsupportedImageError(
            f"{name}: sequences are nested deeper than {MAX_SEQUENCE_DEPTH}; flatten the data set"
        )
    out = bytearray()
    # `items` gives elements as parsed; looking them up by tag would decode them.
    for tag, element in sorted(
        ((int(tag), element) for tag, element in dataset.items()), key=itemgetter(0)
    ):
        if _is_left_out(tag, is_top=depth == 0):
            continue
        if not isinstance(element, RawDataElement):
            items = [canonical_dataset(item, name=name, depth=depth + 1) for item in element.value]
            _put_items(out, tag, items)
            continue
        value = element.value or b""
        if element.length not in {len(value), _UNDEFINED}:
            raise UnreadableImageError(
                f"{name}: the file ends inside element ({tag >> 16:04X},{tag & 0xFFFF:04X}); "
                "fetch it again from its source"
            )
        if element.is_little_endian and element.VR not in _MAYBE_SEQUENCE:
            _put_value(out, tag, value)
            continue
        encoding = (element.is_implicit_VR, element.is_little_endian)
        _put_bytes(out, tag, value, element.VR, encoding, depth=depth + 1)
    return out
