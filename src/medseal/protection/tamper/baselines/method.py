"""What every detector that is measured against the product offers: enrol, compare."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage, display_values

__all__ = ["Flags", "Method", "Plane", "Reading", "luma"]

_COLOUR_DIMENSIONS = 3

Plane = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What a method says about a copy.

    Attributes
    ----------
    score
        Higher where the copy is more surely altered; on the method's own scale.
    mask
        (rows, columns) of the copy, True where it was altered; None where the method cannot say.
    """

    score: float
    mask: Flags | None = None


class Method(Protocol):
    """A detector for one frame."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def threshold(self) -> float:
        """A score above it counts as altered: the customary one, or one fixed beforehand."""

    @property
    def is_blind(self) -> bool:
        """True if it needs no record."""

    def enrol(self, image: MedicalImage) -> bytes:
        """Return the record of an original; empty for a blind method."""

    def compare(self, image: MedicalImage, record: bytes) -> Reading:
        """Return what the method says about a copy of the image with this record."""


def luma(image: MedicalImage) -> Plane:
    """Return the brightness of the first frame as a viewer shows it: (rows, columns), 0 to 255."""
    shown = display_values(image, frame=0)
    grey = cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY) if shown.ndim == _COLOUR_DIMENSIONS else shown
    return np.asarray(grey, np.float32)
