"""Read and write NIfTI-1 and NIfTI-2 in one file: on-disk values, scaling kept aside."""

import gzip
from types import MappingProxyType
from typing import Any

import nibabel
import numpy as np

from medseal.errors import UnreadableImageError, UnsupportedImageError
from medseal.imaging.attachment import nifti_extension
from medseal.imaging.boundary import library_errors
from medseal.imaging.image import MedicalImage, StoredValues, frozen
from medseal.imaging.limits import check_decoded_size, inflate
from medseal.imaging.notes import apply_note, check_exportable, note_of
from medseal.imaging.raster import photometric_of

__all__ = ["encode_nifti", "is_gzip", "is_nifti", "read_nifti"]

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW_BITS = 31
_VERSION_1_BYTES, _VERSION_2_BYTES = 348, 540
_MAGIC_1, _MAGIC_2 = b"n+1\0", b"n+2\0\r\n\x1a\n"
_PAIR_1, _PAIR_2 = b"ni1\0", b"ni2\0\r\n\x1a\n"
_MAX_DIMENSION_1 = 32_767
_NO_EXTENSION, _SOME_EXTENSION = b"\0\0\0\0", b"\1\0\0\0"
_BITS_A_BYTE = 8
_MAX_AXES = 7
_COLOUR_DTYPES = {3: "RGB", 4: "RGBA"}
_MILLIMETRES, _SECONDS = 2, 8
_MILLIMETRES_A_UNIT = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}
# Fields of the header that the writer sets itself.
_OWN_FIELDS = frozenset({"sizeof_hdr", "magic", "vox_offset", "datatype", "bitpix", "descrip"})


def is_gzip(data: bytes) -> bool:
    """Return whether the bytes begin as a gzip file does."""
    return data.startswith(_GZIP)


def is_nifti(data: bytes) -> bool:
    """Return whether the bytes, not compressed, are a NIfTI file or the header of a pair."""
    return data[344:348] in {_MAGIC_1, _PAIR_1} or data[4:12] in {_MAGIC_2, _PAIR_2}


def _header(data: bytes, *, name: str) -> Any:
    if data[344:348] == _PAIR_1 or data[4:12] == _PAIR_2:
        raise UnsupportedImageError(
            f"{name}: a NIfTI pair (.hdr and .img); save it as one .nii.gz file"
        )
    # Without its own check, which logs to stderr; `_on_disk` checks what is used.
    if data[4:12] == _MAGIC_2:
        return nibabel.Nifti2Header(data[:_VERSION_2_BYTES], check=False)
    return nibabel.Nifti1Header(data[:_VERSION_1_BYTES], check=False)


def _plain(value: Any) -> object:
    """Return a header field as plain Python: numbers, text or tuples of numbers."""
    plain = value.tolist()
    if isinstance(plain, bytes):
        return plain.rstrip(b"\0").decode("latin-1")
    return tuple(plain) if isinstance(plain, list) else plain


def _spacing_mm(header: Any) -> tuple[float, float] | None:
    scale = _MILLIMETRES_A_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    across, down = abs(float(header["pixdim"][1])), abs(float(header["pixdim"][2]))
    if np.isfinite(across) and np.isfinite(down) and across > 0 and down > 0:
        return down * scale, across * scale
    return None


def _on_disk(data: bytes, header: Any, *, name: str) -> StoredValues:
    """Return (frames, rows, columns, samples): the first axis runs along a row."""
    dtype = header.get_data_dtype()
    samples = len(dtype.names) if dtype.names else 1
    cell = dtype[0] if dtype.names else dtype
    if cell.kind not in "uif" or cell.itemsize > 8 or samples not in {1, *_COLOUR_DTYPES}:  # noqa: PLR2004  longdouble
        raise UnsupportedImageError(f"{name}: NIfTI values of type {dtype}; convert them to float")
    axes = [int(size) for size in header.get_data_shape()]
    columns, rows, *rest = [*axes, 1, 1][: max(2, len(axes))]
    frames = 1
    for size in rest:
        frames *= size
    shape = (frames, rows, columns, samples)
    check_decoded_size(shape, cell.itemsize, name=name)
    start = int(header["vox_offset"])
    count = frames * rows * columns * samples
    if start < len(header.binaryblock) or start + count * cell.itemsize > len(data):
        raise UnreadableImageError(
            f"{name}: {max(0, len(data) - start)} bytes of values, {count * cell.itemsize} are "
            "stated; fetch the file again from its source"
        )
    values: StoredValues = np.frombuffer(data, dtype=cell, count=count, offset=start).reshape(shape)
    return values if values.flags.aligned else values.copy()


def read_nifti(data: bytes, *, name: str) -> MedicalImage:
    """Read a NIfTI file, compressed by gzip or not.

    Stored values are those on disk; ``scl_slope`` and ``scl_inter`` stand in the attributes with
    the other fields of the header.

    Raises
    ------
    UnreadableImageError
        Damaged or truncated.
    UnsupportedImageError
        A pair of files, or complex or extended values.
    ImageTooLargeError
        A stated or inflated size exceeds a limit.
    """
    if is_gzip(data):
        data = inflate(data, window_bits=_GZIP_WINDOW_BITS, name=name)
        if not is_nifti(data):
            raise UnsupportedImageError(
                f"{name}: a gzip file without a NIfTI image; decompress it first"
            )
    with library_errors(name, "read the NIfTI file"):
        header = _header(data, name=name)
        values = _on_disk(data, header, name=name)
        attributes = {key: _plain(header[key]) for key in header.keys()}  # noqa: SIM118  a header iterates over pairs
        image = MedicalImage(
            stored_values=frozen(values),
            bits_stored=values.dtype.itemsize * _BITS_A_BYTE,
            is_signed=values.dtype.kind != "u",
            photometric_interpretation=photometric_of(values.shape[3]),
            spacing_mm=_spacing_mm(header),
            attributes=MappingProxyType(attributes),
            source_format="nifti",
            decoder=f"nibabel {nibabel.__version__}",
        )
    return apply_note(image, str(attributes.get("descrip", "")))


def _is_pixel_type(image: MedicalImage) -> bool:
    return image.samples == 1 or (
        image.samples in _COLOUR_DTYPES and image.stored_values.dtype == np.uint8
    )


def _new_header(image: MedicalImage) -> Any:
    """Return a header with the fields of a NIfTI source, or else with the spacing alone."""
    is_long = max(image.stored_values.shape) > _MAX_DIMENSION_1
    from_version_2 = str(image.attributes.get("magic", "")).startswith("n+2")
    kind = nibabel.Nifti2Header if is_long or from_version_2 else nibabel.Nifti1Header
    header = kind()
    if image.source_format == "nifti":
        for key in set(header.keys()) & set(image.attributes) - _OWN_FIELDS:
            header[key] = image.attributes[key]
        return header
    row_mm, column_mm = image.spacing_mm or (1.0, 1.0)
    header["pixdim"][1:4] = (column_mm, row_mm, 1.0)
    header["xyzt_units"] = _MILLIMETRES | _SECONDS
    return header


def _axes(image: MedicalImage) -> list[int]:
    """Return the axes of the source where they still fit, else columns, rows, frames."""
    stated = image.attributes.get("dim") if image.source_format == "nifti" else None
    if isinstance(stated, tuple) and 1 <= stated[0] <= _MAX_AXES:
        axes = [int(size) for size in stated[1 : 1 + stated[0]]]
        columns, rows, *rest = [*axes, 1, 1][: max(2, len(axes))]
        if (int(np.prod(rest, dtype=np.int64)), rows, columns) == image.stored_values.shape[:3]:
            return axes
    return [image.columns, image.rows, image.frames]


def encode_nifti(image: MedicalImage, *, compress: bool, attachment: bytes = b"") -> bytes:
    """Return a NIfTI file with the same stored values.

    Parameters
    ----------
    image
        Grey of any kind, or RGB and RGBA of 8 bits.
    compress
        Whether to compress by gzip.
    attachment
        Opaque bytes for a header extension; none for no bytes.

    Raises
    ------
    UnsupportedImageError
        Palette, YBR, colour of more than 8 bits, or grey with alpha.
    ImageTooLargeError
        The attachment exceeds its limit.
    """
    check_exportable(image, "NIfTI")
    if not _is_pixel_type(image):
        raise UnsupportedImageError(
            f"NIfTI cannot hold {image.samples} samples of {image.stored_values.dtype}; "
            "write a .tif file"
        )
    with library_errors("NIfTI", "write the header"):
        header = _new_header(image)
        colour = _COLOUR_DTYPES.get(image.samples)
        header.set_data_dtype(colour or image.stored_values.dtype)
        header.set_data_shape(_axes(image))
        header["descrip"] = note_of(image).encode()[:79]
        extension = nifti_extension(attachment)
        flag = _SOME_EXTENSION if extension else _NO_EXTENSION
        header["vox_offset"] = len(header.binaryblock) + len(flag) + len(extension)
        header["magic"] = _MAGIC_2 if len(header.binaryblock) == _VERSION_2_BYTES else _MAGIC_1
        little = image.stored_values.astype(image.stored_values.dtype.newbyteorder("<"), copy=False)
        file = bytes(header.binaryblock) + flag + extension + little.tobytes()
    return gzip.compress(file, compresslevel=6, mtime=0) if compress else file
