"""De-identify a plain file, outside any workspace."""

from pathlib import Path

from medseal.imaging import read
from medseal.imaging.deidentification_report import DeidentificationReport
from medseal.imaging.deidentify import deidentify
from medseal.imaging.files import write_file
from medseal.pipeline.output import encode_copy

__all__ = ["deidentify_file"]


def deidentify_file(
    source: Path, output: Path, *, allow_burned_in: bool = False
) -> DeidentificationReport:
    """Write a de-identified copy of `source` and return what was done.

    Raises
    ------
    InputError
        The source cannot be read, or cannot be de-identified completely; nothing is written.
    StorageError
        The output cannot be written.
    """
    image = read(source)
    plain, report = deidentify(image, allow_burned_in=allow_burned_in)
    content = encode_copy(plain, output)
    write_file(content, output)
    return report
