"""Narrow proven tiles to the places that changed: an estimate inside them, never outside.

Keyed MACs prove which tiles of a copy changed. A small network guesses where inside, from what the
comparison sees and from the copy itself. It proves nothing and takes nothing back: a tile that is
proven stays so, whatever is guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from medseal.errors import WeightsError

__all__ = ["FEATURES", "HIDDEN", "TENSORS", "Narrowing", "Seen", "features_of", "with_every_group"]

FEATURES = 26
"""What is told of each place."""

HIDDEN = (32, 16)
"""Values of a place between the layers of the network."""

TENSORS = "narrowing."
"""Begins the names of its tensors among those of the comparison."""

_MOST_LOGIT = 8.0
# Side of the guided filter, and the deviation of levels that it keeps as an edge.
_GUIDED_SIDE, _GUIDED_DEVIATION = 9, 4.0
# Places around a group that are seen with it, and around a tile that tell how the image is there.
_MARGIN, _RING = 24, 4
_FILL_SIDES = (5, 11, 21, 41, 81)
_LEAST_WEIGHT = 0.02
# Added to levels before their logarithm is taken.
_FLOOR = 0.3
_WHITE, _LEVELS = 255.0, 32.0
_PLACES_AT_A_TIME = 1 << 16
_MOST_EXPONENT = 30.0

Plane = NDArray[np.float32]
Flags = NDArray[np.bool_]
Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """An unmoved copy, what the comparison sees of it, and what is proven.

    Attributes
    ----------
    plane
        (rows, columns), levels of brightness.
    places, tiles, energy
        Of any size: logits of places, logits of tiles, and energy of the residual, each over the
        whole plane.
    proven
        (rows, columns), places of the tiles that changed.
    tile
        Rows and columns of such a tile, in places of the plane.
    """

    plane: Plane
    places: Plane
    tiles: Plane
    energy: Plane
    proven: Flags
    tile: tuple[float, float]

    def cut(self, box: tuple[slice, slice]) -> "Seen":
        """Return a part; the maps must have the size of the plane."""
        return Seen(
            plane=self.plane[box],
            places=self.places[box],
            tiles=self.tiles[box],
            energy=self.energy[box],
            proven=self.proven[box],
            tile=self.tile,
        )

    def at_full_size(self) -> "Seen":
        """Return the same with maps of the size of the plane."""
        size = self.plane.shape[::-1]
        places, tiles, energy = (
            np.asarray(
                cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32
            )
            for one in (self.places, self.tiles, self.energy)
        )
        return Seen(
            plane=self.plane,
            places=np.clip(places, -_MOST_LOGIT, _MOST_LOGIT),
            tiles=np.clip(tiles, -_MOST_LOGIT, _MOST_LOGIT),
            energy=energy,
            proven=self.proven,
            tile=self.tile,
        )


def _mean(plane: Plane, side: int) -> Plane:
    return np.asarray(cv2.blur(plane, (side, side)), np.float32)


def _deviation(plane: Plane, side: int) -> Plane:
    spread = _mean(plane * plane, side) - _mean(plane, side) ** 2
    return np.asarray(np.sqrt(np.maximum(spread, 0)), np.float32)


def _guided(plane: Plane, guess: Plane) -> Plane:
    """Return a map brought to the edges of the plane (He et al. 2013, guided filter)."""
    side = _GUIDED_SIDE
    mean, level = _mean(plane, side), _mean(guess, side)
    spread = _mean(plane * plane, side) - mean * mean
    noise = np.float32(_GUIDED_DEVIATION**2)
    slope = np.asarray((_mean(plane * guess, side) - mean * level) / (spread + noise), np.float32)
    return np.asarray(_mean(slope, side) * plane + _mean(level - slope * mean, side), np.float32)


def _continued(plane: Plane, proven: Flags) -> Plane:
    """Return the levels with which the untouched surroundings go on smoothly into proven tiles."""
    known = (~proven).astype(np.float32)
    found, done = np.where(proven, 0, plane), ~proven
    for side in _FILL_SIDES:
        weight, mean = _mean(known, side), _mean(plane * known, side)
        near = ~done & (weight > _LEAST_WEIGHT)
        found[near] = mean[near] / weight[near]
        done |= near
    found[~done] = plane.mean()
    return np.asarray(found, np.float32)


def _expected_share(places: int, tile: tuple[float, float]) -> float:
    """Return which share of a group of tiles a square changes that changes just these tiles.

    A square of s places touches (s - 1) / T + 1 tiles of T places a side, in the mean; one that
    touches a single tile has a third of its side.
    """
    side = float(np.sqrt(tile[0] * tile[1]))
    across = float(np.sqrt(places)) / side
    changed = max((across - 1) * side + 1, (side + 2) / 3)
    return min((changed / (across * side)) ** 2, 1.0)


def _of_places(seen: Seen) -> list[Plane]:
    """Return what is told of a place by its surroundings: (rows, columns) each."""
    plane = seen.plane
    along, down = (cv2.Sobel(plane, cv2.CV_32F, *axes, ksize=3) / 8 for axes in ((1, 0), (0, 1)))
    gradient = np.hypot(along, down)
    rest = plane - _continued(plane, seen.proven)
    depth = cv2.distanceTransform(seen.proven.astype(np.uint8), cv2.DIST_L2, 3)
    return [
        seen.places,
        _mean(seen.places, 7),
        _guided(plane, seen.places),
        seen.tiles,
        seen.energy,
        np.log(gradient + _FLOOR),
        np.log(_mean(gradient, 5) + _FLOOR),
        np.log(np.abs(plane - cv2.medianBlur(plane, 5)) + _FLOOR),
        (plane - _mean(plane, 5)) / _LEVELS,
        rest / _LEVELS,
        np.log(np.abs(rest) + _FLOOR),
        np.log(_mean(np.abs(rest), 5) + _FLOOR),
        depth / np.float32(np.sqrt(seen.tile[0] * seen.tile[1])),
        plane / _WHITE,
    ]


def _roughness(plane: Plane) -> list[Plane]:
    """Return how rough the image is at each place, in the logarithm: (rows, columns) each."""
    detail = _mean(np.abs(plane - _mean(plane, 3)), 7)
    return [np.log(one + _FLOOR) for one in (_deviation(plane, 3), _deviation(plane, 7), detail)]


def _of_group(seen: Seen, group: Flags) -> NDArray[np.float32]:
    """Return the features of the places of one group: (places, FEATURES)."""
    near = cv2.dilate(group.astype(np.uint8), np.ones((2 * _RING + 1,) * 2, np.uint8)) > 0
    ring = near & ~seen.proven
    ring = ring if ring.any() else group
    maps = _of_places(seen)
    known = [one[group] for one in maps]
    rough = _roughness(seen.plane)
    known += [one[group] for one in rough]
    known += [one[group] - np.median(one[ring]) for one in rough]
    logits, guided = known[0], known[2]
    order = np.argsort(np.argsort(guided)).astype(np.float32)
    ranks = order / np.float32(max(guided.size - 1, 1))
    count = logits.size
    alike = [
        logits.max(),
        np.log(_expected_share(count, seen.tile)),
        np.log(count / (seen.tile[0] * seen.tile[1])),
    ]
    known += [logits - logits.mean(), guided - guided.mean(), ranks]
    known += [np.full(count, one, np.float32) for one in alike]
    return np.stack(known, axis=1).astype(np.float32)


def features_of(seen: Seen) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return what is told of each proven place, and where it lies.

    Parameters
    ----------
    seen
        At least one place is proven.

    Returns
    -------
    tuple
        (N, FEATURES), and (N,) places of the flattened plane.
    """
    whole = seen.at_full_size()
    count, labels, boxes, _ = cv2.connectedComponentsWithStats(
        seen.proven.astype(np.uint8), connectivity=8
    )
    numbers = np.arange(seen.plane.size).reshape(seen.plane.shape)
    features, where = [], []
    for group in range(1, count):
        left, top, width, height = (int(one) for one in boxes[group, :4])
        box = (
            slice(max(top - _MARGIN, 0), top + height + _MARGIN),
            slice(max(left - _MARGIN, 0), left + width + _MARGIN),
        )
        inside = labels[box] == group
        features.append(_of_group(whole.cut(box), inside))
        where.append(numbers[box][inside])
    return np.concatenate(features), np.concatenate(where)


def _chances(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(1 / (1 + np.exp(-np.clip(logits, -_MOST_EXPONENT, _MOST_EXPONENT))))


def _threshold(chances: NDArray[np.float32]) -> float:
    """Return from which chance on places are taken for the largest expected F1.

    Of k places taken as many are right as the sum of their chances says; so many changed in all as
    the sum of all chances says.
    """
    ordered = np.sort(chances)[::-1].astype(np.float64)
    right = np.cumsum(ordered)
    taken = np.arange(1, ordered.size + 1)
    return float(ordered[int(np.argmax(2 * right / (taken + right[-1])))])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Narrowing:
    """The network that guesses which places of proven tiles changed.

    Attributes
    ----------
    layers
        Matrix (from, to) and offset (to,) of each.
    """

    layers: tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]

    @classmethod
    def of(cls, tensors: Tensors) -> "Narrowing | None":
        """Return the one among the tensors of a comparison, None if it has none.

        Raises
        ------
        WeightsError
            Its tensors have another form.
        """
        if not any(name.startswith(TENSORS) for name in tensors):
            return None
        sizes = (FEATURES, *HIDDEN, 1)
        layers = []
        for number, (come, go) in enumerate(pairwise(sizes)):
            weight = tensors.get(f"{TENSORS}{number}.weight")
            bias = tensors.get(f"{TENSORS}{number}.bias")
            if weight is None or bias is None or (weight.shape, bias.shape) != ((come, go), (go,)):
                raise WeightsError("these are not the tensors of a narrowing")
            layers.append((weight.astype(np.float32), bias.astype(np.float32)))
        return cls(layers=tuple(layers))

    def _logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        values = features
        for number, (weight, bias) in enumerate(self.layers):
            values = values @ weight + bias
            if number + 1 < len(self.layers):
                values = np.maximum(values, 0)
        return np.asarray(values[:, 0], np.float32)

    def places(self, seen: Seen) -> Flags:
        """Return which proven places changed, as far as can be guessed: (rows, columns).

        Parameters
        ----------
        seen
            At least one place is proven.
        """
        features, where = features_of(seen)
        chances = np.concatenate(
            [
                _chances(self._logits(features[start : start + _PLACES_AT_A_TIME]))
                for start in range(0, len(features), _PLACES_AT_A_TIME)
            ]
        )
        found = np.zeros(seen.plane.shape, np.bool_)
        found.flat[where] = chances >= _threshold(chances)
        return found


def with_every_group(places: Flags, proven: Flags) -> Flags:
    """Return the places, and whole each connected group of proven tiles that holds none of them.

    So no proven change is lost.
    """
    count, groups = cv2.connectedComponents(proven.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, np.bool_)
    kept[np.unique(groups[places])] = True
    return np.asarray(np.where(kept[groups], places, proven) & proven, np.bool_)
