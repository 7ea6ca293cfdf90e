"""Write DICOM: Explicit VR Little Endian, from the source's data set or as Secondary Capture."""

from datetime import UTC, datetime
from io import BytesIO

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from medseal.errors import UnsupportedImageError
from medseal.imaging.attachment import put_into_dataset
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom import dataset_of
from medseal.imaging.image import MedicalImage

__all__ = ["encode_dicom", "secondary_capture"]

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_MULTI_FRAME_BYTE = "1.2.840.10008.5.1.4.1.1.7.2"
_MULTI_FRAME_WORD = "1.2.840.10008.5.1.4.1.1.7.3"
_MULTI_FRAME_COLOUR = "1.2.840.10008.5.1.4.1.1.7.4"
_PAGE_NUMBER_VECTOR = 0x00182001
_BITS_A_BYTE, _WORD_BITS = 8, 16
_MAX_INTEGER_BITS = 32
_COLOUR_SAMPLES = 3
_FLOAT_KEYWORDS = {32: "FloatPixelData", 64: "DoubleFloatPixelData"}
# Statements about values that another writer has changed since, or about another sign.
_VALUE_STATISTICS = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
)
_SIGN_DEPENDENT = ("PixelPaddingValue", "PixelPaddingRangeLimit")
_TRANSPORT = (
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "EncapsulatedPixelDataValueTotalLength",
)


def _multi_frame_class(image: MedicalImage) -> str:
    """Return the Secondary Capture class that can hold these frames (PS3.3 A.8.3 to A.8.5)."""
    is_byte = image.stored_values.dtype == np.uint8 and image.bits_stored == _BITS_A_BYTE
    if image.samples == _COLOUR_SAMPLES and is_byte:
        return _MULTI_FRAME_COLOUR
    is_plain_grey = image.photometric_interpretation == "MONOCHROME2" and image.samples == 1
    if is_plain_grey and is_byte:
        return _MULTI_FRAME_BYTE
    if (
        is_plain_grey
        and image.stored_values.dtype == np.uint16
        and image.bits_stored > _BITS_A_BYTE
    ):
        return _MULTI_FRAME_WORD
    raise UnsupportedImageError(
        f"DICOM Secondary Capture cannot hold {image.frames} frames of {image.stored_values.dtype}"
        f" {image.photometric_interpretation}; write a .tif or .nii.gz file"
    )


def secondary_capture(image: MedicalImage) -> Dataset:
    """Return a new data set for an image that does not come from DICOM (PS3.3 A.8)."""
    if image.stored_values.dtype.kind == "f":
        raise UnsupportedImageError(
            "DICOM Secondary Capture cannot hold floating values; write a .tif or .nii.gz file"
        )
    now = datetime.now(UTC)
    dataset = Dataset()
    dataset.SOPClassUID = _multi_frame_class(image) if image.frames > 1 else _SECONDARY_CAPTURE
    for keyword in ("SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"):
        setattr(dataset, keyword, generate_uid(prefix=None))
    for keyword in (
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "ReferringPhysicianName",
        "StudyID",
        "AccessionNumber",
        "PatientOrientation",
    ):
        setattr(dataset, keyword, "")
    dataset.StudyDate = now.strftime("%Y%m%d")
    dataset.StudyTime = now.strftime("%H%M%S")
    dataset.Modality = image.modality or "OT"
    dataset.SeriesNumber, dataset.InstanceNumber = 1, 1
    dataset.ConversionType = "WSD"
    if image.spacing_mm is not None:
        dataset.PixelSpacing = [f"{value:.10g}" for value in image.spacing_mm]
    if image.source_format == "jpeg":
        dataset.LossyImageCompression = "01"
        dataset.LossyImageCompressionMethod = "ISO_10918_1"
    if image.frames > 1:
        dataset.BurnedInAnnotation = "NO"
        dataset.FrameIncrementPointer = _PAGE_NUMBER_VECTOR
        dataset.PageNumberVector = list(range(1, image.frames + 1))
        if image.samples == 1:
            dataset.PresentationLUTShape = "IDENTITY"
            dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
            dataset.RescaleType = "US"
    return dataset


def _describe_values(dataset: Dataset, image: MedicalImage) -> None:
    """Make the Image Pixel module say what the values are (PS3.3 C.7.6.3)."""
    values = image.stored_values
    was_signed = dataset.get("PixelRepresentation", int(image.is_signed)) == 1
    dataset.SamplesPerPixel = image.samples
    dataset.PhotometricInterpretation = image.photometric_interpretation
    dataset.Rows, dataset.Columns = image.rows, image.columns
    if image.frames > 1 or "NumberOfFrames" in dataset:
        dataset.NumberOfFrames = image.frames
    dataset.BitsAllocated = 1 if image.bits_stored == 1 else values.dtype.itemsize * _BITS_A_BYTE
    dropped = [*_VALUE_STATISTICS, *_TRANSPORT]
    if image.samples > 1:
        dataset.PlanarConfiguration = 0
    else:
        dropped.append("PlanarConfiguration")
    if values.dtype.kind == "f":
        dropped += ["BitsStored", "HighBit", "PixelRepresentation"]
    else:
        dataset.BitsStored = image.bits_stored
        dataset.HighBit = image.bits_stored - 1
        dataset.PixelRepresentation = int(image.is_signed)
        if was_signed != image.is_signed:
            dropped += _SIGN_DEPENDENT
    for keyword in dropped:
        if keyword in dataset:
            del dataset[keyword]


def _put_values(dataset: Dataset, image: MedicalImage) -> None:
    values = image.stored_values
    bits = values.dtype.itemsize * _BITS_A_BYTE
    if values.dtype.kind == "f":
        if bits not in _FLOAT_KEYWORDS:
            raise UnsupportedImageError(f"DICOM cannot hold {values.dtype}; write a .tif file")
        encoded = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
        setattr(dataset, _FLOAT_KEYWORDS[bits], encoded)
        return
    if bits > _MAX_INTEGER_BITS:
        raise UnsupportedImageError(
            f"DICOM cannot hold integers of {bits} bits; write a .tif or .nii.gz file"
        )
    if image.bits_stored == 1:
        encoded = np.packbits(values.astype(np.uint8).reshape(-1), bitorder="little").tobytes()
    else:
        encoded = values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
    is_byte = bits <= _BITS_A_BYTE
    dataset.add_new("PixelData", "OB" if is_byte else "OW", encoded + b"\0" * (len(encoded) % 2))


def encode_dicom(image: MedicalImage, *, attachment: bytes = b"") -> bytes:
    """Return a DICOM file with the same stored values, uncompressed.

    An image from DICOM keeps its data set, its UIDs too: whoever changes what the instance means
    gives it a new SOP Instance UID first. Other images become Secondary Capture.

    Parameters
    ----------
    image
        From any format.
    attachment
        Opaque bytes for a private block; none for no bytes.

    Raises
    ------
    UnsupportedImageError
        An alpha channel, integers of more than 32 bits, or values that Secondary Capture cannot
        hold: floating, and several frames that are signed or inverted.
    ImageTooLargeError
        The attachment exceeds its limit.
    UnreadableImageError
        The source's data set cannot be encoded again.
    """
    if image.samples not in {1, _COLOUR_SAMPLES}:
        raise UnsupportedImageError("DICOM has no alpha channel; write a .png or .tif file")
    is_from_dicom = image.source_format == "dicom"
    with library_errors("DICOM", "encode the data set again"):
        dataset = dataset_of(image) if is_from_dicom else secondary_capture(image)
        _describe_values(dataset, image)
        _put_values(dataset, image)
        put_into_dataset(dataset, attachment)
        if not dataset.get("SOPClassUID"):
            dataset.SOPClassUID = _SECONDARY_CAPTURE
        if not dataset.get("SOPInstanceUID"):
            dataset.SOPInstanceUID = generate_uid(prefix=None)
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for tag in [tag for tag in dataset.keys() if tag.group in {0x0000, 0x0002}]:  # noqa: SIM118  a Dataset iterates over decoded elements
            del dataset[tag]
        stream = BytesIO()
        dcmwrite(
            stream,
            dataset,
            implicit_vr=False,
            little_endian=True,
            enforce_file_format=True,
        )
        return stream.getvalue()
