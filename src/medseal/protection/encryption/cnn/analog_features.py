"""What a restoration network is shown, and what its answer is worth at each place.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Damaged", "estimate", "features", "gate"]

Floats = NDArray[np.float32]

_SMALL_WINDOW, _LARGE_WINDOW = (5, 5), (7, 7)
_LEAST = np.float32(1e-3)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Damaged:
    """A plane to be restored.

    Attributes
    ----------
    picture
        Coarse picture, 0 to 1: (rows, columns).
    error
        Standard deviation of the image about it, on the same scale.
    residual
        What is heard of the difference, unbiased, same scale: (rows, columns).
    weight
        Probability of each value of it to have come through.
    noise
        Standard deviation of the noise of those that did, same scale.
    """

    picture: Floats
    error: float
    residual: Floats
    weight: Floats
    noise: float


def _trust(damaged: Damaged) -> Floats:
    """Return the weight that the best linear estimate gives to what is heard: 0 to 1.

    The loudness of the residual is judged in the neighbourhood: where an image is flat, what is
    heard is noise.
    """

    def mean(values: Floats) -> Floats:
        shown = cv2.blur(values, _LARGE_WINDOW, borderType=cv2.BORDER_REFLECT)
        return np.asarray(shown, np.float32)

    # In units of the picture's own error.
    scale = np.float32(1 / max(damaged.error, 1e-6))
    heard = damaged.weight * np.square(damaged.residual * scale)
    noise = np.float32(damaged.noise * scale) ** 2
    loud = np.maximum(mean(heard) / (mean(damaged.weight) + _LEAST) - noise, 0) + _LEAST
    return np.asarray(damaged.weight * loud / (loud + noise), np.float32)


def gate(damaged: Damaged) -> Floats:
    """Return how much is left to the network at each place: 0 where all was heard, to 1."""
    return 1 - _trust(damaged)


def estimate(damaged: Damaged) -> Floats:
    """Return the best linear estimate of each value: (rows, columns), 0 to 1."""
    return damaged.picture + _trust(damaged) * damaged.residual


def features(damaged: Damaged) -> Floats:
    """Return what a network is shown: (5, rows, columns).

    The coarse picture; how it differs from its surroundings; what is heard, as weighted by the
    linear estimate; how much of it was not heard; and how coarse the picture is. Differences are
    measured in the picture's own error.
    """
    error = np.float32(max(damaged.error, 1e-6))
    around = cv2.blur(damaged.picture, _SMALL_WINDOW, borderType=cv2.BORDER_REFLECT)
    trust = _trust(damaged)
    return np.stack(
        [
            2 * damaged.picture - 1,
            np.arcsinh((damaged.picture - around) / error),
            np.clip(trust * damaged.residual / error, -8, 8),
            1 - trust,
            np.full_like(trust, np.log2(error) / 8 + 1),
        ]
    ).astype(np.float32)
