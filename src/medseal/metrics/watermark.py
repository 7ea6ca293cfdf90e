"""Figures of a watermark: bit accuracy, exact rate, and intervals for rates."""

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["bit_accuracy", "wilson_interval"]


def bit_accuracy(payload: bytes, bit_probabilities: NDArray[np.float64]) -> float:
    """Return the share of payload bits whose likelier value is the true one.

    Parameters
    ----------
    payload
        The true bytes.
    bit_probabilities
        (bits,), probability that each bit is one, the highest bit of each byte first. Exactly
        0.5 counts as half right.

    Returns
    -------
    float
        0 to 1; 0.5 is chance.

    Raises
    ------
    InputError
        The numbers of bits differ.
    """
    bits = np.unpackbits(np.frombuffer(payload, np.uint8))
    if bits.shape != bit_probabilities.shape:
        raise InputError(f"{bits.size} bits against {bit_probabilities.size} probabilities")
    right = np.where(bits == 1, bit_probabilities, 1 - bit_probabilities)
    return float(np.mean(np.where(right == 0.5, 0.5, right > 0.5)))  # noqa: PLR2004 (chance)


def wilson_interval(
    successes: int, trials: int, *, confidence: float = 0.95
) -> tuple[float, float]:
    """Return the score interval of a rate.

    Parameters
    ----------
    successes, trials
        Counts, at least one trial.
    confidence
        Probability that the interval covers the true rate.

    Returns
    -------
    tuple of float
        Lower and upper bound, 0 to 1.

    Raises
    ------
    InputError
        No trial, or more successes than trials.

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953.
    """
    if trials < 1 or not 0 <= successes <= trials:
        raise InputError("a rate needs at least one trial and no more successes than trials")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / trials
    centre = (rate + z * z / (2 * trials)) / (1 + z * z / trials)
    spread = math.sqrt(rate * (1 - rate) / trials + (z / (2 * trials)) ** 2)
    half = z * spread / (1 + z * z / trials)
    return max(centre - half, 0.0), min(centre + half, 1.0)
