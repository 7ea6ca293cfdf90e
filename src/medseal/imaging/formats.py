"""Read and write image files: the format is told by content, never by the file name."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from medseal.digest import Digest
from medseal.errors import UnsupportedImageError
from medseal.imaging.dicom import decode, pixel_data_of, pixels_of
from medseal.imaging.dicom_file import has_dicom_prefix, is_dicom, parse
from medseal.imaging.dicom_write import encode_dicom
from medseal.imaging.digests import (
    ImageDigests,
    attributes_digest,
    dicom_dataset_digest,
    dicom_frames_digest,
    file_frames_digest,
    values_digest,
)
from medseal.imaging.files import read_file, write_file
from medseal.imaging.image import MedicalImage
from medseal.imaging.limits import check_file_size
from medseal.imaging.nifti import encode_nifti, is_gzip, is_nifti, read_nifti
from medseal.imaging.raster import encode_png, is_jpeg, is_png, read_jpeg, read_png
from medseal.imaging.tiff import encode_tiff, is_tiff, read_tiff

__all__ = [
    "WrittenFormat",
    "encode",
    "find_image_files",
    "format_of",
    "read",
    "read_bytes",
    "read_with_digests",
    "write",
]

WrittenFormat = Literal["dicom", "png", "tiff", "nifti", "nifti.gz"]

_HEAD_BYTES = 540
_FORMAT_OF_SUFFIX: dict[str, WrittenFormat] = {
    ".dcm": "dicom",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".nii": "nifti",
    ".nii.gz": "nifti.gz",
}
_IMAGE_SUFFIXES = (*_FORMAT_OF_SUFFIX, ".dicom", ".jpg", ".jpeg")

Reader = Callable[..., MedicalImage]
# DICOM with its prefix comes before all others: its preamble may hold a TIFF header.
_READERS: tuple[tuple[Callable[[bytes], bool], Reader], ...] = (
    (is_png, read_png),
    (is_jpeg, read_jpeg),
    (is_tiff, read_tiff),
    (is_nifti, read_nifti),
    (is_gzip, read_nifti),
)


def _reader(head: bytes) -> Reader | None:
    return next((read for fits, read in _READERS if fits(head)), None)


def _is_dicom_file(head: bytes) -> bool:
    return has_dicom_prefix(head) or (_reader(head) is None and is_dicom(head))


def _unknown(name: str) -> UnsupportedImageError:
    return UnsupportedImageError(
        f"{name}: not a DICOM, PNG, JPEG, TIFF or NIfTI file; convert it to one of these"
    )


def read_bytes(data: bytes, *, name: str) -> MedicalImage:
    """Read an image from the bytes of its file.

    Parameters
    ----------
    data
        The whole file.
    name
        File name for messages; it does not tell the format.

    Raises
    ------
    UnreadableImageError
        Damaged or truncated.
    UnsupportedImageError
        Not an image, or of a kind that is not supported.
    ImageTooLargeError
        A size exceeds a limit.
    """
    check_file_size(len(data), name=name)
    if _is_dicom_file(data[:_HEAD_BYTES]):
        file = parse(data, name=name)
        return decode(file, pixels_of(file, name=name), name=name)
    reader = _reader(data[:_HEAD_BYTES])
    if reader is None:
        raise _unknown(name)
    return reader(data, name=name)


def read_with_digests(data: bytes, *, name: str) -> tuple[MedicalImage, ImageDigests]:
    """Read an image and its four digests in one pass over the file.

    Parameters
    ----------
    data
        The whole file.
    name
        File name for messages.

    Raises
    ------
    InputError
        As `read_bytes`.
    """
    check_file_size(len(data), name=name)
    if not _is_dicom_file(data[:_HEAD_BYTES]):
        image = read_bytes(data, name=name)
        dataset = attributes_digest(image)
        frames = file_frames_digest(data, image.source_format)
        container = str(image.source_format)
    else:
        file = parse(data, name=name)
        # Before any element is decoded: the digest is over values as they were encoded.
        dataset = dicom_dataset_digest(file, name=name)
        pixels = pixels_of(file, name=name)
        image = decode(file, pixels, name=name)
        pixel_data = pixel_data_of(file, name=name)
        frames = dicom_frames_digest(pixel_data, pixels, name=name)
        container = f"dicom {pixel_data.transfer_syntax}"
    return image, ImageDigests(
        file=Digest.plain(data),
        dataset=dataset,
        frames=frames,
        values=values_digest(image),
        decoder=image.decoder,
        container=container,
    )


def read(path: str | os.PathLike[str]) -> MedicalImage:
    """Read an image file.

    Raises
    ------
    UnreadableImageError
        No such file, no right to read it, or as `read_bytes`.
    UnsupportedImageError, ImageTooLargeError
        As `read_bytes`.
    """
    return read_bytes(read_file(path), name=str(path))


def encode(image: MedicalImage, format_name: WrittenFormat, *, attachment: bytes = b"") -> bytes:
    """Return the bytes of a file with the same stored values.

    Parameters
    ----------
    image
        Any image; a format that cannot hold its values refuses it.
    format_name
        ``dicom``, ``png``, ``tiff``, ``nifti`` or ``nifti.gz``.
    attachment
        Opaque bytes that the file carries beside the image; none for no bytes.

    Raises
    ------
    UnsupportedImageError
        The format would lose stored values, or is unknown; the message names one that works.
    ImageTooLargeError
        The attachment exceeds its limit.
    """
    if format_name == "dicom":
        return encode_dicom(image, attachment=attachment)
    if format_name == "png":
        return encode_png(image, attachment=attachment)
    if format_name == "tiff":
        return encode_tiff(image, attachment=attachment)
    if format_name in {"nifti", "nifti.gz"}:
        compress = format_name == "nifti.gz"
        return encode_nifti(image, compress=compress, attachment=attachment)
    raise UnsupportedImageError(
        f"cannot write {str(format_name)!r}; choose dicom, png, tiff, nifti or nifti.gz"
    )


def _suffix_of(path: Path) -> str:
    name = path.name.lower()
    return next((s for s in (".nii.gz", path.suffix.lower()) if s and name.endswith(s)), "")


def format_of(path: str | os.PathLike[str]) -> WrittenFormat | None:
    """Return the format that the suffix of a file to be written names, or None."""
    return _FORMAT_OF_SUFFIX.get(_suffix_of(Path(path)))


def write(image: MedicalImage, path: str | os.PathLike[str]) -> None:
    """Write an image file; the suffix tells the format, and the file appears whole or not at all.

    Parameters
    ----------
    image
        Any image.
    path
        Ends in .dcm, .png, .tif, .tiff, .nii or .nii.gz; an existing file is replaced.

    Raises
    ------
    UnsupportedImageError
        Unknown suffix, or the format would lose stored values.
    StorageFullError
        No space is left.
    StorageError
        The folder cannot be written.
    """
    file = Path(path)
    format_name = format_of(file)
    if format_name is None:
        raise UnsupportedImageError(
            f"{file}: the suffix names no format that can be written; use "
            + ", ".join(_FORMAT_OF_SUFFIX)
        )
    write_file(encode(image, format_name), file)


def _looks_like_image(file: Path) -> bool:
    if file.name.lower().endswith(_IMAGE_SUFFIXES):
        return True
    try:
        with file.open("rb") as stream:
            head = stream.read(_HEAD_BYTES)
    except OSError:
        return True  # let the reader name the reason
    return _is_dicom_file(head) or _reader(head) is not None


def find_image_files(paths: Iterable[str | os.PathLike[str]]) -> Iterator[Path]:
    """Return the image files among files and folders, in order.

    A file is returned as it is given, readable or not. A folder is searched to the bottom, sorted
    by name, for files whose suffix or content is that of an image.

    Parameters
    ----------
    paths
        Files and folders.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            yield path
            continue
        for file in sorted(path.rglob("*")):
            if file.is_file() and not file.name.startswith(".") and _looks_like_image(file):
                yield file
