"""Which format an output file gets: by its suffix, else that of the original."""

from pathlib import Path

from medseal.errors import UnsupportedImageError
from medseal.imaging import MedicalImage, WrittenFormat, encode, format_of

__all__ = ["copy_format", "encode_copy", "is_original_format"]

_JPEG_SUFFIXES = (".jpg", ".jpeg")


def is_original_format(image: MedicalImage, output: Path) -> bool:
    """Return whether `output` asks for the format that the image was read from.

    A suffix that names no format, or none, asks for the original one: DICOM files are often named
    by a UID or a number.
    """
    if output.name.lower().endswith(_JPEG_SUFFIXES):
        return image.source_format == "jpeg"
    wanted = format_of(output)
    # A compressed NIfTI file is the same format in another wrapping, so not the same bytes.
    return wanted is None or wanted == image.source_format


def copy_format(image: MedicalImage, output: Path) -> WrittenFormat:
    """Return the format of a copy of `image` at `output`.

    Raises
    ------
    UnsupportedImageError
        The suffix is that of a lossy format.
    """
    if output.name.lower().endswith(_JPEG_SUFFIXES):
        raise UnsupportedImageError(
            f"{output}: JPEG would change the stored values; write .png, .tiff or .dcm"
        )
    wanted = format_of(output)
    if wanted is None:
        written: WrittenFormat = "png" if image.source_format == "jpeg" else image.source_format
        return written
    return wanted


def encode_copy(image: MedicalImage, output: Path, *, attachment: bytes = b"") -> bytes:
    """Return the bytes of a file with the stored values of `image`, in the format of `output`.

    Parameters
    ----------
    image
        Any image.
    output
        Its suffix chooses the format, none keeps that of the image.
    attachment
        Opaque bytes that the file carries beside the image; none for no bytes.

    Raises
    ------
    UnsupportedImageError
        The format would lose stored values; the message names one that works.
    """
    try:
        return encode(image, copy_format(image, output), attachment=attachment)
    except UnsupportedImageError as error:
        message = str(error)
        raise UnsupportedImageError(
            message if str(output) in message else f"{output}: {message}"
        ) from error
