"""A line of text in PNG, TIFF and NIfTI files that keeps what these formats cannot say."""

import dataclasses
import re

from medseal.errors import UnsupportedImageError
from medseal.imaging.image import MedicalImage

__all__ = ["NOTE_KEYWORD", "apply_note", "check_exportable", "note_of"]

NOTE_KEYWORD = "medseal"
_PATTERN = re.compile(
    r"medseal 1 bits_stored=([1-9][0-9]?) photometric_interpretation=(MONOCHROME1|MONOCHROME2|RGB)"
)


def note_of(image: MedicalImage) -> str:
    """Return the note: version, bits stored and photometric interpretation."""
    colour = image.photometric_interpretation
    colour = {"MONOCHROME2A": "MONOCHROME2", "RGBA": "RGB"}.get(colour, colour)
    return f"medseal 1 bits_stored={image.bits_stored} photometric_interpretation={colour}"


def apply_note(image: MedicalImage, note: str) -> MedicalImage:
    """Return the image with what a note of this package adds; any other text changes nothing.

    A note that contradicts the values (too few bits, colour for grey) is left out: it is a hint
    and not evidence.
    """
    match = _PATTERN.fullmatch(note.strip())
    if match is None or image.stored_values.dtype.kind == "f":
        return image
    bits_stored, colour = int(match[1]), match[2]
    values = image.stored_values
    low, high = (-(1 << (bits_stored - 1)), (1 << (bits_stored - 1)) - 1)
    if not image.is_signed:
        low, high = 0, (1 << bits_stored) - 1
    fits = bits_stored <= image.bits_stored and low <= values.min() and values.max() <= high
    if not fits or (colour == "RGB") != (image.photometric_interpretation in {"RGB", "RGBA"}):
        return image
    if image.photometric_interpretation != "MONOCHROME2":
        colour = image.photometric_interpretation
    return dataclasses.replace(image, bits_stored=bits_stored, photometric_interpretation=colour)


def check_exportable(image: MedicalImage, format_name: str) -> None:
    """Refuse colour spaces that only DICOM can name.

    Raises
    ------
    UnsupportedImageError
        The values are palette indices or YBR.
    """
    if image.photometric_interpretation in {"PALETTE COLOR", "YBR_FULL"}:
        raise UnsupportedImageError(
            f"{format_name} cannot hold {image.photometric_interpretation} values; "
            "write a .dcm file"
        )
