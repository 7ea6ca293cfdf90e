"""Find the pattern again in a copy that was cropped, turned, scaled, mirrored or inverted.

The waves of the synchronisation keep their distances in the spectrum of the copy: turned copies
have them turned, magnified copies have them nearer to the centre. In logarithm of frequency and
angle both are shifts, so that one sum of shifted pictures tries all turns and scales at once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.frame import FRAME_SIDE, Plane
from medseal.protection.watermark.pattern import TILE, Pattern, fold

__all__ = ["Placement", "Position", "placements", "positions", "rectified"]

# Size of the spectrum; frequencies and their logarithmic steps; angles over half a turn.
_SPECTRUM = 512
_LEAST_FREQUENCY, _MOST_FREQUENCY = 0.02, 0.42
_RADII, _ANGLES = 160, 360
_RADIUS_STEP = float(np.log(_MOST_FREQUENCY / _LEAST_FREQUENCY)) / (_RADII - 1)
# Magnifications of the copy's working frame against that of the whole image.
_LEAST_SCALE, _MOST_SCALE = 0.4, 2.4
# The spectrum is compared with its surroundings, cut at this many times their mean.
_SURROUNDINGS = 31
_LOUDEST = 12.0
_SMOOTHING = 0.8
# Strongest places of the search that are refined, and how many differ from each other.
_COARSE = 10
_APART = 2
_LEAST_WAVES = 10
# Refinement: places of the spectrum that a peak is looked for in, then step and rounds of halving.
_REACHES = (3, 2, 2)
_FIRST_STEP, _ROUNDS = 0.004, 5
_GAIN_TO_GO_ON = 1.0005
# Side of the finely sampled spectrum for a frame of the usual size.
_FINE_SPECTRUM = 1024
_LEAST_DETERMINANT = 0.05
_LARGEST_SIDE = 640
_WHOLE = 0.99


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Where the working frame of the whole image lies in that of a copy.

    Attributes
    ----------
    matrix
        (2, 2): horizontal and vertical offset in the image to those in the copy.
    score
        How well the waves of the synchronisation are heard there; comparable within one copy.
    """

    matrix: NDArray[np.float64]
    score: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Position:
    """Where the tile begins.

    Attributes
    ----------
    tile
        (64, 64), the folded estimate moved so that it begins with the image.
    strength
        Of the synchronisation, in deviations; negative where the copy is inverted.
    turns, mirrored, shift
        What was undone: quarter turns counter-clockwise, then columns in reverse order, then rows
        and columns of shift.
    """

    tile: NDArray[np.float64]
    strength: float
    turns: int
    mirrored: bool
    shift: tuple[int, int]


def _whitened(estimate: Plane) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the power spectrum by its surroundings, centred, and the estimate evened out so."""
    rows, columns = estimate.shape
    size = max(_SPECTRUM, 2 ** int(np.ceil(np.log2(max(rows, columns)))))
    spectrum = np.fft.rfft2(estimate - estimate.mean(), (size, size))
    half = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    # The other half of the spectrum of a real plane mirrors this one.
    full = np.empty((size, size), np.float32)
    full[:, : size // 2 + 1] = half
    mirrored = np.roll(half[::-1], 1, axis=0)[:, size // 2 - 1 : 0 : -1]
    full[:, size // 2 + 1 :] = mirrored
    side = _SURROUNDINGS * size // _SPECTRUM | 1
    around = cv2.blur(full, (side, side), borderType=cv2.BORDER_REFLECT) + np.float32(1e-9)
    relative = np.minimum(full / around, np.float32(_LOUDEST))
    even = np.fft.irfft2(spectrum / np.sqrt(around[:, : size // 2 + 1]), (size, size))
    smooth = cv2.GaussianBlur(np.fft.fftshift(relative), (0, 0), _SMOOTHING * size / _SPECTRUM)
    return smooth, np.asarray(even[:rows, :columns], np.float32)


def _log_polar(relative: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the spectrum over logarithm of frequency and angle: (160, 360)."""
    size = relative.shape[0]
    radius = np.exp(np.log(_LEAST_FREQUENCY) + _RADIUS_STEP * np.arange(_RADII))[:, None] * size
    angle = (np.arange(_ANGLES) * np.pi / _ANGLES)[None]
    across = (size / 2 + radius * np.cos(angle)).astype(np.float32)
    down = (size / 2 + radius * np.sin(angle)).astype(np.float32)
    return np.asarray(cv2.remap(relative, across, down, cv2.INTER_LINEAR), np.float32)


def _coarse(
    polar: NDArray[np.float32], waves: NDArray[np.float64], *, mirrored: bool
) -> list[tuple[float, NDArray[np.float64]]]:
    """Return the strongest scales and turns with their strength."""
    first = int(np.floor(np.log(1 / _MOST_SCALE) / _RADIUS_STEP))
    last = int(np.ceil(np.log(1 / _LEAST_SCALE) / _RADIUS_STEP))
    down, across = waves[:, 0], waves[:, 1] * (-1 if mirrored else 1)
    rows = np.log(np.hypot(down, across) / _LEAST_FREQUENCY) / _RADIUS_STEP
    angles = np.arctan2(down, across) % np.pi * (_ANGLES / np.pi)
    total = np.zeros((last - first + 1, _ANGLES), np.float32)
    count = np.zeros((last - first + 1, 1), np.float32)
    for row, angle in zip(np.rint(rows).astype(int), np.rint(angles).astype(int), strict=True):
        places = np.arange(first, last + 1) + row
        inside = (places >= 0) & (places < _RADII)
        total[inside] += np.roll(polar[places[inside]], -angle, axis=1)
        count[inside] += 1
    strength = (total - count) / np.sqrt(np.maximum(count, _LEAST_WAVES))
    found = []
    for _ in range(_COARSE):
        row, angle = divmod(int(strength.argmax()), _ANGLES)
        scale, turn = np.exp(-(row + first) * _RADIUS_STEP), angle * np.pi / _ANGLES
        matrix = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        found.append(
            (float(strength[row, angle]), matrix @ np.diag([-1.0 if mirrored else 1.0, 1]))
        )
        near = np.arange(angle - _APART - 1, angle + _APART + 2) % _ANGLES
        strength[max(row - _APART, 0) : row + _APART + 1, near] = -np.inf
    return found


class _Waves:
    """The waves of the synchronisation, listened to in one estimate."""

    def __init__(self, estimate: Plane, waves: NDArray[np.float64]) -> None:
        self.relative, even = _whitened(estimate)
        self.waves = waves
        size = _FINE_SPECTRUM * max(even.shape) // FRAME_SIDE
        spectrum = np.fft.rfft2(even, (size, size))
        energy = float(np.sum(even * even)) + 1e-12
        power = (spectrum.real**2 + spectrum.imag**2) * (1 / energy)
        self._power = np.minimum(power, _LOUDEST * 3).astype(np.float32)

    def coarse(self) -> list[NDArray[np.float64]]:
        """Return the likeliest turns and scales, by exact score."""
        polar = _log_polar(self.relative)
        pairs = [
            pair
            for mirrored in (False, True)
            for pair in _coarse(polar, self.waves, mirrored=mirrored)
        ]
        pairs.sort(key=lambda pair: -pair[0])
        return [matrix for _, matrix in pairs[:_COARSE]]

    def score(self, matrix: NDArray[np.float64]) -> float:
        """Return the mean power of the waves in units of the noise, each cut."""
        size = self._power.shape[0]
        places = self.waves[:, ::-1] @ np.linalg.inv(matrix) * size
        # The left half of the spectrum of a real plane mirrors the right one.
        places = places * np.where(places[:, :1] < 0, -1, 1)
        corner = np.floor(places).astype(np.intp)
        across, down = (places - corner).T
        column, row = np.minimum(corner[:, 0], size // 2 - 1), corner[:, 1]
        power = self._power
        upper = power[row % size, column] * (1 - across) + power[row % size, column + 1] * across
        lower = power[(row + 1) % size, column] * (1 - across)
        lower += power[(row + 1) % size, column + 1] * across
        return float(np.mean(upper * (1 - down) + lower * down))

    def refined(self, matrix: NDArray[np.float64]) -> Placement:
        """Return the placement near a matrix where the waves are heard best.

        1. The peaks of the spectrum beside the expected places are fitted. 2. Small changes of
        scale, angle, aspect and shear are kept as long as they help.
        """
        # 1.
        best = self.score(matrix)
        for reach in _REACHES:
            fitted = self._fitted(matrix, reach)
            if fitted is None:
                break
            score = self.score(fitted)
            if score > best:
                best, matrix = score, fitted
        # 2.
        step = _FIRST_STEP
        for _ in range(_ROUNDS):
            for change in _CHANGES:
                while True:
                    tried = [(np.eye(2) + sign * step * change) @ matrix for sign in (1, -1)]
                    scores = [self.score(each) for each in tried]
                    if max(scores) <= best * _GAIN_TO_GO_ON:
                        break
                    best, matrix = max(scores), tried[int(np.argmax(scores))]
            step /= 2
        return Placement(matrix=matrix, score=best)

    def _fitted(self, matrix: NDArray[np.float64], reach: int) -> NDArray[np.float64] | None:
        """Return the matrix that leads the waves to the peaks within `reach` of where it does."""
        size = self.relative.shape[0]
        expected = self.waves[:, ::-1] @ np.linalg.inv(matrix)
        bins = np.rint(expected * size).astype(int) + size // 2
        offsets = np.arange(-reach, reach + 1)
        inside = ((bins > reach + 1) & (bins < size - reach - 2)).all(axis=1)
        if inside.sum() < _LEAST_WAVES:
            return None
        bins = bins[inside]
        around = self.relative[
            (bins[:, 1, None] + offsets)[:, :, None], (bins[:, 0, None] + offsets)[:, None, :]
        ]
        flat = around.reshape(len(bins), -1).argmax(axis=1)
        down, across = np.divmod(flat, offsets.size)
        peak = np.stack([across, down], axis=1) - reach + bins
        found = np.stack([self._top(peak, axis) for axis in (0, 1)], axis=1)
        loud = np.maximum(self.relative[peak[:, 1], peak[:, 0]] - 1, 0)[:, None]
        waves = self.waves[inside, ::-1]
        solved, *_ = np.linalg.lstsq(waves * loud, (found - size // 2) / size * loud, rcond=None)
        if abs(np.linalg.det(solved)) < _LEAST_DETERMINANT:
            return None
        return np.asarray(np.linalg.inv(solved))

    def _top(self, peak: NDArray[np.intp], axis: int) -> NDArray[np.float64]:
        """Return the top of the parabola through a peak and its neighbours along an axis."""
        step = np.array([1, 0]) if axis == 0 else np.array([0, 1])
        before, here, after = (
            self.relative[place[:, 1], place[:, 0]].astype(np.float64)
            for place in (peak - step, peak, peak + step)
        )
        bend = np.minimum(before - 2 * here + after, -1e-6)
        return np.asarray(peak[:, axis] + np.clip((before - after) / (2 * bend), -0.5, 0.5))


# Small changes of scale, of angle, of aspect and of shear.
_CHANGES = tuple(
    np.array(change, np.float64)
    for change in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [1, 0]])
)


def placements(
    estimates: Sequence[tuple[Plane, float]], pattern: Pattern, *, count: int
) -> Iterator[Placement]:
    """Yield the likeliest turns and scales of a copy, refined one by one.

    Parameters
    ----------
    estimates
        What the extraction network hears in the copy's working frame, (rows, columns) each, and
        the size of that frame against the first one: a magnified copy is heard best in a smaller
        frame.
    pattern
        Of the key.
    count
        How many, the likeliest first. Each leads to the first frame.
    """
    heard = [(_Waves(estimate, pattern.sync_frequencies), size) for estimate, size in estimates]
    scored = [
        (waves.score(matrix), waves, matrix, size)
        for waves, size in heard
        for matrix in waves.coarse()
    ]
    scored.sort(key=lambda one: -one[0])
    for _, waves, matrix, size in scored[:count]:
        placement = waves.refined(matrix)
        yield Placement(matrix=placement.matrix / size, score=placement.score)


def rectified(frame: Plane, placement: Placement) -> tuple[Plane, Plane]:
    """Return a copy in the scale and turn of the whole image, and where it covers that.

    Parameters
    ----------
    frame
        (rows, columns), levels; the copy in the frame that the placement refers to.

    Returns
    -------
    tuple
        Levels, (rows, columns) of even numbers, and 1 where they come from the copy, else 0.
    """
    rows, columns = frame.shape
    corners = np.array([[-1, 1, -1, 1], [-1, -1, 1, 1]]) * np.array([[columns / 2], [rows / 2]])
    reach = np.linalg.inv(placement.matrix) @ corners
    width, height = (
        min(2 * int(np.ceil(side / 2)), _LARGEST_SIDE) for side in np.ptp(reach, axis=1)
    )
    centre = np.array([columns, rows]) / 2 - 0.5
    offset = centre - placement.matrix @ (np.array([width, height]) / 2 - 0.5)
    affine = np.hstack([placement.matrix, offset[:, None]])
    flags = cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(np.ones_like(frame), affine, (width, height), flags=flags)
    levels = cv2.warpAffine(
        frame,
        affine,
        (width, height),
        flags=flags | cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(levels, np.float32), np.asarray(inside > _WHOLE, np.float32)


def positions(
    estimate: Plane, pattern: Pattern, *, orientations: tuple[tuple[int, bool], ...], count: int
) -> list[Position]:
    """Return the likeliest shifts of the tile, in the given orientations.

    Parameters
    ----------
    estimate
        (rows, columns), what the extraction network hears at the scale of the whole image.
    pattern
        Of the key.
    orientations
        Quarter turns counter-clockwise and then whether to mirror, each to be undone so.
    count
        How many, the likeliest first.
    """
    found = []
    conjugate = np.conj(pattern.sync_spectrum)
    for turns, mirrored in orientations:
        undone = np.rot90(estimate, turns)
        tile = fold(np.ascontiguousarray(undone[:, ::-1] if mirrored else undone))
        correlation = np.fft.ifft2(np.fft.fft2(tile) * conjugate).real
        deviation = float(correlation.std())
        if deviation == 0:
            continue
        strength = correlation / deviation
        for _ in range(count):
            row, column = divmod(int(np.abs(strength).argmax()), TILE)
            here = float(strength[row, column])
            moved = np.roll(tile, (-row, -column), axis=(0, 1))
            found.append(
                Position(
                    tile=-moved if here < 0 else moved,
                    strength=here,
                    turns=turns,
                    mirrored=mirrored,
                    shift=(row, column),
                )
            )
            near = [(np.arange(place - 1, place + 2)) % TILE for place in (row, column)]
            strength[np.ix_(*near)] = 0
    return sorted(found, key=lambda position: -abs(position.strength))[:count]
