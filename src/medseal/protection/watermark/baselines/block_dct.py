"""The textbook block-DCT watermark: coefficient pairs, no code, no search (Koch and Zhao 1995)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.watermark.baselines.method import (
    Plane,
    Reading,
    as_bits,
    certain,
    changed,
    mean_squared_error,
)
from medseal.protection.watermark.frame import resample
from medseal.protection.watermark.levels import FULL_LEVEL, Levels
from medseal.protection.watermark.payload import (
    PAYLOAD_BITS,
    PAYLOAD_BYTES,
    check_key,
    check_payload,
    derive,
)

__all__ = ["BlockDct", "bit_of_block"]

_BLOCK = 8
# The pair of mid-frequency coefficients whose order is one bit.
_PAIR = ((1, 2), (2, 1))
_BISECTIONS = 24
_MAX_MARGINS = 2


def _basis(frequency: tuple[int, int]) -> Plane:
    """Return the 8 x 8 picture of one DCT coefficient, of unit energy."""
    place = np.arange(_BLOCK)
    rows, columns = (np.cos(np.pi * (2 * place + 1) * f / (2 * _BLOCK)) for f in frequency)
    picture = np.outer(rows, columns)
    return np.asarray(picture / np.linalg.norm(picture), np.float32)


_DIFFERENCE = (_basis(_PAIR[0]) - _basis(_PAIR[1])) / np.float32(np.sqrt(2))


def _blocks(plane: Plane) -> Plane:
    """Return the whole blocks of a plane: (down, across, 8, 8)."""
    down, across = plane.shape[0] // _BLOCK, plane.shape[1] // _BLOCK
    whole = plane[: down * _BLOCK, : across * _BLOCK]
    return whole.reshape(down, _BLOCK, across, _BLOCK).transpose(0, 2, 1, 3)


def bit_of_block(blocks: int, key: bytes) -> NDArray[np.intp]:
    """Return which bit each block carries: every bit equally often, in keyed order."""
    words = np.frombuffer(derive(key, "pairs", 8 * blocks), "<u8")
    places = np.empty(blocks, np.intp)
    places[np.argsort(words, kind="stable")] = np.arange(blocks) % PAYLOAD_BITS
    return places


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockDct:
    """Each bit is the order of two mid-frequency coefficients in many blocks.

    Attributes
    ----------
    psnr_db
        Peak signal-to-noise ratio of a marked image.

    References
    ----------
    Koch and Zhao 1995, Towards robust and hidden image copyright labeling.
    """

    psnr_db: float = 45.0
    name: str = "block DCT"
    payload_bytes: int = PAYLOAD_BYTES

    def embed(self, image: MedicalImage, payload: bytes, key: bytes) -> MedicalImage:
        """Return the image, of one frame, with the payload.

        Raises
        ------
        WatermarkCapacityError
            Fewer blocks than bits.
        """
        check_key(key)
        check_payload(payload)
        levels = Levels.of(image)
        frame = image.stored_values[0]
        plane = levels.plane(frame)
        blocks = _blocks(plane)
        down, across = blocks.shape[:2]
        if down * across < PAYLOAD_BITS:
            raise WatermarkCapacityError(f"{down * across} blocks cannot carry {PAYLOAD_BITS} bits")
        bits = as_bits(payload)[bit_of_block(down * across, key)]
        signs = (bits.astype(np.float32) * 2 - 1).reshape(down, across)
        order = np.einsum("abij,ij->ab", blocks, _DIFFERENCE)
        allowed = FULL_LEVEL**2 * 10 ** (-self.psnr_db / 10)
        low, high = 0.0, FULL_LEVEL
        best = frame
        for _ in range(_BISECTIONS):
            margin = (low + high) / 2
            # A block whose order is far off is left to the majority: turning it costs too much.
            lacking = np.clip(margin - order * signs, 0, _MAX_MARGINS * margin)
            change = np.zeros_like(plane)
            shifted = (signs * lacking)[:, :, None, None] * _DIFFERENCE
            whole = shifted.transpose(0, 2, 1, 3).reshape(down * _BLOCK, across * _BLOCK)
            change[: whole.shape[0], : whole.shape[1]] = whole
            marked = changed(frame, levels, change)
            if mean_squared_error(frame, levels, marked) <= allowed:
                low, best = margin, marked
            else:
                high = margin
        return image.with_stored_values(frozen(best[None].copy()))

    def extract(
        self, image: MedicalImage, key: bytes, *, shape: tuple[int, int] | None = None
    ) -> Reading:
        """Return the bits by majority; something is always returned, mark or not."""
        check_key(key)
        plane = Levels.of(image).plane(image.stored_values[0])
        blocks = _blocks(resample(plane, shape) if shape else plane)
        down, across = blocks.shape[:2]
        order = np.einsum("abij,ij->ab", blocks, _DIFFERENCE)
        places = bit_of_block(down * across, key)
        return certain(np.bincount(places, np.sign(order).ravel(), PAYLOAD_BITS) > 0)
