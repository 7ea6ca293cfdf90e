"""What every watermark that is measured against the product offers: embed, extract."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from medseal.imaging import MedicalImage
from medseal.imaging.image import StoredValues, frozen
from medseal.metrics.image_quality import ssim
from medseal.protection.watermark.frame import Plane
from medseal.protection.watermark.levels import FULL_LEVEL, Levels

__all__ = [
    "Method",
    "Plane",
    "Reading",
    "add_within",
    "as_bits",
    "certain",
    "changed",
    "mean_squared_error",
]

_STEPS = 12
_ROUNDS = 6
_MARGIN = 0.97
# Relative to the allowed error, which is never exceeded.
_TOLERANCE = 0.004


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What a method read from a copy.

    Attributes
    ----------
    payload
        Bytes, or None where the method says that there is no mark.
    bit_probabilities
        (bits,), probability that each bit is one; 0 or 1 where the method gives hard bits.
    detected
        Whether the method says that a mark is there; None where it cannot tell.
    presence_score
        Higher where a mark is likelier; None where the method has none.
    """

    payload: bytes | None
    bit_probabilities: NDArray[np.float64]
    detected: bool | None = None
    presence_score: float | None = None


class Method(Protocol):
    """A watermark for one frame."""

    @property
    def name(self) -> str:
        """Name in tables."""

    @property
    def payload_bytes(self) -> int:
        """Size of the payload."""

    def embed(self, image: MedicalImage, payload: bytes, key: bytes) -> MedicalImage:
        """Return a marked copy.

        Raises
        ------
        InputError
            The method cannot mark this image.
        """

    def extract(
        self, image: MedicalImage, key: bytes, *, shape: tuple[int, int] | None = None
    ) -> Reading:
        """Return what is read from a copy.

        Parameters
        ----------
        image
            Any copy.
        key
            32 bytes.
        shape
            Rows and columns of the marked image, for methods that cannot do without.
        """


def as_bits(payload: bytes) -> NDArray[np.uint8]:
    """Return the bits of a payload, the highest of each byte first."""
    return np.unpackbits(np.frombuffer(payload, np.uint8))


def certain(bits: NDArray[np.generic]) -> Reading:
    """Return the reading of a method that always gives hard bits and never says that none is."""
    hard = np.asarray(bits).astype(np.uint8)
    return Reading(payload=np.packbits(hard).tobytes(), bit_probabilities=hard.astype(np.float64))


def changed(frame: StoredValues, levels: Levels, change: Plane) -> StoredValues:
    """Return a frame with `change` levels added to each marked sample, rounded for integers.

    Equal changes in red, green and blue move the luma and leave the chroma.
    """
    result = frame.copy()
    stored = change * levels.level
    added = (stored if frame.dtype.kind == "f" else np.rint(stored))[:, :, None]
    marked = slice(levels.marked_samples)
    result[:, :, marked] = levels.add(frame[:, :, marked], added)
    return result


def mean_squared_error(frame: StoredValues, levels: Levels, other: StoredValues) -> float:
    """Return the mean squared difference of two frames in levels, over the counted samples."""
    changes = levels.changes(frame, other)
    total = sum(float(np.mean(each * each, dtype=np.float64)) for each in changes)
    return total / levels.counted_samples


def _within_error(
    image: MedicalImage, levels: Levels, change: Plane, *, allowed: float
) -> MedicalImage:
    """Return the first frame with the largest multiple of `change` that costs at most `allowed`.

    The factor holds for the rounded and clipped values; `allowed` is a mean squared error.
    """
    frame = image.stored_values[0]
    scale = float(np.sqrt(allowed / max(float(np.mean(change.astype(np.float64) ** 2)), 1e-12)))
    best, highest = frame, 0.0
    for _ in range(_STEPS):
        marked = changed(frame, levels, change * np.float32(scale))
        used = mean_squared_error(frame, levels, marked) / allowed
        if highest < used <= 1:
            best, highest = marked, used
        if 1 - _TOLERANCE < used <= 1 or used == 0:
            break
        scale *= float(np.sqrt((1 - _TOLERANCE / 2) / used))
    return image.with_stored_values(frozen(best[None].copy()))


def add_within(
    image: MedicalImage, levels: Levels, change: Plane, *, psnr_db: float, least_ssim: float
) -> MedicalImage:
    """Return the first frame with the largest multiple of `change` that keeps both limits.

    Parameters
    ----------
    image, levels
        Of one frame, and its levels.
    change
        (rows, columns), in levels.
    psnr_db, least_ssim
        Least peak signal-to-noise ratio and structural similarity over the value range.
    """
    allowed = FULL_LEVEL**2 * 10 ** (-psnr_db / 10)
    marked = image
    for _ in range(_ROUNDS):
        marked = _within_error(image, levels, change, allowed=allowed)
        pair = image.stored_values[0], marked.stored_values[0]
        loss = 1 - ssim(*pair, data_range=levels.high - levels.low)
        if loss <= 1 - least_ssim:
            return marked
        # The loss grows with the square of the change.
        allowed *= (1 - least_ssim) / loss * _MARGIN
    return marked
