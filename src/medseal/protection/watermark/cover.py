"""One frame and the shape of its mark: what an amplitude of it costs, and the largest allowed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.imaging.image import StoredValues
from medseal.protection.watermark.fidelity import similarity
from medseal.protection.watermark.frame import Plane, visibility
from medseal.protection.watermark.levels import LUMA, Levels
from medseal.protection.watermark.residual import Residual, differences, native, quantised

__all__ = ["Cover", "Limits", "distortion", "settled"]

# Steps that settle the amplitude, each with rounded values; close enough; least and most factor.
_STEPS = 6
_CLOSE = 0.1
_FACTOR_LIMITS = (0.2, 4.0)
# Of the amplitude that an estimate allows, as rounding and the other window may cost a little more;
# and the least of it that is kept where a limit is exceeded all the same.
_CAUTION, _LEAST_KEPT = 0.996, 0.8
_MAX_SHRINKS = 60
_TINY = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a mark may cost.

    Attributes
    ----------
    error
        Most mean squared error, in squared levels.
    similarity
        Least structural similarity, 0 to 1.
    """

    error: float
    similarity: float

    def are_kept(self, error: float, alike: float) -> bool:
        """Return whether a mark of this error and similarity is within both."""
        return error <= self.error and alike >= self.similarity

    def room(self, error: float, alike: float) -> float:
        """Return the factor that the energy of a mark of this error and similarity may still take.

        Below 1 where a limit is exceeded.
        """
        dissimilarity = max(1 - alike, _TINY)
        return min(self.error / max(error, _TINY), (1 - self.similarity) / dissimilarity)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cover:
    """One frame, and the shape of its mark in native size.

    Attributes
    ----------
    frame, levels
        Stored values and their mapping.
    map
        Of the mark.
    unit
        (rows, columns), the map in native size.
    shares
        Levels that each marked sample takes for one level of brightness.
    """

    frame: StoredValues
    levels: Levels
    map: NDArray[np.int8]
    unit: Plane
    shares: tuple[float, ...]

    @classmethod
    def of(
        cls,
        frame: StoredValues,
        levels: Levels,
        residual: Plane,
        *,
        shares: tuple[float, ...] | None = None,
    ) -> "Cover":
        """Return the cover of a residual in the working frame, shared among the samples.

        Parameters
        ----------
        frame, levels
            Stored values, (rows, columns, samples), and their mapping.
        residual
            In the working frame, up to one factor.
        shares
            Of the samples; those that cost least similarity if None.
        """
        small = quantised(residual)
        unit = native(small, (frame.shape[0], frame.shape[1]))
        if shares is None:
            several = levels.marked_samples > 1
            shares = _shares(_costs(levels.sample_planes(frame), unit)) if several else (1.0,)
        return cls(frame=frame, levels=levels, map=small, unit=unit, shares=shares)

    def residual(self, amplitude: float) -> Residual:
        """Return the residual of `amplitude` levels of brightness for one unit of the map."""
        stored = amplitude * self.levels.level
        return Residual.of(self.map, [stored * share for share in self.shares])

    def approximate(self, amplitude: float) -> list[Plane]:
        """Return about what each sample changes by, in levels: rounded, but not clipped."""
        changes = []
        for share in self.shares:
            if self.frame.dtype.kind == "f":
                changes.append(self.unit * np.float32(amplitude * share))
            else:
                stored = self.unit * np.float32(amplitude * share * self.levels.level)
                np.rint(stored, out=stored)
                stored *= np.float32(1 / self.levels.level)
                changes.append(stored)
        return changes

    def marked(self, amplitude: float) -> StoredValues:
        """Return the frame with the mark added."""
        result = self.frame.copy()
        count = self.levels.marked_samples
        if result.dtype.kind == "f":
            stored = [amplitude * share * self.levels.level for share in self.shares]
            added = self.unit[:, :, None] * np.array(stored)
            result[:, :, :count] = self.levels.add(result[:, :, :count], added)
            return result
        for rows, whole in differences(self.residual(amplitude), result.shape[:2]):
            result[rows, :, :count] = self.levels.add(result[rows, :, :count], whole)
        return result


def _costs(planes: Sequence[Plane], unit: Plane) -> list[float]:
    """Return the dissimilarity, times 2, that one level of the mark costs in each sample."""
    costs = []
    for plane in planes:
        cost = visibility(plane)[1]
        # In place: a large image has little memory to spare.
        cost *= unit
        cost *= unit
        costs.append(float(cost.mean()) + _TINY)
    return costs


def _shares(costs: Sequence[float]) -> tuple[float, ...]:
    """Return how many levels each sample takes for one level of brightness.

    Those that cost least similarity: the dark, even blue of a retina would else lose more than
    red and green together.
    """
    raw = [weight / cost for weight, cost in zip(LUMA, costs, strict=True)]
    brightness = sum(weight * share for weight, share in zip(LUMA, raw, strict=True))
    return tuple(share / brightness for share in raw)


def distortion(
    cover: Cover, planes: Sequence[Plane], changes: Sequence[Plane], *, is_estimate: bool
) -> tuple[float, float]:
    """Return mean squared error in squared levels, and structural similarity, the least of all.

    Parameters
    ----------
    cover
        Of the frame.
    planes, changes
        Each marked sample, and what it changes by: (rows, columns) levels.
    is_estimate
        Look at some of the places only.
    """
    error = sum(float(np.mean(change * change, dtype=np.float64)) for change in changes)
    pairs = list(zip(planes, changes, strict=True))
    each = [similarity(plane, change, is_estimate=is_estimate) for plane, change in pairs]
    if cover.levels.low < 0:
        # On signed values as they are stored, too: there the index is stricter about zero.
        shift = np.float32(cover.levels.low / cover.levels.level)
        stored = [
            similarity(plane + shift, change, is_estimate=is_estimate) for plane, change in pairs
        ]
        each = [min(both) for both in zip(each, stored, strict=True)]
    alike = sum(each) / len(each)
    if len(changes) > 1:
        alike = min(
            alike, similarity(_weighted(planes), _weighted(changes), is_estimate=is_estimate)
        )
    return error / cover.levels.counted_samples, alike


def _weighted(planes: Sequence[Plane]) -> Plane:
    total = sum(np.float32(weight) * plane for weight, plane in zip(LUMA, planes, strict=True))
    return np.asarray(total, np.float32)


def settled(cover: Cover, limits: Limits) -> tuple[float, StoredValues]:
    """Return the largest amplitude that keeps both limits after rounding, and the marked frame.

    0 and the frame as it is if there is none. 1. A guess from the energy of the mark and where it
    lies, refined on some of the places. 2. The least step down from there that keeps both.
    """
    levels = cover.levels
    planes = levels.sample_planes(cover.frame)
    squares = [share * share for share in cover.shares]
    energy = float(np.mean(cover.unit * cover.unit, dtype=np.float64)) * sum(squares)
    if energy <= 0:
        return 0.0, cover.frame
    # 1.
    costs = _costs(planes, cover.unit)
    cost = sum(square * each for square, each in zip(squares, costs, strict=True))
    dissimilarity = 2 * (1 - limits.similarity) * len(squares) / cost
    amplitude = float(np.sqrt(min(limits.error * levels.counted_samples / energy, dissimilarity)))
    for _ in range(_STEPS):
        changes = cover.approximate(amplitude)
        room = limits.room(*distortion(cover, planes, changes, is_estimate=True))
        amplitude *= min(max(float(np.sqrt(room)), _FACTOR_LIMITS[0]), _FACTOR_LIMITS[1])
        if abs(room - 1) < _CLOSE:
            break
    amplitude *= _CAUTION
    # 2.
    for _ in range(_MAX_SHRINKS):
        marked = cover.marked(amplitude)
        changes = levels.changes(cover.frame, marked)
        error, alike = distortion(cover, planes, changes, is_estimate=False)
        if limits.are_kept(error, alike):
            return amplitude, marked
        amplitude *= max(float(np.sqrt(limits.room(error, alike))), _LEAST_KEPT) * _CAUTION
    return 0.0, cover.frame
