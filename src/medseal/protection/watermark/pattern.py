"""The keyed periodic pattern that carries the mark: which wave of the tile bears which bit."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.payload import CODED_BITS, check_key, derive

__all__ = [
    "SYNC_WAVES",
    "TILE",
    "Pattern",
    "fold",
    "half_plane",
    "keyed_order",
    "keyed_signs",
    "pattern",
    "repeated",
    "set_waves",
]

# Side of a tile in places of the working frame; the pattern repeats with this period both ways.
TILE = 64
# Waves (cycles a place) that carry: below, the host is too strong; above, nothing outlives a blur.
_BAND = (0.03, 0.36)
# Waves of the synchronisation: they outlive what the pattern outlives, and tell a shift by a place.
_SYNC_BAND = (0.06, 0.20)
SYNC_WAVES = 28
# Of the energy of the pattern.
_SYNC_SHARE = 0.2
_CACHED_KEYS = 8
_TINY = 1e-12

Plane = NDArray[np.float32]


def half_plane(band: tuple[float, float]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return the waves of a real tile that stand for themselves, and their frequencies.

    Parameters
    ----------
    band
        Least frequency, and the first beyond, in cycles a place.

    Returns
    -------
    waves
        (n, 2): row and column in the spectrum of the tile.
    frequencies
        (n,), cycles a place.
    """
    places = [
        (row, column)
        for row in range(TILE)
        for column in range(TILE // 2)
        if column > 0 or 0 < row < TILE // 2
    ]
    indices = np.array(places, np.intp)
    frequencies = np.fft.fftfreq(TILE)[indices]
    radius = np.hypot(frequencies[:, 0], frequencies[:, 1])
    inside = (radius >= band[0]) & (radius < band[1])
    return indices[inside], radius[inside]


_WAVES, _RADIUS = half_plane(_BAND)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pattern:
    """What a key makes of the tile; secret as the key is.

    Attributes
    ----------
    waves
        (n, 2): row and column of each wave that carries bits in the spectrum of the tile.
    bit_of
        (2 n,): the coded bit in the real part of each wave, then in the imaginary part.
    signs
        (2 n,): +1 or -1.
    sync_waves
        (28, 2): row and column of the waves of the synchronisation.
    sync_spectrum
        (64, 64): spectrum of the synchronisation pattern.
    """

    waves: NDArray[np.intp]
    bit_of: NDArray[np.intp]
    signs: NDArray[np.float64]
    sync_waves: NDArray[np.intp]
    sync_spectrum: NDArray[np.complex128]

    def tile(self, coded: NDArray[np.uint8], weights: NDArray[np.float64] | None = None) -> Plane:
        """Return one period of the pattern of a message.

        Parameters
        ----------
        coded
            (808,) of 0 and 1.
        weights
            (808,) amplitude of each bit, mean square 1; all 1 if not given.

        Returns
        -------
        numpy.ndarray
            (64, 64), variance about 1.
        """
        amplitudes = coded * 2.0 - 1.0
        if weights is not None:
            amplitudes = amplitudes * weights
        values = self.signs * amplitudes[self.bit_of]
        count = len(self.waves)
        wave = (values[:count] + 1j * values[count:]) * np.sqrt((1 - _SYNC_SHARE) / (4 * count))
        spectrum = self.sync_spectrum.copy()
        set_waves(spectrum, self.waves, wave)
        return np.asarray(np.fft.ifft2(spectrum).real * TILE**2, np.float32)

    def sums(self, tile: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return how strongly each coded bit is heard in a tile: (808,), positive for one."""
        spectrum = np.fft.fft2(tile)[self.waves[:, 0], self.waves[:, 1]] / TILE**2
        heard = np.concatenate([spectrum.real, spectrum.imag]) * self.signs
        return np.asarray(np.bincount(self.bit_of, heard, CODED_BITS), np.float64)

    def heard(self, estimates: Iterable[NDArray[np.floating]]) -> NDArray[np.float64]:
        """Return what is heard of each coded bit in several estimates together: (808,).

        Every one counts alike, however loud it is.
        """
        total = np.zeros(CODED_BITS)
        for estimate in estimates:
            sums = self.sums(fold(estimate))
            total += sums / (np.sqrt(np.mean(sums**2)) + _TINY)
        return total


def set_waves(
    spectrum: NDArray[np.complex128], waves: NDArray[np.intp], values: NDArray[np.complex128]
) -> None:
    """Set waves of the spectrum of a real tile, each with its mirror image."""
    spectrum[waves[:, 0], waves[:, 1]] = values
    spectrum[-waves[:, 0] % TILE, -waves[:, 1] % TILE] = values.conj()


def keyed_order(key: bytes, purpose: str, size: int) -> NDArray[np.intp]:
    """Return a permutation of `size` things that only a holder of the key can compute."""
    words = np.frombuffer(derive(key, purpose, 8 * size), "<u8")
    return np.argsort(words, kind="stable")


def keyed_signs(key: bytes, purpose: str, size: int) -> NDArray[np.float64]:
    """Return +1 or -1 for each of `size` things, which only a holder of the key can compute."""
    drawn = np.frombuffer(derive(key, purpose, -(-size // 8)), np.uint8)
    return np.unpackbits(drawn)[:size].astype(np.float64) * 2 - 1


@lru_cache(maxsize=_CACHED_KEYS)
def pattern(key: bytes) -> Pattern:
    """Return the pattern of a key: a keyed permutation shares the waves out among the bits.

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
    order = keyed_order(key, "waves", len(_WAVES))
    eligible = (_RADIUS[order] >= _SYNC_BAND[0]) & (_RADIUS[order] < _SYNC_BAND[1])
    sync = order[eligible][:SYNC_WAVES]
    data = order[~np.isin(order, sync)]
    slots = 2 * len(data)
    bit_of = np.resize(np.arange(CODED_BITS), slots)[keyed_order(key, "bits", slots)]
    signs = keyed_signs(key, "signs", slots)
    phases = np.frombuffer(derive(key, "phases", 8 * SYNC_WAVES), "<u8") * (2 * np.pi / 2**64)
    spectrum = np.zeros((TILE, TILE), np.complex128)
    amplitude = np.sqrt(_SYNC_SHARE / (2 * SYNC_WAVES))
    set_waves(spectrum, _WAVES[sync], amplitude * np.exp(1j * phases))
    made = Pattern(
        waves=_WAVES[data],
        bit_of=bit_of,
        signs=signs,
        sync_waves=_WAVES[sync],
        sync_spectrum=spectrum,
    )
    for array in (made.waves, made.bit_of, made.signs, made.sync_waves, made.sync_spectrum):
        array.flags.writeable = False
    return made


def repeated(tile: Plane, shape: tuple[int, int]) -> Plane:
    """Return the periodic continuation of a tile: (rows, columns)."""
    rows, columns = (-(-side // TILE) for side in shape)
    return np.ascontiguousarray(np.tile(tile, (rows, columns))[: shape[0], : shape[1]])


def fold(plane: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the sum over all tiles: (rows, columns) to (64, 64), the rest taken as 0."""
    rows, columns = plane.shape
    whole = np.zeros((-(-rows // TILE) * TILE, -(-columns // TILE) * TILE))
    whole[:rows, :columns] = plane
    tiles = whole.reshape(whole.shape[0] // TILE, TILE, whole.shape[1] // TILE, TILE)
    return np.asarray(tiles.sum(axis=(0, 2)), np.float64)
