"""Colours of PALETTE COLOR images: plain and segmented look-up tables, bounded."""

from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut

from medseal.errors import ImageTooLargeError, UnreadableImageError
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom import DicomAttributes
from medseal.imaging.image import MedicalImage, StoredValues

__all__ = ["MAX_LUT_ENTRIES", "palette_colours"]

MAX_LUT_ENTRIES = 2**16
"""Entries of one look-up table (PS3.3 C.7.6.3.1.5)."""

_WHITE = 255
_BITS_A_BYTE = 8
_COLOUR_SAMPLES = 3
_LINEAR, _INDIRECT = 1, 2
_SEGMENT_WORDS = {_LINEAR: 3, _INDIRECT: 4}


class _Budget:
    """Entries that a segmented table may still make; each segment costs at least one."""

    def __init__(self) -> None:
        self._left = 2 * MAX_LUT_ENTRIES

    def spend(self, entries: int) -> None:
        self._left -= max(1, entries)
        if self._left < 0:
            raise ImageTooLargeError(
                f"a segmented palette makes more than {MAX_LUT_ENTRIES} colours; it may be hostile"
            )


def _spend_segments(words: npt.NDArray[Any], position: int, count: int, budget: _Budget) -> None:
    """Count the entries of `count` segments from `position` on, without making them."""
    while count > 0 and position + 2 <= len(words):
        opcode, length = int(words[position]), int(words[position + 1])
        if opcode == _INDIRECT and position + _SEGMENT_WORDS[_INDIRECT] <= len(words):
            budget.spend(1)
            start = (int(words[position + 2]) | int(words[position + 3]) << 16) // words.itemsize
            # PS3.3 C.7.9.2.3: it copies segments that came before.
            _spend_segments(words[:position], start, length, budget)
        else:
            budget.spend(length)
        position += _SEGMENT_WORDS.get(opcode, 2 + length)
        count -= 1


def _check_segments(dataset: Dataset) -> None:
    """Refuse segments that would expand to far more than a table can have."""
    for colour in ("Red", "Green", "Blue", "Alpha"):
        data = dataset.get(f"Segmented{colour}PaletteColorLookupTableData")
        if data is not None:
            words = np.frombuffer(data[: len(data) // 2 * 2], dtype="<u2")
            _spend_segments(words, 0, len(words), _Budget())


def palette_colours(image: MedicalImage, values: StoredValues) -> npt.NDArray[np.uint8]:
    """Return RGB for palette indices.

    Parameters
    ----------
    image
        A PALETTE COLOR image; its palette is in the data set.
    values
        Indices, (rows, columns).

    Returns
    -------
    ndarray
        uint8, (rows, columns, 3).

    Raises
    ------
    UnreadableImageError
        The palette is missing or damaged.
    ImageTooLargeError
        A segmented palette expands beyond `MAX_LUT_ENTRIES`.

    References
    ----------
    PS3.3 C.7.6.3.1.5, C.7.6.3.1.6 and C.7.9.
    """
    attributes = image.attributes
    if not isinstance(attributes, DicomAttributes):
        raise UnreadableImageError("palette indices without a palette; give the DICOM file itself")
    with library_errors("data set", "look up the colours of the palette"):
        _check_segments(attributes.dataset)
        colours: StoredValues = apply_color_lut(values, attributes.dataset)[..., :_COLOUR_SAMPLES]
    if colours.dtype.itemsize > 1 and colours.max() > _WHITE:
        colours = colours >> _BITS_A_BYTE  # else 16 bits are stated and 8 of them filled
    return colours.astype(np.uint8)
