"""Pictures for people: scaled display values, a difference made visible, regions, a strip."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from medseal.errors import ImageMismatchError
from medseal.imaging import MedicalImage, display_values, value_range
from medseal.protection.tamper import Region

__all__ = ["SIDE", "Picture", "difference", "shown", "strip", "with_regions"]

# Pixels of the longer side in a page.
SIDE = 288
_FRAME = (255, 84, 36)
_CONTOUR = (255, 214, 10)
_OUTLINE = (20, 0, 0)
_MIN_BOX = 12
_MIDDLE = 128
_ROOM = 127
_PEAK_PERCENTILE = 99.9
_WHITE_LEVEL = 255.0
# The strip: panels side by side, captions below.
_PANEL = 224
_GAP = 10
_CAPTION = 46
_FONT_SIZE = 15
_PAPER, _INK = (255, 255, 255), (28, 34, 40)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Picture:
    """A picture with the words that belong to it.

    Attributes
    ----------
    image
        What is shown.
    caption
        Below the picture.
    alternative
        For those who do not see it.
    """

    image: Image.Image
    caption: str
    alternative: str

    @property
    def uri(self) -> str:
        """The picture as PNG inside an address."""
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG", optimize=True)
        return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _scaled(image: Image.Image, side: int) -> Image.Image:
    """Return the picture with `side` pixels on its longer side; small ones keep hard edges."""
    longest = max(image.size)
    size = tuple(max(round(length * side / longest), 1) for length in image.size)
    method = Image.Resampling.LANCZOS if longest > side else Image.Resampling.NEAREST
    return image.resize((size[0], size[1]), method)


def shown(image: MedicalImage, *, frame: int = 0, side: int = SIDE) -> Image.Image:
    """Return what a viewer shows of one frame."""
    return _scaled(Image.fromarray(display_values(image, frame=frame)), side)


def difference(
    original: MedicalImage, copy: MedicalImage, *, side: int = SIDE
) -> tuple[Image.Image, int]:
    """Return the difference of the first frames, made visible, and its magnification.

    Parameters
    ----------
    original, copy
        Of one shape.
    side
        Pixels of the longer side.

    Returns
    -------
    tuple
        A picture in which mid grey is no difference, and the whole number by which a difference
        in display levels (1/255 of the value range of the original) was multiplied.

    Raises
    ------
    ImageMismatchError
        The shapes differ.
    """
    if original.stored_values.shape != copy.stored_values.shape:
        raise ImageMismatchError("two images of one shape have a difference")
    low, high = value_range(original)
    first = original.stored_values[0].astype(np.float64)
    levels = (copy.stored_values[0] - first).mean(axis=2) * _WHITE_LEVEL / (high - low)
    peak = float(np.percentile(np.abs(levels), _PEAK_PERCENTILE))
    factor = max(int(_ROOM / peak), 1) if peak > 0 else 1
    grey = np.clip(np.rint(levels * factor) + _MIDDLE, 0, _WHITE_LEVEL).astype(np.uint8)
    return _scaled(Image.fromarray(grey), side), factor


def with_regions(
    image: MedicalImage,
    regions: Sequence[Region],
    *,
    mask: NDArray[np.bool_] | None = None,
    side: int = SIDE,
) -> Image.Image:
    """Return what a viewer shows of the most changed frame, with a box around each region.

    Parameters
    ----------
    image
        The copy.
    regions
        On it; those of other frames are left out.
    mask
        (rows, columns), places that were altered: drawn as a contour inside the boxes.
    side
        Pixels of the longer side.
    """
    areas = {region.frame: 0 for region in regions if region.frame is not None}
    for region in regions:
        if region.frame is not None:
            areas[region.frame] += region.height * region.width
    frame = max(areas, key=lambda number: areas[number], default=0)
    picture = shown(image, frame=frame, side=side).convert("RGB")
    if mask is not None and mask.any():
        picture = _with_contour(picture, mask)
    regions = [region for region in regions if region.frame in (None, frame)]
    scale = picture.width / image.columns
    pen = ImageDraw.Draw(picture)
    for region in regions:
        left, top = region.column * scale, region.row * scale
        width, height = region.width * scale, region.height * scale
        # A box around one tile would hide in the picture.
        wider, higher = max(_MIN_BOX - width, 0) / 2, max(_MIN_BOX - height, 0) / 2
        box = (left - wider, top - higher, left + width + wider, top + height + higher)
        pen.rectangle(_grown(box, 2), outline=_OUTLINE, width=1)
        pen.rectangle(_grown(box, 1), outline=_FRAME, width=2)
    return picture


def _with_contour(picture: Image.Image, mask: NDArray[np.bool_]) -> Image.Image:
    """Return the picture with the edge of a mask drawn on it, one pixel wide."""
    scaled = Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST)
    inside = np.pad(np.asarray(scaled, np.bool_), 1)
    core = inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:]
    pixels = np.array(picture)
    pixels[inside[1:-1, 1:-1] & ~core] = _CONTOUR
    return Image.fromarray(pixels)


def _grown(box: tuple[float, float, float, float], by: float) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return left - by, top - by, right + by, bottom + by


def strip(panels: Sequence[Picture]) -> bytes:
    """Return one PNG of pictures side by side with their captions, for a first look.

    Parameters
    ----------
    panels
        One to a column; a caption may have two lines.
    """
    width = len(panels) * (_PANEL + _GAP) + _GAP
    sheet = Image.new("RGB", (width, _PANEL + _CAPTION + 2 * _GAP), _PAPER)
    pen = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    for number, panel in enumerate(panels):
        left = _GAP + number * (_PANEL + _GAP)
        pen.rectangle((left, _GAP, left + _PANEL - 1, _GAP + _PANEL - 1), fill=(0, 0, 0))
        picture = _scaled(panel.image.convert("RGB"), _PANEL)
        place = (left + (_PANEL - picture.width) // 2, _GAP + (_PANEL - picture.height) // 2)
        sheet.paste(picture, place)
        middle = left + _PANEL / 2
        pen.multiline_text(
            (middle, _PANEL + _GAP + 6),
            panel.caption,
            fill=_INK,
            font=font,
            anchor="ma",
            align="center",
            spacing=3,
        )
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
