"""A second mark for images far louder than any mark: keyed sums of waves, moved onto a lattice.

Where the image itself is noise of a hundred times the energy that a mark may have, no correlation
is heard over it. The sums that a reader forms are known to the embedder, though: each is moved by
the little that brings it to the next value that stands for the wanted bit (quantisation index
modulation). That lasts while the image itself lasts: through compression, noise, blur and changes
of the grey scale, in quarter turns and mirrored, but not through a crop.

It is linear signal processing without a network, of a frame that is smoothed first, as native
detail would be folded into it by the smaller size and lost in the first blur.

References
----------
Chen and Wornell 2001, doi:10.1109/18.923725; Eggers et al. 2003, doi:10.1109/TSP.2003.809366.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.frame import (
    FRAME_SIDE,
    LOCAL_SIDE,
    SMALL_FRAME_SIDE,
    Plane,
    box_mean,
    frame_side,
    resample,
    working_shape,
)
from medseal.protection.watermark.pattern import (
    TILE,
    fold,
    half_plane,
    keyed_order,
    keyed_signs,
    set_waves,
)
from medseal.protection.watermark.payload import PLAIN_BITS, check_key, derive

__all__ = [
    "CANDIDATES",
    "STEPS",
    "Quantiser",
    "candidates",
    "certainties",
    "listen",
    "log_likelihoods",
    "orientation",
    "quantiser",
    "smoothed",
    "upright",
]

STEPS = tuple(0.36 * 1.12**place for place in range(14))
"""Distances of values that stand for the same bit, in deviations of the sums; all are tried."""

# Waves (cycles a place) that carry, in rings of equal count: a blur or a scale that changes one
# frequency more than another changes all sums of a ring alike.
_BAND = (0.03, 0.30)
_RINGS = 16
# Noise is the same at all frequencies, images are not: steps grow with frequency to this power.
_STEP_SLOPE = 0.8
# Deviation of the smoothing, in places of the working frame.
_SMOOTHING = 0.4
# Window of the local energy, in places. Places of less than this share of the mean energy count
# less, loud ones to the power -1/4.
_ENERGY_SIDE = 17
_QUIET, _LOUDNESS = 0.3, 0.25
# Levels that changes of brightness, contrast or gamma may have taken from all that is not black,
# and the level up to which it counts as black.
_LIFTS, _TOE = (22.0, 48.0), 6.0
# Quarter turns, and whether mirrored then, that lead back to the image.
_ORIENTATIONS = tuple((turns, mirrored) for turns in range(4) for mirrored in (False, True))
CANDIDATES = (len(_ORIENTATIONS) + len(_LIFTS) + 1) * len(STEPS)
"""Messages that are decoded of one plane."""

# Levels within which eight neighbours are even, and by which a speck stands out.
_EVEN, _ODD = 48.0, 48.0
_CACHED_KEYS = 8
_TINY = 1e-6

_WAVES, _RADIUS = half_plane(_BAND)
# Whole numbers order alike everywhere, which square roots might not.
_SQUARES = np.minimum(_WAVES[:, 0], TILE - _WAVES[:, 0]) ** 2 + _WAVES[:, 1] ** 2
_RING = np.argsort(np.argsort(_SQUARES, kind="stable"), kind="stable") * _RINGS // len(_SQUARES)
_RING_RADIUS = np.bincount(_RING, _RADIUS, _RINGS) / np.bincount(_RING, minlength=_RINGS)
_PROFILE = (_RING_RADIUS / _RING_RADIUS.mean()) ** _STEP_SLOPE


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Quantiser:
    """What a key makes of the waves; secret as the key is.

    The real parts of the waves, then the imaginary parts, are the slots; those of a ring are shared
    out among the coded bits of that ring.

    Attributes
    ----------
    bit_of
        (slots,): coded bit of each slot.
    signs
        (slots,): +1 or -1.
    ring_of
        (424,): ring of each coded bit.
    dither
        (424,), 0 to 1: shift of the lattice of each coded bit, in steps.
    """

    bit_of: NDArray[np.intp]
    signs: NDArray[np.float64]
    ring_of: NDArray[np.intp]
    dither: NDArray[np.float64]

    def _norms(self) -> NDArray[np.float64]:
        return np.sqrt(np.bincount(self.bit_of, minlength=PLAIN_BITS))

    def values(self, tile: NDArray[np.floating]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the sum of each coded bit in a tile, and the deviation of the slots of each ring.

        Parameters
        ----------
        tile
            (64, 64).

        Returns
        -------
        values
            (424,), in deviations of their ring, so that a change of contrast or a blur leaves them.
        levels
            (16,).
        """
        spectrum = np.fft.fft2(tile)[_WAVES[:, 0], _WAVES[:, 1]] / TILE**2
        slots = np.concatenate([spectrum.real, spectrum.imag])
        rings = np.concatenate([_RING, _RING])
        energy = np.bincount(rings, slots * slots, _RINGS) / np.bincount(rings, minlength=_RINGS)
        levels = np.sqrt(energy) + _TINY**2
        sums = np.bincount(self.bit_of, slots * self.signs, PLAIN_BITS) / self._norms()
        return sums / levels[self.ring_of], levels

    def tile(self, changes: NDArray[np.float64], levels: NDArray[np.float64]) -> Plane:
        """Return the tile of least energy that changes the values by this: (64, 64)."""
        share = changes * levels[self.ring_of] / self._norms()
        slots = share[self.bit_of] * self.signs
        spectrum = np.zeros((TILE, TILE), np.complex128)
        count = len(_WAVES)
        set_waves(spectrum, _WAVES, slots[:count] + 1j * slots[count:])
        return np.asarray(np.fft.ifft2(spectrum).real * TILE**2, np.float32)

    def nearest(
        self, values: NDArray[np.float64], coded: NDArray[np.uint8], step: float
    ) -> NDArray[np.float64]:
        """Return the nearest values that stand for a codeword: (424,)."""
        steps = step * _PROFILE[self.ring_of]
        shift = self.dither + coded / 2
        return np.asarray((np.rint(values / steps - shift) + shift) * steps)


@lru_cache(maxsize=_CACHED_KEYS)
def quantiser(key: bytes) -> Quantiser:
    """Return the quantiser of a key.

    Parameters
    ----------
    key
        32 bytes.

    Raises
    ------
    WatermarkKeyError
        The key has not 32 bytes.
    """
    check_key(key)
    slots = 2 * len(_WAVES)
    order = keyed_order(key, "quantised waves", slots)
    bits = keyed_order(key, "quantised bits", PLAIN_BITS)
    rings = np.concatenate([_RING, _RING])
    bit_of = np.empty(slots, np.intp)
    ring_of = np.empty(PLAIN_BITS, np.intp)
    for ring in range(_RINGS):
        mine = bits[ring * PLAIN_BITS // _RINGS : (ring + 1) * PLAIN_BITS // _RINGS]
        places = order[rings[order] == ring]
        bit_of[places] = np.resize(mine, len(places))
        ring_of[mine] = ring
    signs = keyed_signs(key, "quantised signs", slots)
    words = np.frombuffer(derive(key, "quantised dither", 8 * PLAIN_BITS), "<u8")
    dither = words / 2.0**64
    for array in (bit_of, signs, ring_of, dither):
        array.flags.writeable = False
    return Quantiser(bit_of=bit_of, signs=signs, ring_of=ring_of, dither=dither)


def smoothed(plane: Plane, *, side: int | None = None) -> Plane:
    """Return a native plane of levels in the working frame, specks taken out and smoothed first."""
    shape = working_shape(*plane.shape, side=side)
    deviation = _SMOOTHING * plane.shape[0] / shape[0]
    clean = _without_specks(plane)
    soft = cv2.GaussianBlur(clean, (0, 0), deviation, borderType=cv2.BORDER_REPLICATE)
    return resample(np.asarray(soft, np.float32), shape)


def _without_specks(plane: Plane) -> Plane:
    """Return a plane whose single odd places in even surroundings are levelled with these."""
    around = np.ones((3, 3), np.uint8)
    around[1, 1] = 0
    most = cv2.dilate(plane, around, borderType=cv2.BORDER_REPLICATE)
    least = cv2.erode(plane, around, borderType=cv2.BORDER_REPLICATE)
    specks = most - least < _EVEN
    specks &= (plane > most + _ODD) | (plane < least - _ODD)
    return np.where(specks, (most + least) / 2, plane)


def listen(frame: Plane) -> tuple[Plane, Plane]:
    """Return what is heard at each place of a frame of levels, and the weight it was given."""
    detail = frame - box_mean(frame, LOCAL_SIDE)
    energy = box_mean(detail * detail, _ENERGY_SIDE)
    relative = energy / np.float32(energy.mean() + _TINY)
    quiet = np.float32(_QUIET)
    weight = relative / (relative + quiet) * (relative + quiet) ** np.float32(-_LOUDNESS)
    return detail * weight, weight


def log_likelihoods(
    keyed: Quantiser, values: NDArray[np.float64], step: float
) -> NDArray[np.float64]:
    """Return the log-likelihood ratios of the coded bits, up to a factor: (424,), -1 to 1.

    The cosine is their limit for strong noise: of a sum of bells at each point of a lattice the
    first harmonic is left.
    """
    steps = step * _PROFILE[keyed.ring_of]
    return np.asarray(-np.cos(2 * np.pi * (values / steps - keyed.dither)))


def _heard(keyed: Quantiser, frame: Plane) -> list[NDArray[np.float64]]:
    values, _ = keyed.values(fold(listen(frame)[0]))
    return [log_likelihoods(keyed, values, step) for step in STEPS]


def candidates(plane: Plane, key: bytes) -> NDArray[np.float64]:
    """Return what to decode of a copy.

    In all quarter turns and mirrored; upright with levels lifted; upright in the working frame of
    the other side, for a copy that was made smaller or larger than that of the image.

    Parameters
    ----------
    plane
        (rows, columns), native levels 0 to 255.
    key
        32 bytes.

    Returns
    -------
    numpy.ndarray
        (`CANDIDATES`, 424): log-likelihood ratios up to a factor, for each hypothesis and step.
    """
    keyed = quantiser(key)
    frame = smoothed(plane)
    rows = []
    for turns, mirrored in _ORIENTATIONS:
        turned = np.rot90(frame, turns)
        way = turned[:, ::-1] if mirrored else turned
        rows += _heard(keyed, np.ascontiguousarray(way))
    rows += _lifted(keyed, plane)
    own = frame_side(*plane.shape)
    other = SMALL_FRAME_SIDE if own == FRAME_SIDE else FRAME_SIDE
    rows += _heard(keyed, smoothed(plane, side=other))
    return np.stack(rows)


def _lifted(keyed: Quantiser, plane: Plane) -> list[NDArray[np.float64]]:
    rows = []
    for lift in _LIFTS:
        lifted = plane + np.float32(lift) * plane / (plane + np.float32(_TOE))
        rows += _heard(keyed, smoothed(lifted))
    return rows


def upright(plane: Plane, key: bytes) -> NDArray[np.float64]:
    """Return what to decode of a copy that was not turned: upright, then lifted; (42, 424)."""
    keyed = quantiser(key)
    return np.stack(_heard(keyed, smoothed(plane)) + _lifted(keyed, plane))


def orientation(index: int) -> tuple[int, bool]:
    """Return quarter turns, and whether mirrored then, of a candidate."""
    place = index // len(STEPS)
    return _ORIENTATIONS[place] if place < len(_ORIENTATIONS) else (0, False)


def certainties(candidate: NDArray[np.float64], coded: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the log-likelihood ratios of a candidate whose codeword is known: (424,)."""
    # Of values that miss their lattice by noise, the mean cosine tells its strength: the ratio is
    # twice that mean, divided by the variance, times the cosine.
    signed = candidate * (coded * 2.0 - 1.0)
    return np.asarray(candidate * 2 * signed.mean() / max(float(signed.var()), _TINY))
