"""What the blind detector says: score, mask, how far it is to be trusted, why it abstains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError

__all__ = ["BlindReport", "OperatingPoint"]

_NDIM = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Where an image is flagged.

    Attributes
    ----------
    threshold
        Score from which it is.
    false_alarm_rate
        Share of clean validation images, half of them processed in good faith, that reach it.
    """

    threshold: float
    false_alarm_rate: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BlindReport:
    """An opinion without any record; it proves nothing, and never says that an image is authentic.

    Attributes
    ----------
    score
        0 to 1: probability that the image was forged, if half of such images were; of several
        frames that of the most suspicious one, their number taken into account.
    mask
        (rows, columns), True where that frame looks changed; it means little unless `flagged`.
        Read-only.
    reliability
        (rows, columns), float32, 0 to 1: how far the mask is to be trusted at each place; 0 where
        nothing varies, since a change leaves no trace to compare there. Read-only.
    flagged
        The score reaches the threshold and the detector does not abstain.
    abstained
        The image is too small, flat, or unlike those that the detector was made for.
    reason
        Why it abstained; empty otherwise.
    frame
        The most suspicious frame, counted from 0.
    operating_point
        Of `flagged`.
    model_id
        What decided.
    """

    score: float
    mask: NDArray[np.bool_]
    reliability: NDArray[np.float32]
    flagged: bool
    abstained: bool
    reason: str
    frame: int
    operating_point: OperatingPoint
    model_id: str

    def __post_init__(self) -> None:
        if self.mask.ndim != _NDIM or self.mask.dtype != np.bool_:
            raise ImageMismatchError("a mask has two axes and holds booleans")
        if self.reliability.shape != self.mask.shape or self.reliability.dtype != np.float32:
            raise ImageMismatchError("a reliability map is float32 and as large as its mask")
        for name in ("mask", "reliability"):
            array = getattr(self, name)
            kept = array.copy() if array.flags.writeable else array
            kept.flags.writeable = False
            object.__setattr__(self, name, kept)
