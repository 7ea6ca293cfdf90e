"""Where a registration may begin: a dense search on a few hundred tile means."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import frozen
from medseal.protection.tamper.grey_curve import look_up, rank_curve
from medseal.protection.tamper.orientation import ORIENTATIONS, Orientation
from medseal.protection.tamper.registration_fit import SAMPLES, Grid, composed

__all__ = ["Frames", "Start", "oriented", "starts"]

# Cells of the coarse field, about; how far it is moved, in cells.
_CELLS = 256
_REACH = 3
# Places a cell in the plane that is looked up.
_PLACES = 4
_ANGLES = np.deg2rad([-8.0, -4.0, 0.0, 4.0, 8.0])
# Content against frame: below 1 it has a border around, above 1 it was cropped.
_SCALES = (0.8, 0.89, 1.0, 1.1, 1.21, 1.33)
_ASPECTS = (1.0, 1.12, 1 / 1.12)
# Frames whose sides are in another proportion than the record's may have been cropped.
_OTHER_PROPORTION = 0.03
_LEAST_SHARE = 0.5
_SHARE_POWER = 0.2
# Starts this near to a better one lead to the same place, in cells.
_APART = 1.2
_TINY = 1e-6

Plane = NDArray[np.float32]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """The sizes that lead from the record's tiles to the copy's working plane.

    Attributes
    ----------
    tiles
        Down and across.
    expected
        Rows and columns of the original.
    query
        Rows and columns of the copy.
    plane
        Rows and columns of its working plane.
    """

    tiles: tuple[int, int]
    expected: tuple[int, int]
    query: tuple[int, int]
    plane: tuple[int, int]

    def matrix(self, orientation: Orientation, linear: Values, shift: Values) -> Values:
        """Return the map from tiles to the working plane.

        Parameters
        ----------
        orientation
            What was done to the copy first.
        linear
            (2, 2), then, in pixels of original and copy about their centres.
        shift
            (2,), in pixels of the copy, columns first.
        """
        down, across = self.tiles
        pixels = np.array([self.expected[1] / across, self.expected[0] / down])
        whole = linear @ oriented(orientation) * pixels
        reduced = np.array(
            [self.plane[1] / self.query[1], self.plane[0] / self.query[0]],
        )
        centre = np.array([self.plane[1] - 1, self.plane[0] - 1]) / 2
        return np.column_stack([whole * reduced[:, None], shift * reduced + centre])

    def matrices(self, orientation: Orientation, linears: Values, offset: Values) -> Values:
        """Return `matrix` for many linear parts, (maps, 2, 2), with one offset: (maps, 2, 3)."""
        first = self.matrix(orientation, np.eye(2), np.zeros(2))[:, :2]
        reduced = np.array([self.plane[1] / self.query[1], self.plane[0] / self.query[0]])
        whole = (linears * reduced[:, None]) @ (first / reduced[:, None])
        offsets = np.broadcast_to(offset[:, None], (len(linears), 2, 1))
        return np.concatenate([whole, offsets], axis=2)

    def motion(self, matrix: Values, orientation: Orientation) -> tuple[Values, Values]:
        """Return `linear` and `shift` of a map."""
        down, across = self.tiles
        pixels = np.array([self.expected[1] / across, self.expected[0] / down])
        reduced = np.array([self.plane[1] / self.query[1], self.plane[0] / self.query[0]])
        centre = np.array([self.plane[1] - 1, self.plane[0] - 1]) / 2
        linear = (matrix[:, :2] / reduced[:, None] / pixels) @ oriented(orientation).T
        return linear, (matrix[:, 2] - centre) / reduced

    def fill(self, orientation: Orientation) -> Values:
        """Return the scales of the original, oriented, that fills the copy: columns first."""
        rows, columns = self.expected[::-1] if orientation.swaps_sides else self.expected
        return np.array([self.query[1] / columns, self.query[0] / rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Start:
    """Where a registration may begin.

    Attributes
    ----------
    matrix
        (2, 3): tiles to the working plane.
    orientation
        Of the copy.
    score
        Correlation of the fields, negative for a negative.
    """

    matrix: Values
    orientation: Orientation
    score: float


@cache
def oriented(orientation: Orientation) -> Values:
    """Return the matrix of an orientation, columns first, rows downwards: (2, 2)."""
    turn = np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), orientation.quarter_turns)
    mirror = np.diag([-1 if orientation.mirrored else 1, 1])
    return frozen(np.asarray(mirror @ turn, np.float64))


def rotation(angle: float) -> Values:
    """Return a turn counter-clockwise in radians, columns first, rows downwards: (2, 2)."""
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine, sine], [-sine, cosine]])


def _linears(frames: Frames, orientation: Orientation) -> Values:
    """Return the turns and scales to be tried in an orientation: (maps, 2, 2)."""
    fill = frames.fill(orientation)
    bases = [np.diag(fill * [aspect**0.5, aspect**-0.5]) for aspect in _ASPECTS]
    if abs(np.log(fill[0] / fill[1])) > _OTHER_PROPORTION:
        bases += [np.diag([side, side]) for side in (fill.max(), fill.min())]
    tried = np.stack(bases)[:, None] @ _TURNED
    return np.asarray(tried.reshape(-1, 2, 2), np.float64)


def ranks(values: Plane) -> Plane:
    """Return how many values are smaller, ties alike to within a level, of the same shape."""
    whole = np.rint(values.ravel())
    ordered = np.sort(whole)
    first = np.searchsorted(ordered, whole, side="left")
    last = np.searchsorted(ordered, whole, side="right")
    return np.asarray((first + last).reshape(values.shape) / 2, np.float32)


# All turns at all scales: (maps, 2, 2).
_TURNED = np.stack([scale * rotation(angle) for scale, angle in product(_SCALES, _ANGLES)])


class _Field:
    """The record's means on a few cells, and the copy's levels to be looked up."""

    def __init__(self, grid: Grid) -> None:
        down, across = grid.tiles
        side = np.sqrt(down * across / _CELLS)
        self.shape = max(4, round(down / side)), max(4, round(across / side))
        self.cell = np.array([across / self.shape[1], down / self.shape[0]])
        target = cv2.resize(ranks(grid.target), self.shape[::-1], interpolation=cv2.INTER_AREA)
        # Ranks know neither the curve nor, but for their sign, negatives.
        shown = look_up(rank_curve(grid.plane), grid.plane)
        self.shrunk = SAMPLES * float(np.sqrt(self.cell.prod())) / _PLACES
        size = tuple(max(4, round(length / self.shrunk)) for length in shown.shape)
        shown = cv2.resize(shown, size[::-1], interpolation=cv2.INTER_AREA)
        self.plane = cv2.blur(shown, (_PLACES, _PLACES), borderType=cv2.BORDER_REPLICATE)
        self.ratio = np.array([size[1], size[0]]) / np.array(grid.plane.shape[::-1])
        rows, columns = (length + 2 * _REACH for length in self.shape)
        x = (np.arange(columns) - (columns - 1) / 2) * self.cell[0]
        y = (np.arange(rows) - (rows - 1) / 2) * self.cell[1]
        places = np.stack([np.tile(x, rows), np.repeat(y, columns), np.ones(rows * columns)])
        self.places = places.astype(np.float32)
        self.shifts = np.array(list(product(range(2 * _REACH + 1), repeat=2)))
        laid = np.zeros((3, len(self.shifts), rows, columns), np.float32)
        for index, (top, left) in enumerate(self.shifts):
            cut = np.s_[index, top : top + self.shape[0], left : left + self.shape[1]]
            laid[0][cut], laid[1][cut], laid[2][cut] = 1, target, target * target
        self.laid = laid.reshape(3, len(self.shifts), -1).transpose(2, 0, 1)

    def seen(self, matrices: Values) -> tuple[Plane, Plane]:
        """Return levels and whether they lie inside, at all cells: each (matrices, cells)."""
        places = matrices.astype(np.float32) @ self.places
        rows, columns = self.plane.shape
        x = (places[:, 0] + np.float32(0.5)) * np.float32(self.ratio[0])
        y = (places[:, 1] + np.float32(0.5)) * np.float32(self.ratio[1])
        inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
        column = np.clip(x, 0, columns - 1).astype(np.intp)
        row = np.clip(y, 0, rows - 1).astype(np.intp)
        return self.plane[row, column] * inside, inside.astype(np.float32)

    def scores(self, matrices: Values) -> Plane:
        """Return the correlation at every shift: (matrices, shifts)."""
        level, inside = self.seen(matrices)
        count, cells = len(self.shifts), self.laid.shape[0]
        laid = self.laid.reshape(cells, -1)
        number, first, second = np.split(inside @ laid, 3, axis=1)
        number = np.maximum(number, 1)
        mean, product_ = np.split(level @ laid[:, : 2 * count], 2, axis=1)
        power = (level * level) @ laid[:, :count] - mean * mean / number
        other = second - first * first / number
        joint = product_ - mean * first / number
        share = number / np.prod(self.shape)
        likeness = joint / np.sqrt(np.maximum(power, _TINY) * np.maximum(other, _TINY))
        weighted = likeness * np.minimum(share, 1) ** _SHARE_POWER
        return np.asarray(np.where(share < _LEAST_SHARE, 0, weighted), np.float32)


def starts(
    grid: Grid,
    frames: Frames,
    *,
    count: int,
    orientations: Sequence[Orientation] = ORIENTATIONS,
) -> list[Start]:
    """Return the likeliest places to begin, the likeliest first.

    Parameters
    ----------
    grid, frames
        Record and copy.
    count
        How many at most.
    orientations
        Which to try.
    """
    field = _Field(grid)
    turned, matrices = [], []
    for orientation in orientations:
        linears = _linears(frames, orientation)
        still = frames.matrix(orientation, np.eye(2), np.zeros(2))
        turned += [orientation] * len(linears)
        matrices.append(frames.matrices(orientation, linears, still[:, 2]))
    tried = np.concatenate(matrices)
    scores = field.scores(tried)
    corners = np.array([[-1, 1, -1, 1], [-1, -1, 1, 1], [0, 0, 0, 0]]) / 2.0
    corners[:2] *= np.array(grid.tiles[::-1])[:, None]
    corners[2] = 1
    found: list[Start] = []
    ends: list[Values] = []
    for place in np.argsort(-np.abs(scores), axis=None)[: 40 * count]:
        index, shift = divmod(int(place), scores.shape[1])
        moved = (field.shifts[shift][::-1] - _REACH) * field.cell
        matrix = composed(tried[index], np.column_stack([np.eye(2), moved]))
        end = matrix @ corners
        away = _APART * SAMPLES * float(field.cell.mean())
        if any(np.sqrt(np.mean((end - other) ** 2) * 2) < away for other in ends):
            continue
        ends.append(end)
        found.append(
            Start(matrix=matrix, orientation=turned[index], score=float(scores[index, shift]))
        )
        if len(found) == count:
            break
    return found
