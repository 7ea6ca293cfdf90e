"""How large an image may be: named limits, checked on stated sizes before anything is decoded."""

import zlib

from medseal.errors import ImageTooLargeError, UnreadableImageError

__all__ = [
    "MAX_DATASET_BYTES",
    "MAX_DATASET_ELEMENTS",
    "MAX_DECODED_BYTES",
    "MAX_FILE_BYTES",
    "MAX_FRAMES",
    "MAX_JPEG_SCANS",
    "MAX_PIXELS_PER_FRAME",
    "MAX_SEQUENCE_DEPTH",
    "check_decoded_size",
    "check_file_size",
    "check_jpeg_scans",
    "inflate",
]

MAX_FILE_BYTES = 2 * 1024**3
"""Bytes of one image file; also of a file inflated from gzip or deflate."""

MAX_DATASET_BYTES = 32 * 1024**2
"""Bytes of a DICOM data set before its pixel data, and again after it."""

MAX_DATASET_ELEMENTS = 50_000
"""Data elements on the top level of a DICOM data set."""

MAX_SEQUENCE_DEPTH = 32
"""Sequences inside sequences of a DICOM data set."""

MAX_FRAMES = 16_384
"""Frames, pages or slices of one image."""

MAX_PIXELS_PER_FRAME = 2**27
"""Rows times columns of one frame; below Pillow's own hard limit of 2**27.4."""

MAX_DECODED_BYTES = 4 * 1024**3
"""Bytes of all decoded stored values of one image."""

MAX_JPEG_SCANS = 256
"""Scans of one JPEG frame: each one may visit every value again."""

_INFLATE_STEP_BYTES = 16 * 1024**2


def check_file_size(size_bytes: int, *, name: str) -> None:
    """Refuse a file that is empty or too long.

    Raises
    ------
    ImageTooLargeError
        More than `MAX_FILE_BYTES`.
    UnreadableImageError
        No byte at all.
    """
    if size_bytes > MAX_FILE_BYTES:
        raise ImageTooLargeError(
            f"{name}: the file has {size_bytes} bytes, the limit is {MAX_FILE_BYTES}; split it"
        )
    if size_bytes == 0:
        raise UnreadableImageError(f"{name}: the file is empty; fetch it again from its source")


def check_decoded_size(
    shape: tuple[int, int, int, int], bytes_per_value: int, *, name: str
) -> None:
    """Refuse a stated shape that is empty or too large to decode.

    Parameters
    ----------
    shape
        (frames, rows, columns, samples) as the header states it.
    bytes_per_value
        Size of one decoded value in bytes.
    name
        File name for the message.

    Raises
    ------
    ImageTooLargeError
        More than `MAX_FRAMES`, `MAX_PIXELS_PER_FRAME` or `MAX_DECODED_BYTES`.
    UnreadableImageError
        A size of zero or less.
    """
    frames, rows, columns, samples = shape
    if min(shape) < 1:
        raise UnreadableImageError(
            f"{name}: the header states {frames} frames of {rows} x {columns} x {samples}; "
            "fetch the file again from its source"
        )
    too_many = (
        frames > MAX_FRAMES
        or rows * columns > MAX_PIXELS_PER_FRAME
        or frames * rows * columns * samples * bytes_per_value > MAX_DECODED_BYTES
    )
    if too_many:
        raise ImageTooLargeError(
            f"{name}: {frames} frames of {rows} x {columns} x {samples} exceed the limits "
            f"({MAX_FRAMES} frames, {MAX_PIXELS_PER_FRAME} places a frame, "
            f"{MAX_DECODED_BYTES} bytes); split the image"
        )


def check_jpeg_scans(data: bytes, *, name: str) -> None:
    """Refuse a JPEG stream of very many scans, which would decode for hours.

    Raises
    ------
    ImageTooLargeError
        More than `MAX_JPEG_SCANS`.
    """
    if data.count(b"\xff\xda") > MAX_JPEG_SCANS:
        raise ImageTooLargeError(
            f"{name}: a JPEG stream of more than {MAX_JPEG_SCANS} scans; it may be hostile"
        )


def inflate(data: bytes | memoryview, *, window_bits: int, name: str) -> bytes:
    """Return the inflated form of one deflate stream, of at most `MAX_FILE_BYTES`.

    Parameters
    ----------
    data
        The stream; bytes after its end are left out.
    window_bits
        As for `zlib.decompressobj`: 31 for gzip, -15 for a bare stream.
    name
        File name for the message.

    Raises
    ------
    ImageTooLargeError
        The stream inflates to more than the limit.
    UnreadableImageError
        The stream is damaged or ends early.
    """
    stream = zlib.decompressobj(window_bits)
    pieces: list[bytes] = []
    total_bytes = 0
    pending: bytes | memoryview = data
    try:
        while not stream.eof and (pending or not pieces):
            piece = stream.decompress(pending, _INFLATE_STEP_BYTES)
            pending = stream.unconsumed_tail
            total_bytes += len(piece)
            if total_bytes > MAX_FILE_BYTES:
                raise ImageTooLargeError(
                    f"{name}: inflates to more than {MAX_FILE_BYTES} bytes; it may be hostile"
                )
            pieces.append(piece)
    except zlib.error:
        raise UnreadableImageError(
            f"{name}: the compressed stream is damaged; fetch the file again from its source"
        ) from None
    if not stream.eof:
        raise UnreadableImageError(
            f"{name}: the compressed stream ends early; fetch the file again from its source"
        )
    return b"".join(pieces)
