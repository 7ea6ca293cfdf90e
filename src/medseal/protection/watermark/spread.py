"""The mark that spreads over the whole image: its codeword, its residual and how it is heard."""

import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark import inference
from medseal.protection.watermark.frame import (
    Plane,
    copy_maps,
    host_maps,
    host_views,
    resample,
    working_shape,
)
from medseal.protection.watermark.pattern import fold, pattern, repeated
from medseal.protection.watermark.payload import encode, most_likely_messages, open_message

__all__ = ["codeword", "heard", "is_read", "margin", "residual"]

# Mean over deviation of the coded bits, as the reader hears them: from the first on the code is
# sure; down to the second it is tried.
_SURE_MARGIN, _LEAST_MARGIN = 0.8, 0.6
_TINY = 1e-12


def codeword(plane: Plane, payload: bytes, key: bytes) -> NDArray[np.uint8]:
    """Return the codeword of a payload that fits a cover image best: (808,).

    Parameters
    ----------
    plane
        (rows, columns), native levels 0 to 255.
    payload, key
        8 and 32 bytes.
    """
    networks = inference.load()
    views = host_views(resample(plane, working_shape(*plane.shape)))
    return encode(
        payload, key, pattern(key).heard(networks.estimate(copy_maps(view)) for view in views)
    )


def residual(plane: Plane, coded: NDArray[np.uint8], key: bytes) -> Plane:
    """Return the residual of a codeword in the working frame, up to one factor."""
    shape = working_shape(*plane.shape)
    return inference.load().residual(
        host_maps(plane, shape), repeated(pattern(key).tile(coded), shape)
    )


def heard(plane: Plane, key: bytes) -> NDArray[np.float64]:
    """Return what the reader hears of each coded bit in a plane of levels: (808,)."""
    frame = resample(plane, working_shape(*plane.shape))
    return pattern(key).sums(fold(inference.load().estimate(copy_maps(frame))))


def margin(heard: NDArray[np.float64], coded: NDArray[np.uint8]) -> float:
    """Return the mean of the coded bits as heard, in units of their deviation."""
    signed = heard * (coded * 2.0 - 1.0)
    return float(signed.mean() / max(float(signed.std()), _TINY))


def is_read(
    heard: NDArray[np.float64], coded: NDArray[np.uint8], payload: bytes, key: bytes
) -> bool:
    """Return whether the reader decodes the payload from what it hears."""
    reached = margin(heard, coded)
    if reached >= _SURE_MARGIN or reached < _LEAST_MARGIN:
        return reached >= _SURE_MARGIN
    (message,) = most_likely_messages(heard[None])
    return open_message(message, key) == payload
