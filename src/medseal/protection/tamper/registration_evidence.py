"""What quantised tile means say about predicted ones: how far off, and how surely."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Evidence", "Record"]

Plane = NDArray[np.float32]
Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

# A record with more values than this is taken for one that was not quantised.
_MOST_VALUES = 32
# Tukey's biweight: 95 % of the efficiency of least squares.
_TUKEY = 4.685
_MEDIAN_TO_DEVIATION = 1.4826
# Noise of the copy's tile means against the exact ones, in levels.
_LEAST_NOISE, _MOST_NOISE = 0.7, 6.0
# Deviations a unit of the logistic distribution.
_LOGISTIC = 1.8138
# Share of deviations beyond an edge at a place drawn evenly, for one edge.
_BEYOND = 0.4
# Bounds of the outermost values, in distances of these to their inner bounds.
_TAIL = 1.5
# What a mean itself says within its bounds, against an exact one.
_WITHIN = 0.03
# So many errors beyond its bounds a tile is not explained at all.
_FAR = 2.0
_TINY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What a record says about predicted tile means.

    Attributes
    ----------
    pulls
        (tiles,): by how many levels the prediction ought to be more.
    weights
        (tiles,): one by the square of the deviation of that, in levels.
    trust
        (tiles,), 0 to 1: low for tiles that do not fit, 0 outside of the copy.
    noise
        Deviation of the prediction, in levels.
    """

    pulls: Values
    weights: Values
    trust: Values
    noise: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Record:
    """The record's tile means.

    A quantised mean says between which two bounds the exact one lay: nothing about a prediction in
    between, much about one that is near a bound. Where levels change smoothly the bounds are
    contour lines, and these are what tells places finely.

    Attributes
    ----------
    means
        (tiles,), levels.
    lower, upper
        (tiles,), bounds of the exact means. None if not quantised.
    error
        Standard deviation of `means` from the exact ones, in levels.
    weights
        (tiles,), 0 to 1: how far each is to be believed.
    """

    means: Values
    lower: Values | None
    upper: Values | None
    error: float
    weights: Values

    @classmethod
    def of(cls, means: Plane, error: float, weights: Plane | None = None) -> "Record":
        """Return the record of means that were each replaced by the nearest of a few values.

        Means of many values are taken as they are.
        """
        flat = means.astype(np.float64).ravel()
        belief = np.ones(flat.size) if weights is None else weights.astype(np.float64).ravel()
        values, places = np.unique(flat, return_inverse=True)
        if len(values) > _MOST_VALUES:
            return cls(means=flat, lower=None, upper=None, error=error, weights=belief)
        inner = (values[1:] + values[:-1]) / 2
        # The outermost values have no bound of their own: about as far as a tail reaches.
        ends = values[[0, -1]] - _TAIL * (inner[[0, -1]] - values[[0, -1]])
        bounds = np.concatenate([ends[:1], inner, ends[1:]])
        return cls(
            means=flat,
            lower=bounds[places],
            upper=bounds[places + 1],
            error=error,
            weights=belief,
        )

    def evidence(self, predicted: Values, seen: Flags, doubt: Values) -> Evidence:
        """Return what speaks for or against predicted means.

        Parameters
        ----------
        predicted
            (tiles,), levels.
        seen
            (tiles,), whether they lie in the copy.
        doubt
            (tiles,), levels: deviation of the predictions from what the copy can show of the
            original where it is clipped.
        """
        if self.lower is None or self.upper is None:
            return self.rough(predicted, seen, doubt)
        beyond = np.maximum(predicted - self.upper, 0) + np.maximum(self.lower - predicted, 0)
        noise = _noise(beyond, self.upper - self.lower, seen)
        unit = noise / _LOGISTIC
        below = _logistic((self.lower - predicted) / unit)
        above = _logistic((self.upper - predicted) / unit)
        # Slope and curvature of the logarithm of the probability of the two bounds.
        slope = (below + above - 1) / unit
        curvature = (below * (1 - below) + above * (1 - above)) / unit**2
        weights = np.maximum(curvature, np.abs(slope) / (beyond + 2 * unit))
        within = _WITHIN / self.error**2
        pulls = (slope + within * (self.means - predicted)) / (weights + within)
        trust = _biweight(beyond / (_TUKEY * max(noise, 1.0)))
        trust *= seen * self.weights / (1 + (doubt / noise) ** 2)
        return Evidence(pulls=pulls, weights=(weights + within) * trust, trust=trust, noise=noise)

    def explained(self, predicted: Values, seen: Flags) -> float:
        """Return the share of the seen tiles that predictions explain, counted finely."""
        if self.lower is None or self.upper is None:
            beyond = np.abs(predicted - self.means)
        else:
            beyond = np.maximum(predicted - self.upper, 0) + np.maximum(self.lower - predicted, 0)
        explained = np.clip(1 - (beyond[seen] / (_FAR * self.error)) ** 2, 0, None)
        return float(explained.sum() / max(explained.size, 1))

    def rough(self, predicted: Values, seen: Flags, doubt: Values) -> Evidence:
        """Return the evidence as if the means were exact but for their error."""
        pulls = self.means - predicted
        noise = _MEDIAN_TO_DEVIATION * float(np.median(np.abs(pulls[seen])))
        noise = max(noise, self.error, _LEAST_NOISE)
        trust = _biweight(pulls / (_TUKEY * noise))
        trust *= seen * self.weights / (1 + (doubt / noise) ** 2)
        return Evidence(pulls=pulls, weights=trust / noise**2, trust=trust, noise=noise)


def _noise(beyond: Values, width: Values, seen: Flags) -> float:
    """Return the noise at which so many predictions lie beyond their bounds."""
    width = np.maximum(width, _TINY)[seen]
    noise = float((beyond[seen] > 0).sum()) / max(2 * _BEYOND * float((1 / width).sum()), _TINY)
    return float(np.clip(noise, _LEAST_NOISE, _MOST_NOISE))


def _logistic(values: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(np.clip(-values, -40, 40))))


def _biweight(values: Values) -> Values:
    return np.asarray(np.clip(1 - values**2, 0, None) ** 2)
