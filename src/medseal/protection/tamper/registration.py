"""Where the places of a recorded image lie in a copy, and its grey curve: found on tile means.

All that the record has to offer is a coarse reference: the means of at most 1024 tiles, roughly
quantised. A copy that was turned, mirrored, resized, cropped, rotated by some degrees, windowed,
bent in its greys or inverted is brought back onto the record's places with it.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import frozen
from medseal.protection.tamper.grey_curve import GreyCurve, Knots
from medseal.protection.tamper.orientation import Orientation
from medseal.protection.tamper.registration_evidence import Record
from medseal.protection.tamper.registration_fit import (
    SAMPLES,
    Alignment,
    Grid,
    curve_at,
    warped,
)
from medseal.protection.tamper.registration_search import Frames
from medseal.protection.tamper.registration_solve import (
    LAST_ROUNDS,
    LEAST_OVERLAP,
    Search,
    Solution,
)

__all__ = ["TILE_SIDE", "Registration", "rectified", "refine", "register"]

TILE_SIDE = 16
"""Places of the canonical plane a tile, down and across."""

Plane = NDArray[np.float32]
Values = NDArray[np.float64]

# Below these there is nothing to hold on to: spread of the record's means in their errors, and
# spread of the copy in levels.
_LEAST_SPREAD = 1.5
_LEAST_DEVIATION = 0.5
_LEAST_ERROR = 0.5
_LEAST_CORRELATION = 0.3
_AREA = 1.3
_EDGE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Registration:
    """How a copy lies on the record.

    Attributes
    ----------
    matrix
        (2, 3), read-only: (column, row) of a place of the canonical plane to that in the copy;
        pixel centres lie at whole numbers.
    curve
        The copy's levels to the record's.
    overlap
        Share of the tiles that lie wholly inside the copy.
    correlation
        Of tile means after the fit, without the 12 % that fit worst, -1 to 1; low for another
        image.
    explained
        Share of the tiles inside the copy that it shows as they were, 0 to 1, counted finely.
    residual
        Robust root mean square difference of tile means, in levels; hardly more than the
        reference error for a faithful copy.
    error
        Expected error of the matrix, root mean square over the plane, in canonical places.
    orientation
        What was undone first.
    motion
        The simplest motion that explains the copy, after the orientation: ``unmoved`` (also
        resized), ``turned``, ``cropped``...
    degrees
        Counter-clockwise turn of the copy, after the orientation.
    scales
        Size of the copy's pixels: pixels of the copy a pixel of the original, columns first.
    """

    matrix: Values
    curve: GreyCurve
    overlap: float
    correlation: float
    explained: float
    residual: float
    error: float
    orientation: Orientation
    motion: str
    degrees: float
    scales: tuple[float, float]

    @property
    def moved(self) -> bool:
        """True if more was done than turning by quarters, mirroring and resizing."""
        return self.motion != "unmoved"


def _working_plane(query: Plane, tiles: tuple[int, int]) -> Plane:
    """Return a copy at about eight places a tile."""
    rows, columns = query.shape
    scale = np.sqrt(SAMPLES * SAMPLES * tiles[0] * tiles[1] / (rows * columns))
    size = max(SAMPLES, round(columns * scale)), max(SAMPLES, round(rows * scale))
    shrinks = size[0] * size[1] < query.size
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(query, size, interpolation=method), np.float32)


def _to_places(frames: Frames, matrix: Values) -> Values:
    """Return a map from canonical places to pixels of the copy for one from tiles."""
    down, across = frames.tiles
    ratio = np.array([frames.query[1] / frames.plane[1], frames.query[0] / frames.plane[0]])
    linear = matrix[:, :2] / TILE_SIDE
    first = np.array([0.5 / TILE_SIDE - across / 2, 0.5 / TILE_SIDE - down / 2])
    offset = matrix[:, :2] @ first + matrix[:, 2]
    return np.column_stack([linear * ratio[:, None], (offset + 0.5) * ratio - 0.5])


def _to_tiles(frames: Frames, matrix: Values) -> Values:
    """Return a map from tiles to the working plane for one from canonical places."""
    down, across = frames.tiles
    ratio = np.array([frames.plane[1] / frames.query[1], frames.plane[0] / frames.query[0]])
    linear = matrix[:, :2] * TILE_SIDE
    middle = np.array([across, down]) * TILE_SIDE / 2 - 0.5
    offset = matrix[:, :2] @ middle + matrix[:, 2]
    return np.column_stack([linear * ratio[:, None], (offset + 0.5) * ratio - 0.5])


def _place_error(found: Alignment, tiles: tuple[int, int]) -> float:
    """Return the expected error of a free map over the plane, in canonical places."""
    covariance = np.linalg.inv(found.information)
    half = max(tiles) / 2
    # Mean squares of 1, x and y over the plane, in half sides.
    squares = np.array([1, (tiles[1] / half) ** 2 / 12, (tiles[0] / half) ** 2 / 12])
    power = float((np.diag(covariance).reshape(2, 3) * squares).sum())
    return float(np.sqrt(max(power, 0.0))) * TILE_SIDE


def _grid(query: Plane, target: Plane, error: float, weights: Plane | None = None) -> Grid:
    tiles = (target.shape[0], target.shape[1])
    return Grid(
        plane=_working_plane(query, tiles),
        target=np.ascontiguousarray(target, np.float32),
        record=Record.of(target, max(float(error), _LEAST_ERROR), weights),
    )


def _registration(grid: Grid, frames: Frames, solution: Solution) -> Registration | None:
    found, motion = solution.found, solution.motion
    if found.correlation < _LEAST_CORRELATION or found.overlap < LEAST_OVERLAP:
        return None
    knots = found.fit.knots
    shares = knots.shares(warped(grid.plane, found.matrix, grid.tiles, SAMPLES), grid.tiles)
    target = grid.target.astype(np.float64).ravel()
    linear = motion.linear
    return Registration(
        matrix=frozen(_to_places(frames, found.matrix)),
        curve=found.fit.curve(shares, target, found.evidence.trust, grid.record.error),
        overlap=found.overlap,
        correlation=found.correlation,
        explained=found.explained,
        residual=found.residual,
        error=_place_error(found, grid.tiles) if motion.name != "unmoved" else 0.0,
        orientation=solution.orientation,
        motion=motion.name,
        degrees=float(
            np.rad2deg(np.arctan2(linear[0, 1] - linear[1, 0], linear[0, 0] + linear[1, 1]))
        ),
        scales=(float(np.hypot(*linear[:, 0])), float(np.hypot(*linear[:, 1]))),
    )


def register(
    query: Plane, reference: Plane, *, reference_error: float, expected_shape: tuple[int, int]
) -> Registration | None:
    """Return how a copy lies on the record, None if that cannot be told.

    Parameters
    ----------
    query
        (rows, columns), levels 0 to 255 of the copy.
    reference
        (down, across), the record's tile means, at most 1024.
    reference_error
        Standard deviation of their errors, in levels.
    expected_shape
        Rows and columns of the original.
    """
    if float(reference.std()) < _LEAST_SPREAD * max(reference_error, 0.5):
        return None
    grid = _grid(query, reference, reference_error)
    knots = Knots.of(grid.plane)
    if knots is None or float(grid.plane.std()) < _LEAST_DEVIATION:
        return None
    frames = _frames(grid, query, expected_shape)
    solution = Search(grid, frames, knots).best()
    return None if solution is None else _registration(grid, frames, solution)


def refine(
    query: Plane,
    registration: Registration,
    target: Plane,
    *,
    target_error: float,
    expected_shape: tuple[int, int],
    weights: Plane | None = None,
) -> Registration | None:
    """Return a registration improved with better tile means, None if it does not hold.

    Parameters
    ----------
    query, expected_shape
        As for `register`.
    registration
        Where to begin.
    target
        (down, across), tile means of the record, better known than the reference.
    target_error
        Standard deviation of their errors, in levels.
    weights
        (down, across), 0 to 1: how far each is to be believed; 1 if None.
    """
    grid = _grid(query, target, target_error, weights)
    knots = Knots.of(grid.plane)
    if knots is None:
        return None
    frames = _frames(grid, query, expected_shape)
    matrix = _to_tiles(frames, registration.matrix)
    start = curve_at(grid, matrix, knots, rising=registration.curve.rising)
    solution = Search(grid, frames, knots).solved(start, registration.orientation, LAST_ROUNDS)
    return _registration(grid, frames, solution)


def _frames(grid: Grid, query: Plane, expected_shape: tuple[int, int]) -> Frames:
    return Frames(
        tiles=grid.tiles,
        expected=expected_shape,
        query=(query.shape[0], query.shape[1]),
        plane=(grid.plane.shape[0], grid.plane.shape[1]),
    )


def rectified(
    query: Plane, registration: Registration, shape: tuple[int, int]
) -> tuple[Plane, NDArray[np.bool_]]:
    """Return a copy on the canonical plane, and which of its places were seen.

    Parameters
    ----------
    query
        (rows, columns), levels of the copy.
    registration
        Of this copy.
    shape
        Rows and columns of the canonical plane.

    Returns
    -------
    tuple
        Levels of the copy, its grey curve not applied, and flags: each of the shape.
    """
    matrix = registration.matrix.copy()
    # A finer plane than the canonical one is shrunk by area means first.
    sides = np.hypot(matrix[:, 0], matrix[:, 1])
    step = float(np.sqrt(sides.prod()))
    if step > _AREA:
        rows, columns = query.shape
        size = max(1, round(columns / step)), max(1, round(rows / step))
        query = np.asarray(cv2.resize(query, size, interpolation=cv2.INTER_AREA), np.float32)
        ratio = np.array([size[0] / columns, size[1] / rows])
        matrix[:, :2] *= ratio[:, None]
        matrix[:, 2] = (matrix[:, 2] + 0.5) * ratio - 0.5
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = shape[1], shape[0]
    plane = cv2.warpAffine(query, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    rows, columns = query.shape
    x, y = np.arange(shape[1]), np.arange(shape[0])[:, None]
    inside = np.ones(shape, np.bool_)
    for line, side in ((0, columns), (1, rows)):
        place = matrix[line, 0] * x + matrix[line, 1] * y + matrix[line, 2]
        inside &= (place >= -0.5 - _EDGE) & (place <= side - 0.5 + _EDGE)
    return np.asarray(plane, np.float32), inside
