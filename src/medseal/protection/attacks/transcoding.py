"""Files saved again: every copy here is really encoded and decoded, most without any loss."""

from io import BytesIO

import imagecodecs
import numpy as np
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from medseal.errors import UnsupportedImageError
from medseal.imaging import MedicalImage, WrittenFormat, display_values, encode, read_bytes
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom import dataset_of, with_dataset
from medseal.imaging.image import StoredValues, frozen

__all__ = [
    "grey_to_rgb",
    "jpeg2000_lossless",
    "jpeg_ls",
    "jpeg_ls_near",
    "rewritten_inverted",
    "rle",
    "saved_again",
]

_NAME = "copy.dcm"
_MOST_BITS = 16
_BYTE_BITS = 8
_COLOUR_SAMPLES = 3
_INVERSE = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}
# What gives stored values a meaning by other than a slope and one window for all frames.
_OTHER_MEANINGS = (
    "ModalityLUTSequence",
    "VOILUTSequence",
    "PresentationLUTSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "PixelPaddingRangeLimit",
)


def saved_again(image: MedicalImage, *, format_name: WrittenFormat) -> MedicalImage:
    """Return the image after it was written in a format and read again, every value kept.

    Raises
    ------
    UnsupportedImageError
        The format would lose stored values.
    """
    return read_bytes(encode(image, format_name), name=f"copy.{format_name}")


def _dataset(image: MedicalImage) -> Dataset:
    """Return the DICOM file of an image as pydicom reads it, ready to be compressed."""
    if image.stored_values.dtype.kind == "f" or image.stored_values.dtype.itemsize > 2:  # noqa: PLR2004  bytes
        raise UnsupportedImageError(
            "compressed DICOM takes whole numbers in cells of 8 or 16 bits; save it uncompressed"
        )
    return dcmread(BytesIO(encode(image, "dicom")))


def _read(dataset: Dataset) -> MedicalImage:
    buffer = BytesIO()
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return read_bytes(buffer.getvalue(), name=_NAME)


def rle(image: MedicalImage) -> MedicalImage:
    """Return the image after DICOM RLE, every value kept; errors as for `jpeg_ls`."""
    dataset = _dataset(image)
    with library_errors(_NAME, "compress by RLE"):
        # Another encoder that pydicom may choose ends the whole process at some sizes.
        dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    return _read(dataset)


def jpeg_ls(image: MedicalImage) -> MedicalImage:
    """Return the image after lossless DICOM JPEG-LS, every value kept.

    The encoder is the package pyjpegls, which the library itself does without.

    Raises
    ------
    UnsupportedImageError
        Floating values, cells of more than 16 bits, or an alpha channel.
    UnreadableImageError
        The encoder is missing or cannot take the values.
    """
    dataset = _dataset(image)
    with library_errors(_NAME, "compress by JPEG-LS"):
        dataset.compress(JPEGLSLossless, encoding_plugin="pyjpegls", generate_instance_uid=False)
    return _read(dataset)


def jpeg_ls_near(image: MedicalImage, *, error: int) -> MedicalImage:
    """Return the stored values after near-lossless DICOM JPEG-LS.

    Parameters
    ----------
    image
        Any image of at most 16 bits without an alpha channel.
    error
        Largest change of a stored value, 1 or more.

    Raises
    ------
    UnsupportedImageError, UnreadableImageError
        As for `jpeg_ls`.
    """
    least, _ = image.storable_range
    if image.stored_values.dtype.kind == "f" or image.bits_stored > _MOST_BITS:
        raise UnsupportedImageError("JPEG-LS takes whole numbers of at most 16 bits")
    cell = np.uint8 if image.bits_stored <= _BYTE_BITS else np.uint16
    shifted = (image.stored_values.astype(np.int64) - int(least)).astype(cell)
    frames: list[StoredValues] = []
    for frame in shifted:
        # Frame by frame, as Secondary Capture: near-lossless streams hold no signed values.
        colour = image.samples == _COLOUR_SAMPLES
        plain = MedicalImage(
            stored_values=frozen(frame[None].copy()),
            bits_stored=image.bits_stored,
            is_signed=False,
            photometric_interpretation="RGB" if colour else "MONOCHROME2",
            source_format="png",
            decoder=image.decoder,
        )
        dataset = _dataset(plain)
        with library_errors(_NAME, "compress by JPEG-LS"):
            dataset.compress(
                JPEGLSNearLossless,
                encoding_plugin="pyjpegls",
                generate_instance_uid=False,
                jls_error=error,
            )
        frames.append(_read(dataset).stored_values[0].astype(np.int64) + int(least))
    values = np.clip(np.stack(frames), *image.storable_range)
    return image.with_stored_values(frozen(values.astype(image.stored_values.dtype)))


def jpeg2000_lossless(image: MedicalImage) -> MedicalImage:
    """Return the image after reversible DICOM JPEG 2000, every value kept; errors as `jpeg_ls`."""
    dataset = _dataset(image)
    with library_errors(_NAME, "compress by JPEG 2000"):
        streams = [
            imagecodecs.jpeg2k_encode(
                frame[:, :, 0] if image.samples == 1 else frame,
                codecformat="j2k",
                bitspersample=image.bits_stored,
                reversible=True,
                mct=False,
            )
            for frame in image.stored_values
        ]
        dataset.PixelData = encapsulate(streams)
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    return _read(dataset)


def _number(dataset: Dataset, keyword: str, default: float) -> float:
    value = dataset.get(keyword)
    return default if value in {None, ""} else float(value)


def _mirror_window(dataset: Dataset, top: float, *, is_signed: bool) -> None:
    """Move window and padding to where values went that were taken from `top`."""
    unknown = [keyword for keyword in _OTHER_MEANINGS if keyword in dataset]
    if unknown:
        raise UnsupportedImageError(f"values with {unknown[0]} cannot be declared inverted")
    slope = _number(dataset, "RescaleSlope", 1)
    intercept = _number(dataset, "RescaleIntercept", 0)
    if "WindowCenter" in dataset:
        centres = dataset.WindowCenter
        several = list(centres) if hasattr(centres, "__iter__") else [centres]
        # PS3.3 C.11.2.1.2: a linear window lies about its centre less one half.
        half = 1 if dataset.get("VOILUTFunction", "LINEAR") == "LINEAR" else 0
        mirror = slope * top + 2 * intercept + half
        dataset.WindowCenter = [f"{mirror - float(centre):.10g}" for centre in several]
    if "PixelPaddingValue" in dataset:
        padding = int(top) - int(dataset.PixelPaddingValue)
        dataset.add_new("PixelPaddingValue", "SS" if is_signed else "US", padding)
    if "PresentationLUTShape" in dataset:
        inverse = dataset.PhotometricInterpretation == "MONOCHROME2"
        dataset.PresentationLUTShape = "INVERSE" if inverse else "IDENTITY"


def rewritten_inverted(image: MedicalImage) -> MedicalImage:
    """Return a grey image with all values mirrored and declared so: it looks as before.

    MONOCHROME2 becomes MONOCHROME1 and the other way round, in a DICOM file.

    Raises
    ------
    UnsupportedImageError
        Colour, an alpha channel, floating values, or DICOM with lookup tables or windows of
        single frames.
    """
    inverse = _INVERSE.get(image.photometric_interpretation)
    if inverse is None or image.stored_values.dtype.kind == "f":
        raise UnsupportedImageError("only whole grey values can be declared inverted")
    top = sum(image.storable_range)
    mirrored = (int(top) - image.stored_values.astype(np.int64)).astype(image.stored_values.dtype)
    if image.source_format == "dicom":
        dataset = dataset_of(image)
        _mirror_window(dataset, top, is_signed=image.is_signed)
        image = with_dataset(image, dataset)
    rewritten = image.with_stored_values(frozen(mirrored), photometric_interpretation=inverse)
    return saved_again(rewritten, format_name="dicom")


def grey_to_rgb(image: MedicalImage) -> MedicalImage:
    """Return what a viewer shows as RGB of 8 bits, saved as PNG, several frames as TIFF."""
    shown = [display_values(image, frame=index) for index in range(image.frames)]
    colours = [np.repeat(item[:, :, None], 3, axis=2) if item.ndim < 3 else item for item in shown]  # noqa: PLR2004  axes
    copy = MedicalImage(
        stored_values=frozen(np.stack(colours)),
        bits_stored=_BYTE_BITS,
        is_signed=False,
        photometric_interpretation="RGB",
        source_format="png",
        decoder=image.decoder,
        modality=image.modality,
        spacing_mm=image.spacing_mm,
    )
    return saved_again(copy, format_name="png" if image.frames == 1 else "tiff")
