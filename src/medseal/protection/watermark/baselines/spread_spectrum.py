"""The classical reference: keyed spread-spectrum codes, tiled, synchronised without learning."""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import WatermarkCapacityError
from medseal.imaging import MedicalImage
from medseal.protection.watermark.baselines.lattice import TILE, find_lattices, straightened
from medseal.protection.watermark.baselines.method import (
    Plane,
    Reading,
    add_within,
    as_bits,
)
from medseal.protection.watermark.frame import resample
from medseal.protection.watermark.levels import Levels
from medseal.protection.watermark.payload import (
    CODED_BITS,
    PAYLOAD_BITS,
    PAYLOAD_BYTES,
    bit_log_likelihoods,
    check_key,
    check_payload,
    derive,
    encode,
    most_likely_messages,
    open_message,
)

__all__ = ["SpreadSpectrum"]

# Long side of the frame that the tile is laid on; the lower one for small images, whose values
# lie too far apart for it.
_SIDES = (512, 256)
_SMALL_SIDE = 384
# Cycles per place of that frame.
_BAND = (0.04, 0.25)
# Share of the energy that marks the position.
_SYNC_SHARE = 0.2
_WINDOW = 9
# Levels: below this deviation a place counts as flat and carries little.
_FLAT = 1.0
# The mark does not grow beyond this deviation, where the image itself is the louder noise.
_MOST_DEVIATION = 4.0
_NOISE = 1.0
# Deviations of the correlation by which a position must stand out. Of a standard normal variable,
# 1e-12 lie beyond 7, and one copy has at most 9 * 8 * 128**2 positions.
_LEAST_PEAK = 7.0
# Beyond this the position is not searched any further.
_SURE_PEAK = 10.0
_MAX_LOG_LIKELIHOOD = 30.0
_MIN_SIDE = 64


def _band() -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the coefficients of `rfft2` that carry codes."""
    rows, columns = np.fft.fftfreq(TILE)[:, None], np.fft.rfftfreq(TILE)[None]
    radius = np.hypot(rows, columns)
    # Of the column without horizontal frequency one half mirrors the other.
    inside = (radius >= _BAND[0]) & (radius < _BAND[1]) & ((columns > 0) | (rows > 0))
    found = np.nonzero(inside)
    return found[0], found[1]


_ROWS, _COLUMNS = _band()
_RING = np.asarray(
    np.hypot(np.fft.fftfreq(TILE)[_ROWS], np.fft.rfftfreq(TILE)[_COLUMNS]) * TILE, np.intp
)


def _coefficients(tile: Plane) -> NDArray[np.float64]:
    """Return the real and imaginary parts of a tile's coefficients in the band: (n,)."""
    spectrum = np.fft.rfft2(tile)[_ROWS, _COLUMNS]
    return np.concatenate([spectrum.real, spectrum.imag])


def _tile(coefficients: NDArray[np.float64]) -> Plane:
    """Return the tile of unit deviation with these coefficients."""
    spectrum = np.zeros((TILE, TILE // 2 + 1), np.complex128)
    real, imaginary = np.split(coefficients, 2)
    spectrum[_ROWS, _COLUMNS] = real + 1j * imaginary
    mirrored = _COLUMNS == 0
    spectrum[-_ROWS[mirrored] % TILE, 0] = np.conj(spectrum[_ROWS[mirrored], 0])
    tile = np.fft.irfft2(spectrum, s=(TILE, TILE))
    return np.asarray(tile / tile.std(), np.float32)


@lru_cache(maxsize=4)
def _codes(key: bytes, count: int) -> NDArray[np.float64]:
    """Return orthonormal codes, the one for synchronisation first: (1 + count, n)."""
    size = 2 * _ROWS.size
    words = derive(key, "spread spectrum", -(-size * (count + 1) // 8))
    signs = np.unpackbits(np.frombuffer(words, np.uint8))[: size * (count + 1)]
    drawn = signs.reshape(size, count + 1).astype(np.float64) * 2 - 1
    orthonormal, triangle = np.linalg.qr(drawn)
    return np.ascontiguousarray((orthonormal * np.sign(np.diag(triangle))).T)


def _deviation(plane: Plane) -> tuple[Plane, Plane]:
    """Return the plane without its local mean, and its local standard deviation."""
    size = (_WINDOW, _WINDOW)
    mean = cv2.blur(plane, size, borderType=cv2.BORDER_REFLECT)
    square = cv2.blur(plane * plane, size, borderType=cv2.BORDER_REFLECT)
    variance = np.maximum(square - mean * mean, 0)
    return np.asarray(plane - mean, np.float32), np.asarray(np.sqrt(variance), np.float32)


def _whitened(plane: Plane) -> Plane:
    residual, deviation = _deviation(plane)
    return np.asarray(residual / (deviation + _NOISE), np.float32)


def _canonical(plane: Plane) -> Plane:
    """Return the plane in the frame that the tile is laid on."""
    longest = max(plane.shape)
    side = _SIDES[0] if longest >= _SMALL_SIDE else _SIDES[1]
    rows, columns = (max(round(length * side / longest), 1) for length in plane.shape)
    return resample(plane, (rows, columns))


def _folded(plane: Plane) -> Plane:
    """Return the sum of all tiles of a plane, cut off parts included."""
    rows, columns = (-(-length // TILE) * TILE for length in plane.shape)
    whole = np.zeros((rows, columns), np.float32)
    whole[: plane.shape[0], : plane.shape[1]] = plane
    tiles = whole.reshape(rows // TILE, TILE, columns // TILE, TILE)
    return np.asarray(tiles.sum(axis=(0, 2)), np.float32)


def _ring_power(coefficients: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean power at the radius of each coefficient: (n,)."""
    power = np.square(coefficients).reshape(2, -1).sum(axis=0)
    counts = np.maximum(np.bincount(_RING), 1)
    mean = np.bincount(_RING, power) / counts / 2
    return np.tile(np.maximum(mean[_RING], np.finfo(np.float32).tiny), 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """The likeliest position: weighted coefficients there, and by how much it stands out."""

    peak: float
    weighted: NDArray[np.float64]


def _best_position(tile: Plane, sync: NDArray[np.float64]) -> _Found:
    """Search all shifts, quarter turns and mirror images for the synchronisation code."""
    wanted = np.conj(np.fft.rfft2(_tile(sync)))
    best: tuple[float, Plane] = (-np.inf, tile)
    for turned in (tile, tile.T):
        for turns in range(4):
            placed = np.ascontiguousarray(np.rot90(turned, turns))
            spectrum = np.zeros((TILE, TILE // 2 + 1), np.complex128)
            found = np.fft.rfft2(placed)[_ROWS, _COLUMNS]
            weight = _ring_power(np.concatenate([found.real, found.imag]))[: _ROWS.size]
            spectrum[_ROWS, _COLUMNS] = found / weight * wanted[_ROWS, _COLUMNS]
            mirrored = _COLUMNS == 0
            spectrum[-_ROWS[mirrored] % TILE, 0] = np.conj(spectrum[_ROWS[mirrored], 0])
            map_ = np.fft.irfft2(spectrum, s=(TILE, TILE))
            deviation = float(map_.std())
            place = int(map_.argmax())
            peak = float(map_.ravel()[place]) / deviation if deviation > 0 else 0.0
            if peak > best[0]:
                down, across = divmod(place, TILE)
                best = peak, np.roll(placed, (-down, -across), axis=(0, 1))
    coefficients = _coefficients(best[1])
    return _Found(peak=best[0], weighted=coefficients / _ring_power(coefficients))


def _search(plane: Plane, sync: NDArray[np.float64]) -> _Found:
    """Return the best position of the copy as it is and along the lattices that are seen in it."""
    whitened = _whitened(plane)
    best = _best_position(_folded(whitened), sync)
    if best.peak >= _SURE_PEAK:
        return best
    for lattice in find_lattices(whitened):
        found = _best_position(_folded(straightened(whitened, lattice)), sync)
        if found.peak > best.peak:
            best = found
        if best.peak >= _SURE_PEAK:
            break
    return best


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadSpectrum:
    """A sum of keyed noise-like codes, one a bit, in a tile that is repeated over the image.

    Attributes
    ----------
    is_coded
        Whether the bits are those of the product's error-correcting code, with its MAC, or the
        payload itself.
    psnr_db, least_ssim
        Limits of a marked image over the value range: peak signal-to-noise ratio, similarity.

    References
    ----------
    Cox et al. 1997, Secure spread spectrum watermarking, doi:10.1109/83.650120.
    Kutter 1998, Watermarking resisting to translation, rotation, and scaling,
    doi:10.1117/12.337432.
    """

    is_coded: bool = False
    psnr_db: float = 45.0
    least_ssim: float = 0.99
    payload_bytes: int = PAYLOAD_BYTES

    @property
    def name(self) -> str:
        """Name in tables."""
        return "spread spectrum, coded" if self.is_coded else "spread spectrum"

    def embed(self, image: MedicalImage, payload: bytes, key: bytes) -> MedicalImage:
        """Return the image, of one frame, with the payload.

        Raises
        ------
        WatermarkCapacityError
            The image is too small or flat everywhere.
        """
        check_key(key)
        check_payload(payload)
        if min(image.rows, image.columns) < _MIN_SIDE:
            raise WatermarkCapacityError(f"an image below {_MIN_SIDE} x {_MIN_SIDE} is too small")
        levels = Levels.of(image)
        plane = levels.plane(image.stored_values[0])
        canonical = _canonical(plane)
        bits = encode(payload, key) if self.is_coded else as_bits(payload)
        signs = bits.astype(np.float64) * 2 - 1
        codes = _codes(key, bits.size)
        share = np.sqrt((1 - _SYNC_SHARE) / bits.size)
        tile = _tile(np.sqrt(_SYNC_SHARE) * codes[0] + share * (signs @ codes[1:]))
        _, deviation = _deviation(canonical)
        gain = np.minimum(deviation, _MOST_DEVIATION)
        gain *= gain / (gain + _FLAT)
        if not gain.any():
            raise WatermarkCapacityError("a constant image cannot carry a watermark")
        rows, columns = canonical.shape
        wide = np.tile(tile, (-(-rows // TILE), -(-columns // TILE)))[:rows, :columns]
        change = resample(wide * gain, (image.rows, image.columns))
        limits = {"psnr_db": self.psnr_db, "least_ssim": self.least_ssim}
        return add_within(image, levels, change, **limits)

    def extract(
        self,
        image: MedicalImage,
        key: bytes,
        *,
        shape: tuple[int, int] | None = None,  # noqa: ARG002  of the interface
    ) -> Reading:
        """Return what is read in the likeliest position; the original shape is not needed."""
        check_key(key)
        try:
            plane = Levels.of(image).plane(image.stored_values[0])
        except WatermarkCapacityError:
            return Reading(
                payload=None,
                bit_probabilities=np.full(PAYLOAD_BITS, 0.5),
                detected=False,
                presence_score=0.0,
            )
        count = CODED_BITS if self.is_coded else PAYLOAD_BITS
        codes = _codes(key, count)
        found = _search(_canonical(plane), codes[0])
        sums = codes[1:] @ found.weighted
        # Signal and noise of the sums, the bits unknown.
        deviation = float(np.std(np.abs(sums))) or 1.0
        likelihoods = 2 * sums * float(np.mean(np.abs(sums))) / deviation**2
        if self.is_coded:
            payload = open_message(most_likely_messages(likelihoods[None])[0], key)
            detected = payload is not None
            likelihoods = bit_log_likelihoods(np.asarray(likelihoods, np.float32))
        else:
            payload = np.packbits(sums > 0).tobytes()
            detected = found.peak >= _LEAST_PEAK
        limited = np.clip(likelihoods, -_MAX_LOG_LIKELIHOOD, _MAX_LOG_LIKELIHOOD)
        return Reading(
            payload=payload if detected else None,
            bit_probabilities=1 / (1 + np.exp(-limited)),
            detected=detected,
            presence_score=found.peak,
        )
