"""Read DICOM: decode the stored values, keep the data set beside them."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from medseal.errors import UnsupportedImageError
from medseal.imaging.boundary import library_errors
from medseal.imaging.codecs import PixelFormat, is_supported
from medseal.imaging.dicom_file import DicomFile
from medseal.imaging.dicom_pixels import PixelData, decode_pixels, pixel_format
from medseal.imaging.image import MedicalImage, StoredValues

__all__ = [
    "DicomAttributes",
    "dataset_of",
    "decode",
    "first_item",
    "image_from_dataset",
    "pixel_data_of",
    "pixels_of",
    "with_dataset",
]

_MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"


class DicomAttributes(Mapping[str, object]):
    """A read-only view of a data set by keyword; values are decoded when they are looked up."""

    __slots__ = ("_dataset", "_name")

    def __init__(self, dataset: Dataset, name: str) -> None:
        self._dataset = dataset
        self._name = name

    def __getitem__(self, keyword: str) -> object:
        tag = tag_for_keyword(keyword)
        if tag is None or tag not in self._dataset:
            raise KeyError(keyword)
        with library_errors(self._name, "read a data element"):
            value = self._dataset[tag].value
            if isinstance(value, MultiValue):
                return tuple(value)
            return value

    def __iter__(self) -> Iterator[str]:
        for tag, _ in self._dataset.items():
            keyword = keyword_for_tag(tag)
            # Repeating groups share a keyword that belongs to none of their tags.
            if keyword and tag_for_keyword(keyword) == tag:
                yield keyword

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, keyword: object) -> bool:
        tag = tag_for_keyword(keyword) if isinstance(keyword, str) else None
        return tag is not None and tag in self._dataset

    def __repr__(self) -> str:
        """Return the number of elements only: values may identify a person."""
        return f"DicomAttributes({len(self)} elements)"

    @property
    def dataset(self) -> Dataset:
        """The data set itself, for reading only."""
        return self._dataset

    def dataset_copy(self) -> Dataset:
        """Return an independent data set without pixel data."""
        with library_errors(self._name, "copy the data set"):
            return copy.deepcopy(self._dataset)


def _no_image(file: DicomFile, *, name: str) -> UnsupportedImageError:
    with library_errors(name, "read SOPClassUID"):
        uid = file.file_meta.get("MediaStorageSOPClassUID") or file.dataset.get("SOPClassUID")
        if uid == _MEDIA_STORAGE_DIRECTORY:
            return UnsupportedImageError(
                f"{name}: a DICOMDIR is an index without an image; give the files it names"
            )
        kind = getattr(uid, "name", None) or "of unknown class"
    return UnsupportedImageError(
        f"{name}: this DICOM object ({str(kind)[:64]}) holds no pixel data; "
        "give an image instance, or fetch it again if it was cut off"
    )


def first_item(dataset: Dataset, group: str, *, frame: int = 0) -> Dataset | None:
    """Return the first item of a functional group, per frame before shared, else None.

    Parameters
    ----------
    dataset
        Of an enhanced multi-frame image, or any other.
    group
        Keyword such as ``PixelMeasuresSequence``.
    frame
        Which frame the values are wanted for.
    """
    for keyword, index in (
        ("PerFrameFunctionalGroupsSequence", frame),
        ("SharedFunctionalGroupsSequence", 0),
    ):
        items = dataset.get(keyword)
        if items and index < len(items):
            found = items[index].get(group)
            if found:
                return found[0]
    return None


def _spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    measures: Any = dataset
    if "SharedFunctionalGroupsSequence" in dataset:
        measures = first_item(dataset, "PixelMeasuresSequence") or dataset
    for keyword in ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        value = measures.get(keyword)
        if isinstance(value, MultiValue) and len(value) == 2:  # noqa: PLR2004  row and column
            row, column = float(value[0]), float(value[1])
            if row > 0 and column > 0:
                return row, column
    return None


def pixel_data_of(file: DicomFile, *, name: str) -> PixelData:
    """Return the pixel data element.

    Raises
    ------
    UnsupportedImageError
        The file holds no image; the message says what it is.
    """
    if file.pixel_data is None:
        raise _no_image(file, name=name)
    return file.pixel_data


def pixels_of(file: DicomFile, *, name: str) -> PixelFormat:
    """Return the format of a parsed file's pixel data, checked against limits and decoders.

    Raises
    ------
    UnsupportedImageError
        No image inside, no decoder, or a colour space that is not supported.
    UnreadableImageError
        Contradictory or incomplete.
    ImageTooLargeError
        A stated size exceeds a limit.
    """
    pixel_data = pixel_data_of(file, name=name)
    syntax = pixel_data.transfer_syntax
    if pixel_data.value is None and not is_supported(syntax):
        raise UnsupportedImageError(
            f"{name}: no decoder for transfer syntax {syntax[:64]}; transcode the file to "
            "Explicit VR Little Endian"
        )
    return pixel_format(file.dataset, pixel_data.tag, name=name)


def decode(file: DicomFile, pixels: PixelFormat, *, name: str) -> MedicalImage:
    """Decode the stored values of a parsed file.

    Parameters
    ----------
    file
        Its data set belongs to the image from now on.
    pixels
        From `pixels_of`.
    name
        File name for messages.

    Raises
    ------
    UnsupportedImageError
        No image inside, or a precision that is not supported.
    UnreadableImageError
        Damaged or contradictory.
    """
    decoded = decode_pixels(pixel_data_of(file, name=name), pixels, name=name)
    return image_from_dataset(
        file.dataset,
        decoded.values,
        bits_stored=decoded.bits_stored,
        photometric_interpretation=decoded.photometric_interpretation,
        decoder=decoded.decoder,
        name=name,
    )


def image_from_dataset(
    dataset: Dataset,
    values: StoredValues,
    *,
    bits_stored: int,
    photometric_interpretation: str,
    decoder: str,
    name: str,
) -> MedicalImage:
    """Return an image with these stored values and the attributes of `dataset`.

    Parameters
    ----------
    dataset
        Without pixel data; it belongs to the image from now on.
    values
        (frames, rows, columns, samples).
    bits_stored, photometric_interpretation, decoder
        As for `MedicalImage`.
    name
        File name for messages.
    """
    with library_errors(name, "read modality and spacing"):
        modality = str(dataset.get("Modality") or "").strip() or None
        spacing_mm = _spacing_mm(dataset)
    return MedicalImage(
        stored_values=values,
        bits_stored=bits_stored,
        is_signed=values.dtype.kind != "u",
        photometric_interpretation=photometric_interpretation,
        modality=modality,
        spacing_mm=spacing_mm,
        attributes=DicomAttributes(dataset, name),
        source_format="dicom",
        decoder=decoder,
    )


def dataset_of(image: MedicalImage) -> Dataset:
    """Return an independent copy of the image's data set, without group 7FE0.

    Raises
    ------
    UnsupportedImageError
        The image does not come from DICOM.
    """
    if not isinstance(image.attributes, DicomAttributes):
        raise UnsupportedImageError(
            f"an image from {image.source_format} has no DICOM data set; write it as .dcm first"
        )
    return image.attributes.dataset_copy()


def with_dataset(image: MedicalImage, dataset: Dataset) -> MedicalImage:
    """Return the image with the attributes of another data set and the same stored values."""
    return image_from_dataset(
        dataset,
        image.stored_values,
        bits_stored=image.bits_stored,
        photometric_interpretation=image.photometric_interpretation,
        decoder=image.decoder,
        name="data set",
    )
