"""The mark that spreads over the whole image: its codeword, its residual and how it is heard."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark import inference
from medseal.protection.watermark.frame import (
    Plane,
    copy_maps,
    host_maps,
    resample,
    working_shape,
)
from medseal.protection.watermark.pattern import fold, pattern, repeated
from medseal.protection.watermark.payload import encode, most_likely_messages, open_message

__all__ = ["CLEAR_MARGIN", "Heard", "codeword", "residual", "sums"]

# Mean over deviation of the coded bits, as the reader hears them: from the first on the code is
# sure; down to the second it is tried.
_SURE_MARGIN, _LEAST_MARGIN = 0.9, 0.6
CLEAR_MARGIN = 1.1
"""Margin from which the spread mark needs no help."""
_TINY = 1e-12


def codeword(
    plane: Plane, payload: bytes, key: bytes, *, side: int | None = None
) -> NDArray[np.uint8]:
    """Return the codeword of a payload that fits a cover image best: (808,).

    Parameters
    ----------
    plane
        (rows, columns), native levels 0 to 255.
    payload, key
        8 and 32 bytes.
    side
        Of the working frame; that of the size of the plane if None.
    """
    return encode(payload, key, sums(plane, key, side=side))


def residual(
    plane: Plane, coded: NDArray[np.uint8], key: bytes, *, side: int | None = None
) -> Plane:
    """Return the residual of a codeword in the working frame, up to one factor."""
    shape = working_shape(*plane.shape, side=side)
    return inference.load().residual(
        host_maps(plane, shape), repeated(pattern(key).tile(coded), shape)
    )


def sums(plane: Plane, key: bytes, *, side: int | None = None) -> NDArray[np.float64]:
    """Return what the reader hears of each coded bit in a plane of native levels: (808,)."""
    frame = resample(plane, working_shape(*plane.shape, side=side))
    return pattern(key).sums(fold(inference.load().estimate(copy_maps(frame))))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heard:
    """What the reader hears of each coded bit in a marked frame, beside what was embedded.

    Attributes
    ----------
    sums
        (808,), positive for one.
    coded
        (808,), the codeword.
    """

    sums: NDArray[np.float64]
    coded: NDArray[np.uint8]

    @classmethod
    def of(
        cls, plane: Plane, coded: NDArray[np.uint8], key: bytes, *, side: int | None = None
    ) -> "Heard":
        """Listen to a plane of native levels.

        Where detail over energy, the linear path of the network, is clear already, the network is
        not asked: it hears better, and takes a third of the time of embedding.
        """
        maps = copy_maps(resample(plane, working_shape(*plane.shape, side=side)))
        linear = cls(sums=pattern(key).sums(fold(maps[-1])), coded=coded)
        if linear.margin >= CLEAR_MARGIN:
            return linear
        return cls(sums=pattern(key).sums(fold(inference.load().estimate(maps))), coded=coded)

    @property
    def margin(self) -> float:
        """Mean of the coded bits as heard, in units of their deviation."""
        signed = self.sums * (self.coded * 2.0 - 1.0)
        return float(signed.mean() / max(float(signed.std()), _TINY))

    def is_read(self, payload: bytes, key: bytes) -> bool:
        """Return whether the reader decodes the payload."""
        if self.margin >= _SURE_MARGIN or self.margin < _LEAST_MARGIN:
            return self.margin >= _SURE_MARGIN
        (message,) = most_likely_messages(self.sums[None])
        return open_message(message, key) == payload
