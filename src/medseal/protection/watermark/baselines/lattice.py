"""Find the lattice of a repeated tile in a turned or scaled copy by its autocorrelation."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.baselines.method import Plane

__all__ = ["TILE", "Lattice", "find_lattices", "straightened"]

TILE = 128
# Lengths of a lattice vector that are searched: tiles at 0.4 to 2.2 times their size.
_SHORTEST, _LONGEST = 52, 282
# Cycles per place: of tiles at about their size, and of enlarged ones, which leave the upper
# frequencies to noise.
_BANDS = ((0.02, 0.45), (0.01, 0.16))
_PEAKS = 60
_LATTICES = 4
# Places by which the second vector may miss a quarter turn of the first.
_SLACK = 9
_LEAST_OVERLAP = 0.1
_ORDERS = 4
_REFINED = 1.5
_MOST_TILES = 12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Lattice:
    """Two vectors (down, across) in places of the copy, and how strongly they are seen."""

    first: NDArray[np.float64]
    second: NDArray[np.float64]
    strength: float


def _autocorrelation(plane: Plane, band: tuple[float, float]) -> Plane:
    """Return the autocorrelation in a band in deviations of chance, zero shift in the middle."""
    rows, columns = plane.shape
    size = cv2.getOptimalDFTSize(2 * rows), cv2.getOptimalDFTSize(2 * columns)
    size = size[0] + size[0] % 2, size[1] + size[1] % 2
    power = np.abs(np.fft.rfft2(plane, s=size)) ** 2
    radius = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])
    ring = np.asarray(radius * 256, np.intp)
    mean = np.bincount(ring.ravel(), power.ravel()) / np.maximum(np.bincount(ring.ravel()), 1)
    inside = (radius >= band[0]) & (radius < band[1])
    flat = np.where(inside, power / np.maximum(mean[ring], np.finfo(np.float32).tiny), 0)
    found = np.fft.fftshift(np.fft.irfft2(flat, s=size))
    down = np.abs(np.arange(size[0]) - size[0] // 2)[:, None]
    across = np.abs(np.arange(size[1]) - size[1] // 2)[None]
    overlap = np.maximum(1 - down / rows, 0) * np.maximum(1 - across / columns, 0)
    seen = overlap >= _LEAST_OVERLAP
    # Chance falls with the square root of the overlap.
    result = np.where(seen, found / np.sqrt(np.maximum(overlap, _LEAST_OVERLAP)), 0)
    far = seen & (np.hypot(down, across) > _SHORTEST / 2)
    deviation = float(result[far].std()) if far.any() else 1.0
    return np.asarray(result / (deviation or 1.0), np.float32)


def _peaks(found: Plane) -> NDArray[np.intp]:
    """Return the highest local maxima of one half plane, relative to the middle: (n, 2)."""
    middle = found.shape[0] // 2, found.shape[1] // 2
    highest = cv2.dilate(found, np.ones((5, 5), np.uint8))
    down = np.arange(found.shape[0])[:, None] - middle[0]
    across = np.arange(found.shape[1])[None] - middle[1]
    length = np.hypot(down, across)
    # Directions of one quarter: the second vector stands in the next.
    quarter = (across > 0) & (down >= 0)
    allowed = (found == highest) & quarter & (length >= _SHORTEST) & (length <= _LONGEST)
    places = np.argwhere(allowed)
    order = np.argsort(-found[allowed])[:_PEAKS]
    return np.asarray(places[order] - np.array(middle), np.intp)


def _at(found: Plane, vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the values at vectors from the middle, 0 outside: (n,)."""
    middle = np.array(found.shape) // 2
    places = np.rint(vectors).astype(np.intp) + middle
    inside = ((places >= 0) & (places < np.array(found.shape))).all(axis=-1)
    clipped = np.clip(places, 0, np.array(found.shape) - 1)
    values = found[clipped[..., 0], clipped[..., 1]]
    return np.asarray(np.where(inside, values, 0), np.float32)


def _summit(found: Plane, vector: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Return the highest place near a vector, to a fraction by a parabola."""
    middle = np.array(found.shape) // 2
    centre = np.rint(vector).astype(np.intp) + middle
    low = np.maximum(centre - reach, 1)
    high = np.minimum(centre + reach + 1, np.array(found.shape) - 1)
    if not (high > low).all():
        return vector
    part = found[low[0] : high[0], low[1] : high[1]]
    row, column = np.array(divmod(int(part.argmax()), part.shape[1])) + low
    offsets = []
    for values in (found[row - 1 : row + 2, column], found[row, column - 1 : column + 2]):
        before, here, after = (float(value) for value in values)
        bend = before - 2 * here + after
        offsets.append(np.clip((before - after) / (2 * bend), -0.5, 0.5) if bend < 0 else 0.0)
    summit = np.array([row + offsets[0], column + offsets[1]]) - middle
    return np.asarray(summit, np.float64)


def _refined(found: Plane, lattice: Lattice) -> Lattice:
    """Return the lattice fitted to all of its points that are seen."""
    basis = np.stack([lattice.first, lattice.second])
    for reach_orders in range(1, _ORDERS):
        orders = np.array(
            [
                (one, other)
                for one in range(-reach_orders, reach_orders + 1)
                for other in range(reach_orders + 1)
                if (other, one) > (0, 0)
            ],
            np.float64,
        )
        places = np.stack([_summit(found, vector, 2) for vector in orders @ basis])
        heights = np.maximum(_at(found, places) - _REFINED, 0).astype(np.float64)
        if np.count_nonzero(heights) < len(basis) + 1:
            break
        weight = np.sqrt(heights)[:, None]
        basis = np.linalg.lstsq(orders * weight, places * weight, rcond=None)[0]
    return Lattice(first=basis[0], second=basis[1], strength=lattice.strength)


def find_lattices(plane: Plane) -> list[Lattice]:
    """Return the square-like lattices that a whitened copy repeats itself along.

    Parameters
    ----------
    plane
        (rows, columns), without local mean, of about equal deviation everywhere.

    Returns
    -------
    list
        At most eight, the strongest first in each of two bands of frequencies; lattices of chance
        where none is there.

    References
    ----------
    Kutter 1998, Watermarking resisting to translation, rotation, and scaling,
    doi:10.1117/12.337432.
    """
    return [lattice for band in _BANDS for lattice in _in_band(plane, band)]


def _in_band(plane: Plane, band: tuple[float, float]) -> list[Lattice]:
    found = _autocorrelation(plane, band)
    peaks = _peaks(found).astype(np.float64)
    if not len(peaks):
        return []
    near = cv2.dilate(found, np.ones((_SLACK, _SLACK), np.uint8))
    turned = np.stack([-peaks[:, 1], peaks[:, 0]], axis=1)
    strength = _at(found, peaks) + _at(near, turned)
    strength = strength + _at(near, peaks + turned) / 2 + _at(near, peaks - turned) / 2
    result = []
    for index in np.argsort(-strength)[:_LATTICES]:
        second = _summit(found, turned[index], _SLACK // 2)
        first = _summit(found, peaks[index], 1)
        raw = Lattice(first=first, second=second, strength=float(strength[index]))
        result.append(_refined(found, raw))
    return result


def straightened(plane: Plane, lattice: Lattice) -> Plane:
    """Return the plane turned and scaled so that the lattice becomes that of whole tiles."""
    # Columns: (down, across) in the copy for one place down and one across.
    matrix = np.stack([lattice.first, lattice.second], axis=1) / TILE
    rows, columns = plane.shape
    corners = np.array([[0, rows, 0, rows], [0, 0, columns, columns]], np.float64)
    placed = np.linalg.solve(matrix, corners)
    extent = placed.max(axis=1) - placed.min(axis=1)
    tiles = np.clip(np.ceil(extent / TILE), 1, _MOST_TILES).astype(np.intp)
    origin = matrix @ placed.min(axis=1)
    # OpenCV writes (across, down).
    warp = np.array(
        [
            [matrix[1, 1], matrix[1, 0], origin[1]],
            [matrix[0, 1], matrix[0, 0], origin[0]],
        ]
    )
    size = (int(tiles[1]) * TILE, int(tiles[0]) * TILE)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plane, warp, size, flags=flags), np.float32)
