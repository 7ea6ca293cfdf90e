"""Stored values to levels of brightness and back: the domain in which a mark is added."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import UnsupportedImageError
from medseal.imaging import MedicalImage, value_range
from medseal.imaging.image import StoredValues
from medseal.protection.watermark.frame import Plane

__all__ = ["FULL_LEVEL", "LUMA", "Levels"]

# Levels run from 0 to 255 over the value range of the image, whatever its bit depth.
FULL_LEVEL = 255.0
_COLOUR_SAMPLES = 3
# ITU-R BT.601, as JPEG and the YBR photometric interpretations of DICOM use it.
LUMA = (0.299, 0.587, 0.114)
_SINGLE_PRECISION_BITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """How the stored values of one image map to levels.

    Attributes
    ----------
    low, high
        Stored values that map to level 0 and 255.
    least, most
        Smallest and largest value that can be stored.
    marked_samples
        Leading samples that the mark is added to: 1, or 3 for RGB.
    counted_samples
        Leading samples that count in the peak signal-to-noise ratio; alpha does not.
    bits_stored
        Of the image.
    """

    low: float
    high: float
    least: float
    most: float
    marked_samples: int
    counted_samples: int
    bits_stored: int

    @classmethod
    def of(cls, image: MedicalImage) -> "Levels":
        """Return the mapping for an image.

        Raises
        ------
        UnsupportedImageError
            Stored values are palette indices, whose neighbours do not look alike.
        """
        if image.photometric_interpretation.startswith("PALETTE"):
            raise UnsupportedImageError(
                "palette indices cannot carry a watermark; convert the image to RGB first"
            )
        low, high = value_range(image)
        least, most = image.storable_range
        colour = image.samples >= _COLOUR_SAMPLES
        rgb = image.photometric_interpretation.startswith("RGB")
        return cls(
            low=float(low),
            high=float(high),
            least=least,
            most=most,
            marked_samples=_COLOUR_SAMPLES if colour and rgb else 1,
            counted_samples=_COLOUR_SAMPLES if colour else 1,
            bits_stored=image.bits_stored,
        )

    @property
    def level(self) -> float:
        """Stored values a level."""
        return (self.high - self.low) / FULL_LEVEL

    def _exact(self) -> type[np.floating]:
        return np.float32 if self.bits_stored <= _SINGLE_PRECISION_BITS else np.float64

    def plane(self, frame: StoredValues) -> Plane:
        """Return brightness as levels, clipped to 0 to 255: (rows, columns) of all samples."""
        if self.marked_samples == _COLOUR_SAMPLES:
            bright = frame[:, :, :_COLOUR_SAMPLES].astype(np.float32) @ np.array(LUMA, np.float32)
        else:
            bright = frame[:, :, 0].astype(self._exact())
        levels = np.asarray((bright - self.low) * (1 / self.level), np.float32)
        # Not a number counts as air; what lies outside the window is as flat as it looks.
        np.nan_to_num(levels, copy=False, nan=0.0, posinf=FULL_LEVEL, neginf=0.0)
        return np.clip(levels, 0, FULL_LEVEL, out=levels)

    def sample_planes(self, frame: StoredValues) -> list[Plane]:
        """Return each marked sample as levels, not clipped: (rows, columns) each."""
        planes = []
        for index in range(self.marked_samples):
            values = frame[:, :, index].astype(self._exact())
            levels = np.asarray((values - self.low) * (1 / self.level), np.float32)
            planes.append(np.nan_to_num(levels, nan=0.0, posinf=FULL_LEVEL, neginf=0.0))
        return planes

    def add(self, values: StoredValues, added: NDArray[np.generic]) -> StoredValues:
        """Return marked samples plus what is added, in stored values, kept in the storable range.

        A value that lies outside the storable range already, or is not a number, is left alone.

        Parameters
        ----------
        values, added
            (rows, columns, marked samples); `added` is whole for integers.
        """
        wide = np.int64 if values.dtype.kind != "f" else self._exact()
        moved = np.clip(values.astype(wide) + added.astype(wide), self.least, self.most)
        fits = (values >= self.least) & (values <= self.most) & (added != 0)
        return np.where(fits, moved.astype(values.dtype), values)

    def changes(self, frame: StoredValues, other: StoredValues) -> list[Plane]:
        """Return what two frames differ by in each marked sample, in levels."""
        exact = self._exact()
        result = []
        for index in range(self.marked_samples):
            before, after = frame[:, :, index], other[:, :, index]
            # What is not a finite number was left alone; infinity minus itself would be none.
            difference = np.zeros(before.shape, exact)
            np.subtract(after, before, out=difference, where=np.isfinite(before), dtype=exact)
            result.append(np.asarray(difference * (1 / self.level), np.float32))
        return result
