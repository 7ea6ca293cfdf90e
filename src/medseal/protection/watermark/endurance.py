"""What a mark in one image outlives, tried out: which of two ways to mark it lasts longer."""

from collections.abc import Callable

import numpy as np

from medseal.protection.attacks import compression, filters, geometry, grey_values
from medseal.protection.watermark import spread
from medseal.protection.watermark.frame import Plane
from medseal.protection.watermark.payload import most_likely_messages, open_message
from medseal.protection.watermark.quantisation import upright

__all__ = ["TRIALS", "outlived"]

_SEED = 1


def _noise(plane: Plane) -> Plane:
    rng = np.random.default_rng(_SEED)
    return filters.gaussian_noise(plane, sigma=8, rng=rng)


TRIALS: tuple[Callable[[Plane], Plane], ...] = (
    lambda plane: compression.jpeg(plane, quality=60),
    lambda plane: compression.jpeg(plane, quality=35),
    _noise,
    lambda plane: grey_values.brightness(plane, share=-0.15),
    lambda plane: grey_values.contrast(plane, factor=1.25),
    lambda plane: grey_values.window(plane, low=0.1, high=0.9),
    lambda plane: filters.blur(plane, sigma=1.5),
    lambda plane: filters.median(plane, size=3),
    lambda plane: geometry.crop_black(plane, keep=0.8),
    lambda plane: geometry.crop_black(plane, keep=0.6),
)
"""Changes of a plane of levels that a copy must be expected to go through."""


def outlived(plane: Plane, payload: bytes, key: bytes, *, side: int, quantised: bool) -> int:
    """Return after how many of the trials the payload is read from an upright copy.

    Parameters
    ----------
    plane
        (rows, columns), native levels of the marked image.
    payload, key
        8 and 32 bytes.
    side
        Long side of the working frame of the spread mark.
    quantised
        Whether there is a quantised mark as well.
    """
    return sum(
        _is_read(compression.to_8_bits(trial(plane)), payload, key, side=side, quantised=quantised)
        for trial in TRIALS
    )


def _is_read(plane: Plane, payload: bytes, key: bytes, *, side: int, quantised: bool) -> bool:
    (message,) = most_likely_messages(spread.sums(plane, key, side=side)[None])
    if open_message(message, key) == payload:
        return True
    if not quantised:
        return False
    messages = most_likely_messages(upright(plane, key))
    return any(open_message(message, key) == payload for message in messages)
