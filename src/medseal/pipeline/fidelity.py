"""How close a watermarked copy is to its original: PSNR and SSIM over the VOI range."""

from dataclasses import dataclass

import numpy as np

from medseal.imaging import MedicalImage, value_range
from medseal.metrics import psnr, ssim

__all__ = ["Fidelity", "compare_images"]

_SSIM_WINDOW = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class Fidelity:
    """Closeness of two images of one shape.

    Attributes
    ----------
    psnr_db
        Decibels over all frames; infinite for equal images.
    ssim
        Mean over the frames; not a number where the image is smaller than the window.
    """

    psnr_db: float
    ssim: float


def compare_images(reference: MedicalImage, copy: MedicalImage) -> Fidelity:
    """Return how close `copy` is to `reference`, over the VOI range of the latter.

    Raises
    ------
    ImageMismatchError
        The shapes differ.
    """
    low, high = value_range(reference)
    width = high - low
    if min(reference.rows, reference.columns) < _SSIM_WINDOW:
        likeness = float("nan")
    else:
        frames = zip(reference.stored_values, copy.stored_values, strict=True)
        likeness = float(
            np.mean([ssim(_plane(one), _plane(other), data_range=width) for one, other in frames])
        )
    distance = psnr(reference.stored_values, copy.stored_values, data_range=width)
    return Fidelity(psnr_db=distance, ssim=likeness)


def _plane(frame: np.ndarray) -> np.ndarray:
    return frame[..., 0] if frame.shape[-1] == 1 else frame
