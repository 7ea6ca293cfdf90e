"""What a viewer shows: modality LUT, VOI window, palette and YBR, down to 8 bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset

from medseal.errors import ImageMismatchError
from medseal.imaging.boundary import library_errors
from medseal.imaging.dicom import DicomAttributes, first_item
from medseal.imaging.image import MedicalImage, StoredValues
from medseal.imaging.palette import MAX_LUT_ENTRIES, palette_colours

__all__ = ["display_values", "value_range"]

FloatArray = npt.NDArray[np.float64]

_WHITE = 255
_BITS_A_BYTE = 8
_COLOUR_SAMPLES = 3
_ALPHA_SAMPLES = 4
_PERCENTILES = (0.5, 99.5)
_MAX_PERCENTILE_VALUES = 2**20
# Width given to the range of a constant image: 1, or what a large float can tell apart.
_RELATIVE_STEP = 1e-6
_DESCRIPTOR_ENTRIES = 3
_NAME = "data set"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lut:
    """A look-up table: `table[0]` belongs to the input `first`."""

    first: int
    table: FloatArray

    def apply(self, values: StoredValues) -> FloatArray:
        index = np.clip(values.astype(np.int64) - self.first, 0, len(self.table) - 1)
        looked_up: FloatArray = self.table[index]
        return looked_up


@dataclass(frozen=True, slots=True, kw_only=True)
class _Grey:
    """How grey stored values become display values."""

    slope: float = 1.0
    intercept: float = 0.0
    modality_lut: _Lut | None = None
    voi_lut: _Lut | None = None
    centre: float | None = None
    width: float = 1.0
    function: str = "LINEAR"
    is_inverted: bool = False

    def modality_values(self, values: StoredValues) -> FloatArray:
        if self.modality_lut is not None:
            return self.modality_lut.apply(values)
        return values.astype(np.float64) * self.slope + self.intercept


def _number(value: Any) -> float | None:
    """Return the first of one or more numbers, None if there is none that is finite."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = value[0] if len(value) else None
    if value is None or value == "":
        return None
    number = float(value)
    return number if np.isfinite(number) else None


def _signed_first(value: int, *, is_signed: bool) -> int:
    return value - 0x10000 if is_signed and value > 0x7FFF else value  # noqa: PLR2004  16 bits


def _lut(item: Dataset, *, is_signed: bool) -> _Lut | None:
    """Return the table of a LUT sequence's item (PS3.3 C.11.1.1)."""
    descriptor, data = item.get("LUTDescriptor"), item.get("LUTData")
    if descriptor is None or data is None or len(descriptor) != _DESCRIPTOR_ENTRIES:
        return None
    entries = int(descriptor[0]) or MAX_LUT_ENTRIES
    bits = int(descriptor[2])
    table = np.asarray(
        np.frombuffer(data, "<u2") if isinstance(data, bytes) else data, dtype=np.float64
    ).reshape(-1)[:entries]
    if table.size == 0:
        return None
    if bits <= _BITS_A_BYTE and table.max() > _WHITE:
        bits = 2 * _BITS_A_BYTE  # a wrong descriptor, or two entries packed into a word
    return _Lut(
        first=_signed_first(int(descriptor[1]), is_signed=is_signed),
        table=table / float((1 << bits) - 1) if bits else table,
    )


def _raw_lut(item: Dataset, *, is_signed: bool) -> _Lut | None:
    """Return the table of a modality LUT in its own units."""
    found = _lut(item, is_signed=is_signed)
    if found is None:
        return None
    bits = int(item.LUTDescriptor[2])
    if bits <= _BITS_A_BYTE and found.table.max() * ((1 << (2 * _BITS_A_BYTE)) - 1) > _WHITE:
        bits = 2 * _BITS_A_BYTE
    return _Lut(first=found.first, table=found.table * float((1 << bits) - 1))


def _grey_of_dicom(dataset: Dataset, image: MedicalImage, frame: int) -> _Grey:
    rescale = voi = dataset
    if "SharedFunctionalGroupsSequence" in dataset or "PerFrameFunctionalGroupsSequence" in dataset:
        rescale = first_item(dataset, "PixelValueTransformationSequence", frame=frame) or dataset
        voi = first_item(dataset, "FrameVOILUTSequence", frame=frame) or dataset
    modality_items, voi_items = rescale.get("ModalityLUTSequence"), voi.get("VOILUTSequence")
    modality_lut = voi_lut = None
    if modality_items and image.stored_values.dtype.kind != "f":
        modality_lut = _raw_lut(modality_items[0], is_signed=image.is_signed)
    if voi_items:
        voi_lut = _lut(voi_items[0], is_signed=True)
    width = _number(voi.get("WindowWidth"))
    centre = _number(voi.get("WindowCenter"))
    slope = _number(rescale.get("RescaleSlope"))
    shape = str(dataset.get("PresentationLUTShape") or "")
    return _Grey(
        slope=slope or 1.0,
        intercept=_number(rescale.get("RescaleIntercept")) or 0.0,
        modality_lut=modality_lut,
        voi_lut=voi_lut,
        centre=centre if width is not None and width > 0 else None,
        width=width or 1.0,
        function=str(voi.get("VOILUTFunction") or "LINEAR").strip(),
        # MONOCHROME1 with the shape INVERSE says the same thing twice (PS3.3 C.7.6.3.1.2).
        is_inverted=image.photometric_interpretation == "MONOCHROME1" or shape == "INVERSE",
    )


def _grey(image: MedicalImage, frame: int) -> _Grey:
    attributes = image.attributes
    if isinstance(attributes, DicomAttributes):
        with library_errors(_NAME, "read window and look-up tables"):
            return _grey_of_dicom(attributes.dataset, image, frame)
    slope, intercept = _number(attributes.get("scl_slope")), _number(attributes.get("scl_inter"))
    return _Grey(
        slope=slope or 1.0,
        intercept=(intercept or 0.0) if slope else 0.0,
        is_inverted=image.photometric_interpretation == "MONOCHROME1",
    )


def _robust_range(values: StoredValues) -> tuple[float, float]:
    """Return the percentiles 0.5 and 99.5 of the finite values, never equal."""
    flat = values.reshape(-1)
    # An even stride keeps the cost of volumes bounded, and the result the same each time.
    flat = flat[:: max(1, -(-flat.size // _MAX_PERCENTILE_VALUES))]
    if flat.dtype.kind == "f":
        flat = flat[np.isfinite(flat)]
    if flat.size == 0:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(flat.astype(np.float64), _PERCENTILES))
    if low < high:
        return low, high
    low, high = float(flat.min()), float(flat.max())
    if low < high:
        return low, high
    step = max(1.0, abs(low) * _RELATIVE_STEP)
    return (low, low + step) if low <= 0 else (low - step, low)


def _windowed(values: FloatArray, grey: _Grey) -> FloatArray:
    """Return 0 to 1 for modality values under the VOI window (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
    centre, width = grey.centre or 0.0, grey.width
    if grey.function == "SIGMOID":
        sigmoid: FloatArray = 1.0 / (
            1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -700, 700))
        )
        return sigmoid
    if grey.function == "LINEAR_EXACT":
        return (values - centre) / width + 0.5
    if width <= 1.0:
        return (values > centre - 0.5).astype(np.float64)
    return (values - (centre - 0.5)) / (width - 1.0) + 0.5


def _display_grey(image: MedicalImage, values: StoredValues, frame: int) -> npt.NDArray[np.uint8]:
    grey = _grey(image, frame)
    shown: FloatArray
    if grey.voi_lut is not None:
        shown = grey.voi_lut.apply(np.rint(grey.modality_values(values)))
    elif grey.centre is not None:
        shown = _windowed(grey.modality_values(values), grey)
    elif image.bits_stored <= _BITS_A_BYTE and values.dtype.kind == "u":
        shown = values / float((1 << image.bits_stored) - 1)
    else:
        modality = grey.modality_values(values)
        low, high = _robust_range(modality)
        shown = (modality - low) / (high - low)
    shown = np.clip(np.nan_to_num(shown, nan=0.0), 0.0, 1.0)
    if grey.is_inverted:
        shown = 1.0 - shown
    return np.rint(shown * _WHITE).astype(np.uint8)


def _to_byte(values: StoredValues, bits_stored: int) -> npt.NDArray[np.uint8]:
    """Return colour values as 8 bits: the full range of `bits_stored`, or that of floats."""
    if values.dtype.kind == "f":
        low, high = _robust_range(values)
        return np.rint(
            np.clip(np.nan_to_num((values - low) / (high - low), nan=0.0), 0, 1) * _WHITE
        ).astype(np.uint8)
    offset = 1 << (bits_stored - 1) if values.dtype.kind == "i" else 0
    if bits_stored == _BITS_A_BYTE and not offset:
        return values.astype(np.uint8)
    full = float((1 << bits_stored) - 1)
    return np.rint(np.clip((values.astype(np.float64) + offset) / full, 0, 1) * _WHITE).astype(
        np.uint8
    )


def _rgb_of_ybr(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return RGB for full-range YBR of 8 bits (PS3.3 C.7.6.3.1.2, ITU-R BT.601)."""
    y, blue, red = (values[..., index].astype(np.float64) for index in range(_COLOUR_SAMPLES))
    blue, red = blue - 128.0, red - 128.0
    planes = (y + 1.402 * red, y - 0.344136 * blue - 0.714136 * red, y + 1.772 * blue)
    return np.rint(np.clip(np.stack(planes, axis=-1), 0, _WHITE)).astype(np.uint8)


def display_values(image: MedicalImage, *, frame: int = 0) -> npt.NDArray[np.uint8]:
    """Return one frame as a viewer shows it.

    Grey goes through modality LUT or rescale, then the first VOI LUT or window; without either,
    8 bits and less are shown as stored, anything wider between its percentiles 0.5 and 99.5.
    MONOCHROME1 is inverted, palette and YBR become RGB. An alpha channel is left out.

    Parameters
    ----------
    image
        Any image.
    frame
        0 to `image.frames` - 1.

    Returns
    -------
    ndarray
        uint8, (rows, columns) for grey or (rows, columns, 3) for colour.

    Raises
    ------
    ImageMismatchError
        No such frame.
    UnreadableImageError
        Window, look-up table or palette are damaged.

    References
    ----------
    PS3.3 C.11.1, C.11.2 and C.7.6.3.1; PS3.4 N.2.
    """
    if not 0 <= frame < image.frames:
        raise ImageMismatchError(f"frame {frame} of an image with {image.frames}")
    # Floats at the ends of their range overflow; what overflows is black or white.
    with np.errstate(over="ignore", invalid="ignore"):
        return _display(image, frame)


def _display(image: MedicalImage, frame: int) -> npt.NDArray[np.uint8]:
    values = image.stored_values[frame]
    if image.photometric_interpretation == "PALETTE COLOR":
        return palette_colours(image, values[:, :, 0])
    if image.samples not in {_COLOUR_SAMPLES, _ALPHA_SAMPLES}:
        return _display_grey(image, values[:, :, 0], frame)
    colours = _to_byte(values[:, :, :_COLOUR_SAMPLES], image.bits_stored)
    if image.photometric_interpretation == "YBR_FULL":
        return _rgb_of_ybr(colours)
    return colours


def _stored_bounds(
    image: MedicalImage, grey: _Grey, low: float, high: float
) -> tuple[float, float]:
    """Return the stored values that a range of modality values comes from."""
    if grey.modality_lut is None:
        ends = sorted(((low - grey.intercept) / grey.slope, (high - grey.intercept) / grey.slope))
        return ends[0], ends[1]
    inside = np.flatnonzero((grey.modality_lut.table >= low) & (grey.modality_lut.table <= high))
    if inside.size == 0:
        return image.storable_range
    return (
        float(grey.modality_lut.first + inside[0]),
        float(grey.modality_lut.first + inside[-1]),
    )


def _voi_range(image: MedicalImage) -> tuple[float, float] | None:
    """Return the stored values under the first VOI LUT or window of the first frame."""
    if image.samples != 1 or image.photometric_interpretation == "PALETTE COLOR":
        return None
    grey = _grey(image, 0)
    if grey.voi_lut is not None:
        low, high = (
            float(grey.voi_lut.first),
            float(grey.voi_lut.first + len(grey.voi_lut.table) - 1),
        )
    elif grey.centre is not None:
        low, high = grey.centre - grey.width / 2, grey.centre + grey.width / 2
    else:
        return None
    return _stored_bounds(image, grey, low, high)


def value_range(image: MedicalImage) -> tuple[float, float]:
    """Return the range of stored values that matters to the eye, for image quality figures.

    The VOI window in stored values, clipped to what the bits can hold; the full range for colour,
    palette and up to 8 bits; else the percentiles 0.5 and 99.5.

    Returns
    -------
    tuple
        Low and high, low < high.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        return _value_range(image)


def _value_range(image: MedicalImage) -> tuple[float, float]:
    storable_low, storable_high = image.storable_range
    is_plain = image.samples > 1 or image.photometric_interpretation == "PALETTE COLOR"
    bounds = _voi_range(image)
    if bounds is not None:
        low, high = max(bounds[0], storable_low), min(bounds[1], storable_high)
        if low < high:
            return low, high
    if image.stored_values.dtype.kind != "f" and (is_plain or image.bits_stored <= _BITS_A_BYTE):
        return storable_low, storable_high
    return _robust_range(image.stored_values)
