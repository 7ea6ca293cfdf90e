"""Find the pattern again in a copy that was cropped, turned, scaled, mirrored or inverted.

The pattern is periodic, so that what is heard of it resembles itself one tile further: where, tells
turn and scale, for all of its energy at once and without the key. The keyed synchronisation then
tells shift, quarter turns and mirroring.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.protection.watermark.frame import Plane
from medseal.protection.watermark.pattern import TILE, Pattern, fold

__all__ = ["Placement", "Position", "origin", "placements", "positions", "rectified"]

# Magnifications of the copy's working frame against that of the whole image.
_LEAST_SCALE, _MOST_SCALE = 0.4, 2.4
# The spectrum is divided by its surroundings, a window of this side at the usual size.
_SPECTRUM, _SURROUNDINGS = 512, 31
# The lattice of tiles: steps of scale and angle, steps apart, places that must overlap.
_LATTICE_STEP = 0.01
_APART = 6
_LEAST_OVERLAP = 2000
# Lattice vectors, in tiles; the others repeat these, and the far ones tell angles more finely.
_VECTORS = np.array([[1, 0], [0, 1], [1, 1], [1, -1], [2, 0], [0, 2]], np.float64)
# Copies made wider or narrower by some percent; refinement reaches those between.
_ASPECTS = (1.0, 1.025, 1 / 1.025)
# Refinement: first step, rounds of halving.
_FIRST_STEP, _ROUNDS = 0.006, 5
_GAIN_TO_GO_ON = 1.0005
_LARGEST_SIDE = 640
_WHOLE = 0.99
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Placement:
    """Where the working frame of the whole image lies in that of a copy.

    Attributes
    ----------
    matrix
        (2, 2): horizontal and vertical offset in the image to those in the copy, up to quarter
        turns and mirroring.
    score
        How much the copy resembles itself one tile further, in deviations; up to about 5 without
        a mark.
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
    inverted
        Whether the tile was turned from light to dark.
    turns, mirrored, shift
        What was undone: quarter turns counter-clockwise, then columns in reverse order, then rows
        and columns of shift.
    """

    tile: NDArray[np.float64]
    strength: float
    inverted: bool
    turns: int
    mirrored: bool
    shift: tuple[int, int]


class _Likeness:
    """How much an estimate resembles itself at every distance."""

    def __init__(self, estimate: Plane) -> None:
        self._shape = estimate.shape
        self._size = 2 ** int(np.ceil(np.log2(2 * max(estimate.shape))))
        spectrum = np.fft.rfft2(estimate - estimate.mean(), (self._size, self._size))
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        side = _SURROUNDINGS * self._size // _SPECTRUM | 1
        # Divided by its surroundings, every wave counts alike: edges are heard in few directions.
        around = cv2.blur(power, (side, side), borderType=cv2.BORDER_REFLECT) + np.float32(1e-9)
        # Twice as finely as places lie, so that the peaks between them are seen.
        half = self._size // 2
        even = np.zeros((2 * self._size, self._size + 1), np.float32)
        even[:half, : half + 1] = (power / around)[:half]
        even[-half:, : half + 1] = (power / around)[half:]
        likeness = np.fft.irfft2(even, (2 * self._size, 2 * self._size))
        self._likeness = np.asarray(likeness / max(float(likeness[0, 0]), _TINY), np.float32)
        self._places = float(estimate.size)

    def strength(
        self, across: NDArray[np.float64], down: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the likeness at lattices of tiles, in deviations.

        Parameters
        ----------
        across, down
            (6, ...): offsets of the lattice vectors.
        """
        rows, columns = self._shape
        overlap = np.maximum(rows - np.abs(down), 0) * np.maximum(columns - np.abs(across), 0)
        overlap *= overlap > _LEAST_OVERLAP
        heard = np.where(overlap > 0, self._at(across, down), 0).sum(axis=0) * self._places
        return np.asarray(heard / np.sqrt(np.maximum(overlap.sum(axis=0), 1)))

    def _at(self, across: NDArray[np.float64], down: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the likeness between the whole distances."""
        left, top = np.floor(2 * across), np.floor(2 * down)
        x, y = 2 * across - left, 2 * down - top
        size = self._likeness.shape[0]
        column, row = left.astype(np.intp) % size, top.astype(np.intp) % size
        after, below = (column + 1) % size, (row + 1) % size
        plane = self._likeness
        upper = plane[row, column] * (1 - x) + plane[row, after] * x
        lower = plane[below, column] * (1 - x) + plane[below, after] * x
        return np.asarray(upper * (1 - y) + lower * y)

    def coarse(self, count: int) -> list[tuple[float, NDArray[np.float64]]]:
        """Return the strongest scales and turns, turns within a quarter."""
        scales = np.exp(np.arange(np.log(_LEAST_SCALE), np.log(_MOST_SCALE), _LATTICE_STEP))
        angles = np.arange(0, np.pi / 2, _LATTICE_STEP)
        cosine, sine = TILE * scales[:, None] * np.stack([np.cos(angles), np.sin(angles)])[:, None]
        first, second = _VECTORS[:, 0, None, None], _VECTORS[:, 1, None, None]
        across, down = first * cosine - second * sine, first * sine + second * cosine
        found = []
        for aspect in _ASPECTS:
            strength = self.strength(across * aspect, down / aspect)
            for _ in range(count):
                row, column = divmod(int(strength.argmax()), angles.size)
                x, y = cosine[row, column] / TILE, sine[row, column] / TILE
                matrix = np.diag([aspect, 1 / aspect]) @ np.array([[x, -y], [y, x]])
                found.append((float(strength[row, column]), matrix))
                near = np.arange(column - _APART, column + _APART + 1) % angles.size
                strength[max(row - _APART, 0) : row + _APART + 1, near] = -np.inf
        return sorted(found, key=lambda one: -one[0])[:count]

    def score(self, matrix: NDArray[np.float64]) -> float:
        """Return the strength of one lattice."""
        across, down = matrix @ _VECTORS.T * TILE
        return float(self.strength(across, down))

    def refined(self, matrix: NDArray[np.float64]) -> Placement:
        """Return the best lattice near one, by small changes of scale, angle, aspect and shear."""
        best, step = self.score(matrix), _FIRST_STEP
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


# Small changes of scale, of angle, of aspect and of shear.
_CHANGES = tuple(
    np.array(change, np.float64)
    for change in ([[1, 0], [0, 1]], [[0, -1], [1, 0]], [[1, 0], [0, -1]], [[0, 1], [1, 0]])
)


def placements(estimates: Sequence[tuple[Plane, float]], *, count: int) -> Iterator[Placement]:
    """Yield the likeliest turns and scales of a copy, refined one by one.

    Parameters
    ----------
    estimates
        What the extraction network hears in the copy's working frame, (rows, columns) each, and
        the size of that frame against the first one: a magnified copy is heard best in a smaller
        frame.
    count
        How many, the likeliest first. Each leads to the first frame.
    """
    scored = [
        (score, likeness, matrix, size)
        for likeness, size in [(_Likeness(estimate), size) for estimate, size in estimates]
        for score, matrix in likeness.coarse(count)
    ]
    scored.sort(key=lambda one: -one[0])
    for _, likeness, matrix, size in scored[:count]:
        placement = likeness.refined(matrix)
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


def _correlation(tile: NDArray[np.float64], pattern: Pattern) -> NDArray[np.float64]:
    """Return the correlation of a tile with the synchronisation, in deviations; 0 in silence."""
    found = np.fft.ifft2(np.fft.fft2(tile) * np.conj(pattern.sync_spectrum)).real
    deviation = float(found.std())
    return np.asarray(found / deviation if deviation > 0 else np.zeros_like(found))


def _undone(estimate: Plane, turns: int, mirrored: bool) -> Plane:
    """Return an estimate after quarter turns counter-clockwise, and mirrored then."""
    turned = np.rot90(estimate, turns)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def origin(
    estimate: Plane, pattern: Pattern, *, turns: int = 0, mirrored: bool = False
) -> Position:
    """Return the position of a copy that was not cut, whatever its synchronisation says.

    Parameters
    ----------
    estimate, pattern
        As for `positions`.
    turns, mirrored
        What is undone.
    """
    tile = fold(_undone(estimate, turns, mirrored))
    strength = float(_correlation(tile, pattern)[0, 0])
    return Position(
        tile=tile,
        strength=strength,
        inverted=False,
        turns=turns,
        mirrored=mirrored,
        shift=(0, 0),
    )


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
    for turns, mirrored in orientations:
        tile = fold(_undone(estimate, turns, mirrored))
        strength = _correlation(tile, pattern)
        if not strength.any():
            continue
        for _ in range(count):
            row, column = divmod(int(np.abs(strength).argmax()), TILE)
            here = float(strength[row, column])
            moved = np.roll(tile, (-row, -column), axis=(0, 1))
            found.append(
                Position(
                    tile=-moved if here < 0 else moved,
                    strength=here,
                    inverted=here < 0,
                    turns=turns,
                    mirrored=mirrored,
                    shift=(row, column),
                )
            )
            near = [(np.arange(place - 1, place + 2)) % TILE for place in (row, column)]
            strength[np.ix_(*near)] = 0
    return sorted(found, key=lambda position: -abs(position.strength))[:count]
