"""Image files in, one immutable MedicalImage out, with digests, display values and writers."""

from medseal.imaging.deidentify import DeidentificationReport, deidentify
from medseal.imaging.digests import ImageDigests, values_digest
from medseal.imaging.display import display_values, value_range
from medseal.imaging.formats import (
    WrittenFormat,
    encode,
    find_image_files,
    format_of,
    read,
    read_bytes,
    read_with_digests,
    write,
)
from medseal.imaging.image import MedicalImage

__all__ = [
    "DeidentificationReport",
    "ImageDigests",
    "MedicalImage",
    "WrittenFormat",
    "deidentify",
    "display_values",
    "encode",
    "find_image_files",
    "format_of",
    "read",
    "read_bytes",
    "read_with_digests",
    "value_range",
    "values_digest",
    "write",
]
