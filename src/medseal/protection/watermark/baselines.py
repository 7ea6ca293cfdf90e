"""The textbook block-DCT watermark to measure against: coefficient pairs, no code, no search."""

import numpy as np
from numpy.typing import NDArray

from medseal.errors import WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.imaging.image import frozen
from medseal.protection.watermark.carrier import BLOCK
from medseal.protection.watermark.levels import FULL_LEVEL, Levels
from medseal.protection.watermark.payload import (
    PAYLOAD_BITS,
    check_key,
    check_payload,
    derive,
)

__all__ = ["embed_pairs", "extract_pairs"]

# The pair of mid-frequency coefficients whose order is one bit (Koch and Zhao 1995).
_PAIR = ((1, 2), (2, 1))
_BISECTIONS = 24
_MAX_MARGINS = 2


def _basis(frequency: tuple[int, int]) -> NDArray[np.float32]:
    """Return the 8 x 8 picture of one DCT coefficient, of unit energy."""
    place = np.arange(BLOCK)
    rows, columns = (np.cos(np.pi * (2 * place + 1) * f / (2 * BLOCK)) for f in frequency)
    picture = np.outer(rows, columns)
    return np.asarray(picture / np.linalg.norm(picture), np.float32)


_DIFFERENCE = (_basis(_PAIR[0]) - _basis(_PAIR[1])) / np.float32(np.sqrt(2))


def _blocks(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the whole blocks of a plane: (down, across, 8, 8)."""
    down, across = plane.shape[0] // BLOCK, plane.shape[1] // BLOCK
    whole = plane[: down * BLOCK, : across * BLOCK]
    return whole.reshape(down, BLOCK, across, BLOCK).transpose(0, 2, 1, 3)


def _bit_of_block(blocks: int, key: bytes) -> NDArray[np.intp]:
    """Return which bit each block carries: every bit equally often, in keyed order."""
    words = np.frombuffer(derive(key, "pairs", 8 * blocks), "<u8")
    places = np.empty(blocks, np.intp)
    places[np.argsort(words, kind="stable")] = np.arange(blocks) % PAYLOAD_BITS
    return places


def embed_pairs(image: MedicalImage, payload: bytes, key: bytes, *, psnr_db: float) -> MedicalImage:
    """Return the image with each payload bit as the order of two coefficients in many blocks.

    Parameters
    ----------
    image
        One frame.
    payload, key
        8 and 32 bytes.
    psnr_db
        Peak signal-to-noise ratio to reach.

    Raises
    ------
    WatermarkCapacityError
        Fewer blocks than bits.

    References
    ----------
    Koch and Zhao 1995, Towards robust and hidden image copyright labeling.
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
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))[_bit_of_block(down * across, key)]
    signs = (bits.astype(np.float32) * 2 - 1).reshape(down, across)
    order = np.einsum("abij,ij->ab", blocks, _DIFFERENCE)
    allowed = FULL_LEVEL**2 * 10 ** (-psnr_db / 10)
    low, high = 0.0, FULL_LEVEL
    best = frame
    for _ in range(_BISECTIONS):
        margin = (low + high) / 2
        # A block whose order is far off is left to the majority: turning it would cost too much.
        lacking = np.clip(margin - order * signs, 0, _MAX_MARGINS * margin)
        change = np.zeros_like(plane)
        moved = (signs * lacking)[:, :, None, None] * _DIFFERENCE
        whole = moved.transpose(0, 2, 1, 3).reshape(down * BLOCK, across * BLOCK)
        change[: whole.shape[0], : whole.shape[1]] = whole
        marked = levels.add(frame, change)
        if levels.squared_error(frame, marked).mean() <= allowed:
            low, best = margin, marked
        else:
            high = margin
    return image.with_stored_values(frozen(best[None].copy()))


def extract_pairs(image: MedicalImage, key: bytes) -> bytes:
    """Return the payload by majority; something is always returned, mark or not."""
    check_key(key)
    blocks = _blocks(Levels.of(image).plane(image.stored_values[0]))
    down, across = blocks.shape[:2]
    order = np.einsum("abij,ij->ab", blocks, _DIFFERENCE)
    votes = np.bincount(_bit_of_block(down * across, key), np.sign(order).ravel(), PAYLOAD_BITS)
    return np.packbits(votes > 0).tobytes()
