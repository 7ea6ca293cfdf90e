"""What the blind detector looks at: the brightness of one frame in its own resolution."""

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage, display_values
from medseal.protection.attacks.levels import WHITE_LEVEL, levels_of

__all__ = ["Plane", "plane_of"]

_COLOUR_AXES = 3
_EIGHT_BITS = 8
# ITU-R BT.601, as JPEG uses it: of a colour image this is what compression kept best.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Plane = NDArray[np.float32]


def plane_of(image: MedicalImage, *, frame: int) -> Plane:
    """Return the brightness of a frame in levels: (rows, columns), 0 to 255, never resampled.

    Up to 8 bits it is rounded to whole levels; with more bits it is not, since the traces of a
    change are finer than a level there. Of palette indices it is what a viewer shows.
    """
    if image.photometric_interpretation.startswith("PALETTE"):
        levels = display_values(image, frame=frame).astype(np.float32)
    else:
        levels = levels_of(image, frame=frame)
    grey = levels @ _LUMA if levels.ndim == _COLOUR_AXES else levels
    if image.bits_stored <= _EIGHT_BITS:
        grey = np.rint(grey)
    return np.asarray(np.clip(grey, 0, WHITE_LEVEL), np.float32)
