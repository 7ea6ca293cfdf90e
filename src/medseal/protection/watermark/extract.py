"""Read a mark back from any copy: fold, synchronise, decode, compare the MAC."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.protection.watermark.carrier import TILE, Carrier, carrier
from medseal.protection.watermark.levels import Levels
from medseal.protection.watermark.masking import Plane, fold, masking, strips
from medseal.protection.watermark.payload import (
    MAC_BITS,
    PAYLOAD_BITS,
    bit_log_likelihoods,
    check_key,
    encode,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.synchronise import candidates

__all__ = ["Extraction", "extract", "folded_frame"]

# A mark stands in every frame that can hold it; so many, spread evenly, are listened to.
_MAX_FRAMES = 64
# Largest log-likelihood ratio of a bit that is reported, so that no probability is 0 or 1.
_MAX_LOG_LIKELIHOOD = 30.0
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extraction:
    """What was read from a copy.

    Attributes
    ----------
    detected
        True if the MAC of a decoded payload fits; a payload is never a guess.
    payload
        8 bytes, or None.
    bit_probabilities
        (64,), probability that each payload bit is one, in the likeliest position. Near 0.5
        throughout where there is no mark.
    false_positive_rate
        Upper bound of the probability that a copy without a mark of this key is taken for
        marked: number of decoded hypotheses times 2**-32.
    """

    detected: bool
    payload: bytes | None
    bit_probabilities: NDArray[np.float64]
    false_positive_rate: float


def folded_frame(frame: NDArray[np.generic], levels: Levels) -> Plane:
    """Return what the reader hears in one frame, summed over all tiles: (128, 128)."""
    total = np.zeros((TILE, TILE), np.float32)
    for surrounded, inner, _ in strips(frame.shape[0]):
        total += fold(masking(levels.plane(frame[surrounded])).heard[inner])
    return total


def _blind_scale(tile: Plane, pattern: Carrier, sums: NDArray[np.float64]) -> float:
    """Return what turns the sums of a tile into log-likelihood ratios, the payload unknown.

    The noise is measured among the carriers of the same bit, the signal by what the sums exceed
    that noise; where there is no mark the two are equal and the ratios vanish.
    """
    read = pattern.read(tile)
    squares, _ = pattern.sum_by_bit(read * read)
    counts, _ = pattern.sum_by_bit(np.ones_like(read))
    within = np.sum(squares - sums**2 / counts) / np.sum(counts - 1)
    noise = max(float(within * counts.mean()), _TINY)
    return float(2 * np.sqrt(max(float(np.mean(sums**2)) - noise, 0.0)) / noise)


def _known_scale(sums: NDArray[np.float64], payload: bytes, key: bytes) -> float:
    """Return the same where the payload is known: signal and noise are seen, not estimated.

    The embedder cancels the host, so that the sums of a good copy scatter less than their
    carriers would make one expect.
    """
    signed = sums * (encode(payload, key) * 2.0 - 1.0)
    return float(2 * signed.mean() / max(float(signed.var()), _TINY))


def _frame_order(frames: int) -> list[int]:
    """Return the frames to listen to, the middle first, then ever finer between them."""
    chosen = np.unique(np.linspace(0, frames - 1, min(frames, _MAX_FRAMES)).round().astype(int))
    width = max(int(chosen.size - 1).bit_length(), 1)
    reversed_bits = sorted(range(1 << width), key=lambda i: int(f"{i:0{width}b}"[::-1], 2))
    middle_first = [(place + chosen.size // 2) % chosen.size for place in range(chosen.size)]
    return [int(chosen[middle_first[i]]) for i in reversed_bits if i < chosen.size]


def _evidence(image: MedicalImage, levels: Levels) -> Iterator[Plane]:
    """Yield the folded tile after 1, 2, 4, 8... frames and after the last."""
    total = np.zeros((TILE, TILE), np.float32)
    order = _frame_order(image.frames)
    for count, frame in enumerate(order, start=1):
        total += folded_frame(image.stored_values[frame], levels)
        if count == len(order) or count & (count - 1) == 0:
            yield total


def _probabilities(log_likelihoods: NDArray[np.float64]) -> NDArray[np.float64]:
    bits = bit_log_likelihoods(np.asarray(log_likelihoods, np.float32))
    return np.asarray(1 / (1 + np.exp(-np.clip(bits, -_MAX_LOG_LIKELIHOOD, _MAX_LOG_LIKELIHOOD))))


def _extraction(
    payload: bytes | None, probabilities: NDArray[np.float64], hypotheses: int
) -> Extraction:
    probabilities.flags.writeable = False
    return Extraction(
        detected=payload is not None,
        payload=payload,
        bit_probabilities=probabilities,
        false_positive_rate=hypotheses * 2.0**-MAC_BITS,
    )


def extract(image: MedicalImage, key: bytes) -> Extraction:
    """Read the payload of a copy, wherever it was cut, turned or mirrored.

    Parameters
    ----------
    image
        Any copy at the scale of the release, with stored values of any depth.
    key
        32 bytes, the one used to embed.

    Returns
    -------
    Extraction
        `detected` is False if no mark of this key was found.

    Raises
    ------
    WatermarkKeyError
        The key has not 32 bytes.
    UnsupportedImageError
        The stored values are palette indices.
    """
    check_key(key)
    hypotheses = 0
    probabilities = np.full(PAYLOAD_BITS, 0.5)
    try:
        levels = Levels.of(image)
    except WatermarkCapacityError:
        # A constant copy bears no mark; that is an answer, not an error.
        return _extraction(None, probabilities, hypotheses)
    pattern = carrier(key)
    for tile in _evidence(image, levels):
        places = candidates(tile, (image.rows, image.columns), pattern)
        if not places:
            continue
        # The decoder needs the sums up to a factor only.
        sums = np.stack([pattern.sum_by_bit(pattern.read(place))[0] for place in places])
        hypotheses += len(places)
        for row, message in zip(sums, most_likely_messages(sums), strict=True):
            payload = open_message(message, key)
            if payload is not None:
                probabilities = _probabilities(row * _known_scale(row, payload, key))
                return _extraction(payload, probabilities, hypotheses)
        probabilities = _probabilities(sums[0] * _blind_scale(places[0], pattern, sums[0]))
    return _extraction(None, probabilities, hypotheses)
