"""Levels: the frames of an image on the scale on which every distortion is stated, and back.

Levels run from 0, black, to 255, white, over the value range of the image as it is shown, so that
one setting means the same for 8 and for 16 bits, for MONOCHROME1 and for YBR_FULL. They are not
rounded, and stored values outside the value range lie outside 0 to 255.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import UnsupportedImageError
from medseal.imaging import MedicalImage, display_values, value_range
from medseal.imaging.image import StoredValues, frozen

__all__ = [
    "WHITE_LEVEL",
    "Change",
    "Levels",
    "black_values",
    "change_levels",
    "change_places",
    "change_shown",
    "levels_of",
]

WHITE_LEVEL = 255.0
_COLOUR_SAMPLES = 3
_EIGHT_BITS = 8
# Full-range YBR to RGB (PS3.3 C.7.6.3.1.2, ITU-R BT.601); chroma lies about this level.
_RGB_OF_YBR = np.array([[1, 0, 1.402], [1, -0.344136, -0.714136], [1, 1.772, 0]])
_YBR_OF_RGB = np.linalg.inv(_RGB_OF_YBR)
_CHROMA = np.array([0.0, 128.0, 128.0])

Levels = NDArray[np.float32]
Change = Callable[[Levels], Levels]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    """How the stored values of one image map to levels; colour without its alpha channel."""

    low: float
    step: float
    is_inverted: bool
    is_ybr: bool
    colours: int

    @classmethod
    def of(cls, image: MedicalImage) -> "_Scale":
        if image.photometric_interpretation.startswith("PALETTE"):
            raise UnsupportedImageError(
                "palette indices have no levels to distort; convert the image to RGB first"
            )
        low, high = value_range(image)
        return cls(
            low=low,
            step=(high - low) / WHITE_LEVEL,
            is_inverted=image.photometric_interpretation == "MONOCHROME1",
            is_ybr=image.photometric_interpretation == "YBR_FULL",
            colours=_COLOUR_SAMPLES if image.samples >= _COLOUR_SAMPLES else 1,
        )

    def levels(self, frame: StoredValues) -> Levels:
        """Return (rows, columns) or (rows, columns, 3); what is no number is black."""
        levels = (frame[:, :, : self.colours].astype(np.float64) - self.low) / self.step
        if self.is_inverted:
            levels = WHITE_LEVEL - levels
        if self.is_ybr:
            levels = (levels - _CHROMA) @ _RGB_OF_YBR.T
        finite = np.nan_to_num(levels, nan=0.0, posinf=WHITE_LEVEL, neginf=0.0)
        return np.asarray(finite[:, :, 0] if self.colours == 1 else finite, np.float32)

    def values(self, levels: Levels) -> NDArray[np.float64]:
        """Return (rows, columns, colours) on the stored scale, neither rounded nor clipped."""
        exact = levels.astype(np.float64).reshape(*levels.shape[:2], self.colours)
        if self.is_ybr:
            exact = exact @ _YBR_OF_RGB.T + _CHROMA
        if self.is_inverted:
            exact = WHITE_LEVEL - exact
        return np.asarray(exact * self.step + self.low, np.float64)


def _stored(image: MedicalImage, values: NDArray[np.float64]) -> StoredValues:
    if image.stored_values.dtype.kind != "f":
        values = np.rint(values)
    return np.clip(values, *image.storable_range).astype(image.stored_values.dtype)


def levels_of(image: MedicalImage, *, frame: int) -> Levels:
    """Return the levels of one frame, (rows, columns) or (rows, columns, 3), as changes take them.

    Raises
    ------
    UnsupportedImageError
        Stored values are palette indices.
    """
    return _Scale.of(image).levels(image.stored_values[frame])


def change_levels(image: MedicalImage, change: Change, *, moves: bool = False) -> MedicalImage:
    """Return the image with `change` made to each frame, rounded and clipped to what is storable.

    Parameters
    ----------
    image
        Any image but one of palette indices.
    change
        Takes and returns levels, (rows, columns) or (rows, columns, 3).
    moves
        The change may move places or change rows and columns; the alpha channel moves with it
        and is left alone otherwise.

    Raises
    ------
    UnsupportedImageError
        Stored values are palette indices.
    """
    scale = _Scale.of(image)
    frames = []
    for frame in image.stored_values:
        changed = _stored(image, scale.values(change(scale.levels(frame))))
        alpha = frame[:, :, scale.colours :]
        if alpha.shape[2]:
            if moves:
                moved = change(alpha[:, :, 0].astype(np.float32)).astype(np.float64)
                alpha = _stored(image, moved)[:, :, None]
            changed = np.concatenate([changed, alpha], axis=2)
        frames.append(changed)
    return image.with_stored_values(frozen(np.stack(frames)))


def change_places(image: MedicalImage, change: Change, *, frame: int) -> StoredValues:
    """Return one frame's stored values, (rows, columns, samples), with `change` made to it.

    Stored values whose level `change` leaves as it is stay exactly as they are, alpha too; the
    others are rounded and clipped to what is storable.

    Raises
    ------
    UnsupportedImageError
        Stored values are palette indices.
    """
    scale = _Scale.of(image)
    values: StoredValues = image.stored_values[frame].copy()
    before = scale.levels(values)
    after = change(before)
    touched = (after != before).reshape(*values.shape[:2], scale.colours)
    if scale.is_ybr:
        touched = np.broadcast_to(touched.any(axis=2, keepdims=True), touched.shape)
    colours = values[:, :, : scale.colours]
    colours[touched] = _stored(image, scale.values(after))[touched]
    return values


def change_shown(image: MedicalImage, change: Change) -> MedicalImage:
    """Return an 8-bit image of `change` made to what a viewer shows of each frame.

    `change` is as in `change_levels`; its result is rounded and clipped to 0 to 255.
    """
    frames = []
    for index in range(image.frames):
        changed = change(display_values(image, frame=index).astype(np.float32))
        shown = np.clip(np.rint(changed), 0, WHITE_LEVEL).astype(np.uint8)
        frames.append(shown if shown.ndim == _COLOUR_SAMPLES else shown[:, :, None])
    values = np.stack(frames)
    colour = values.shape[3] == _COLOUR_SAMPLES
    return MedicalImage(
        stored_values=frozen(values),
        bits_stored=_EIGHT_BITS,
        is_signed=False,
        photometric_interpretation="RGB" if colour else "MONOCHROME2",
        source_format="png",
        decoder=image.decoder,
        modality=image.modality,
        spacing_mm=image.spacing_mm,
    )


def black_values(image: MedicalImage) -> StoredValues:
    """Return the stored values of a black place, (samples,); with alpha a transparent one.

    Raises
    ------
    UnsupportedImageError
        Stored values are palette indices.
    """
    scale = _Scale.of(image)
    shape = (1, 1) if scale.colours == 1 else (1, 1, scale.colours)
    black = np.zeros(image.samples, image.stored_values.dtype)
    black[: scale.colours] = _stored(image, scale.values(np.zeros(shape, np.float32)))[0, 0]
    return black
