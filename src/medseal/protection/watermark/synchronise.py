"""Find the tile again in a cropped, turned, mirrored or inverted copy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.carrier import TILE, Carrier
from medseal.protection.watermark.masking import Plane

__all__ = ["MAX_CANDIDATES", "candidates"]

# The strongest positions that are read, beside the whole copy in its eight orientations and both
# polarities.
_PEAKS = 16
_PEAKS_AN_ORIENTATION = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Orientation:
    """A way back to the cover image: mirror rows, mirror columns, then swap both."""

    mirror_rows: bool
    mirror_columns: bool
    transpose: bool

    def undo(self, tile: Plane) -> Plane:
        if self.mirror_rows:
            tile = tile[::-1]
        if self.mirror_columns:
            tile = tile[:, ::-1]
        return np.ascontiguousarray(tile.T if self.transpose else tile)

    def origin(self, shape: tuple[int, int]) -> tuple[int, int]:
        """Return where the first value of an uncropped cover image lies in the undone tile."""
        row = -shape[0] % TILE if self.mirror_rows else 0
        column = -shape[1] % TILE if self.mirror_columns else 0
        return (column, row) if self.transpose else (row, column)


_ORIENTATIONS = tuple(
    _Orientation(mirror_rows=rows, mirror_columns=columns, transpose=transpose)
    for transpose in (False, True)
    for rows in (False, True)
    for columns in (False, True)
)
# Hypotheses that one call of `candidates` can lead to; enters the false-positive rate.
MAX_CANDIDATES = _PEAKS + 2 * len(_ORIENTATIONS)


def _place(undone: Plane, correlation: Plane, position: tuple[int, int]) -> tuple[float, Plane]:
    """Return the strength at a position and the tile moved there, inverted back if need be."""
    strength = float(correlation[position])
    moved = np.roll(undone, (-position[0], -position[1]), axis=(0, 1))
    return abs(strength), -moved if strength < 0 else moved


def candidates(tile: Plane, shape: tuple[int, int], carrier: Carrier) -> list[NDArray[np.float32]]:
    """Return the folded tile in the positions where the key's pattern fits best.

    All eight orientations, all 128 x 128 shifts (so every pixel offset of a crop) and both
    polarities (an inverted copy) are searched by correlation with the synchronisation pattern.

    Parameters
    ----------
    tile
        (128, 128), the folded copy.
    shape
        Rows and columns of the copy.
    carrier
        The tile of the key.

    Returns
    -------
    list of numpy.ndarray
        At most `MAX_CANDIDATES` tiles (128, 128) in the cover image's position, first the
        likeliest; empty if the tile is all zero.
    """
    if not tile.any():
        return []
    whole, peaks = [], []
    for orientation in _ORIENTATIONS:
        undone = orientation.undo(tile)
        spectrum = np.fft.rfft2(undone) * carrier.sync_spectrum
        correlation = np.asarray(np.fft.irfft2(spectrum, s=(TILE, TILE)), np.float32)
        origin = orientation.origin(shape)
        strength_there, moved = _place(undone, correlation, origin)
        # A mark too faint to be synchronised may still be read where it must lie; then the sign
        # of the correlation says nothing.
        whole += [(strength_there, moved), (0.0, -moved)]
        strength = np.abs(correlation).ravel()
        for place in np.argpartition(strength, -_PEAKS_AN_ORIENTATION)[-_PEAKS_AN_ORIENTATION:]:
            position = divmod(int(place), TILE)
            if position != origin:
                peaks.append(_place(undone, correlation, position))
    peaks.sort(key=lambda peak: -peak[0])
    found = sorted(whole + peaks[:_PEAKS], key=lambda peak: -peak[0])
    return [moved for _, moved in found]
