"""The four digests of an image: file bytes, canonical data set, encoded frames, stored values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from medseal.digest import Digest, JsonValue, canonical_json
from medseal.imaging.boundary import library_errors
from medseal.imaging.canonical import canonical_dataset
from medseal.imaging.codecs import PixelFormat
from medseal.imaging.dicom_file import DicomFile
from medseal.imaging.dicom_pixels import PixelData, encapsulated_frames, native_frames
from medseal.imaging.image import MedicalImage, StoredValues

__all__ = [
    "ImageDigests",
    "attributes_digest",
    "dicom_dataset_digest",
    "dicom_frames_digest",
    "file_frames_digest",
    "values_digest",
]

_DATASET_DOMAIN = "medseal/image-dataset/v1"
_FRAMES_DOMAIN = "medseal/image-frames/v1"
_VALUES_DOMAIN = "medseal/image-values/v1"
_NATIVE = b"native"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDigests:
    """What an image file is anchored by; docs/spec/image-digests.md defines each byte.

    Attributes
    ----------
    file
        Plain SHA-256 of the file.
    dataset
        Canonical data set: survives another encoding of the same elements, as C-STORE makes.
    frames
        Encoded frames: survive any change of the data set.
    values
        Decoded stored values: survive lossless transcoding.
    decoder
        Name and version of the decoder the last digest depends on.
    container
        Format of the file, with the transfer syntax UID for DICOM.
    """

    file: Digest
    dataset: Digest
    frames: Digest
    values: Digest
    decoder: str
    container: str


def _canonical(values: StoredValues) -> StoredValues:
    """Return the values in the one dtype that stands for them, little endian.

    The narrowest integer that holds them all, signed only if one is negative; floats as they are.
    """
    size = values.dtype.itemsize
    if values.dtype.kind == "f":
        return values.astype(f"<f{size}", copy=False)
    low, high = int(values.min()), int(values.max())
    kind = "i" if low < 0 else "u"
    width = next(
        width
        for width in (1, 2, 4, 8)
        if np.iinfo(f"{kind}{width}").min <= low and high <= np.iinfo(f"{kind}{width}").max
    )
    if width == size:
        return values.astype(values.dtype.newbyteorder("<"), copy=False)
    return values.astype(f"<{kind}{width}")


def values_digest(image: MedicalImage) -> Digest:
    """Return the digest of the decoded stored values: their numbers and their shape.

    It does not depend on the width of the cells, the byte order, the bits stored, the photometric
    interpretation or the file format: PNG cannot state 12 bits or an inverted scale.
    """
    values = image.stored_values
    header: JsonValue = {
        "kind": "float" if values.dtype.kind == "f" else "integer",
        "shape": list(values.shape),
    }
    return Digest.of(_VALUES_DOMAIN, canonical_json(header), _canonical(values).reshape(-1).data)


def dicom_dataset_digest(file: DicomFile, *, name: str) -> Digest:
    """Return the digest of the canonical data set of a file that was just parsed."""
    with library_errors(name, "read the data set"):
        canonical = canonical_dataset(file.dataset, name=name)
    return Digest.of(_DATASET_DOMAIN, b"dicom", memoryview(canonical))


def dicom_frames_digest(pixel_data: PixelData, pixels: PixelFormat, *, name: str) -> Digest:
    """Return the digest of the encoded frames."""
    if pixel_data.value is not None:
        return Digest.of(_FRAMES_DOMAIN, _NATIVE, *native_frames(pixel_data, pixels, name=name))
    frames = encapsulated_frames(pixel_data, pixels.frames, name=name)
    return Digest.of(_FRAMES_DOMAIN, pixel_data.transfer_syntax.encode(), *frames)


def file_frames_digest(data: bytes, source_format: str) -> Digest:
    """Return the digest of the encoded frames of a format whose file is one encoded image."""
    return Digest.of(_FRAMES_DOMAIN, source_format.encode(), data)


def _canonical_value(value: object) -> JsonValue:
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {str(key): _canonical_value(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_canonical_value(item) for item in value]
    return str(value)


def attributes_digest(image: MedicalImage) -> Digest:
    """Return the data set digest of a format without DICOM data set: its header's attributes."""
    header: JsonValue = {
        "attributes": _canonical_value(image.attributes),
        "modality": image.modality,
        "spacing_mm": _canonical_value(image.spacing_mm),
    }
    return Digest.of(_DATASET_DOMAIN, image.source_format.encode(), canonical_json(header))
