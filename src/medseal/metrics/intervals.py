"""A figure with its range: bootstrap over whole groups, thousands of resamples at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError

__all__ = ["RESAMPLES", "Interval", "bootstrap_by_group", "group_weights"]

RESAMPLES = 2000
# Weights held at a time, (resamples, images); 16 MB, so that a cumulative sum stays in the cache.
_MAX_WEIGHTS = 2 * 2**20

Weights = NDArray[np.float64]
Figures = Callable[[Weights], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A figure with the range of its bootstrap.

    Attributes
    ----------
    estimate
        On the data as they are.
    low, high
        Percentiles of the resampled figure.
    """

    estimate: float
    low: float
    high: float


def group_weights(
    groups: Sequence[str], *, generator: np.random.Generator, resamples: int
) -> Iterator[Weights]:
    """Yield how often each image stands in each resample, some resamples at a time.

    Parameters
    ----------
    groups
        Group of each image, (n,); as many groups as there are are drawn with replacement, and
        all their images come along.
    generator
        Source of the draws.
    resamples
        Number of draws in all.

    Yields
    ------
    ndarray
        float64 whole numbers, (resamples of this part, n).
    """
    _, number = np.unique(np.asarray(groups), return_inverse=True)
    count = int(number.max()) + 1
    at_a_time = max(_MAX_WEIGHTS // len(groups), 1)
    for start in range(0, resamples, at_a_time):
        rows = min(at_a_time, resamples - start)
        drawn = generator.integers(count, size=(rows, count))
        drawn += np.arange(rows)[:, None] * count
        times = np.bincount(drawn.ravel(), minlength=rows * count).reshape(rows, count)
        yield times[:, number].astype(np.float64)


def bootstrap_by_group(
    figures: Figures,
    groups: Sequence[str],
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
) -> list[Interval]:
    """Return figures with their percentile intervals over whole groups.

    Images of one patient or cluster are not independent, so groups are drawn with replacement
    and all their images come along.

    Parameters
    ----------
    figures
        Takes weights, (r, n): how often each image counts in each of r resamples; returns the
        figures of each resample, (r, k).
    groups
        Group of each image, (n,).
    generator
        Source of the draws.
    resamples
        Number of draws.
    level
        Coverage of the interval, in (0, 1).

    Returns
    -------
    list
        k intervals. Resamples where a figure is NaN are left out of its interval.

    Raises
    ------
    InputError
        No image, no resample, or a level outside (0, 1).

    References
    ----------
    Field and Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x (the randomised cluster bootstrap).
    """
    if not groups or resamples < 1 or not 0 < level < 1:
        raise InputError("a bootstrap needs images, resamples and a level between 0 and 1")
    estimates = figures(np.ones((1, len(groups))))[0]
    drawn = np.concatenate(
        [
            figures(weights)
            for weights in group_weights(groups, generator=generator, resamples=resamples)
        ]
    )
    levels = [(1 - level) / 2, (1 + level) / 2]
    return [
        _interval(float(value), column[np.isfinite(column)], levels)
        for value, column in zip(estimates, drawn.T, strict=True)
    ]


def _interval(value: float, drawn: NDArray[np.float64], levels: Sequence[float]) -> Interval:
    low, high = np.quantile(drawn, levels) if drawn.size else (float("nan"), float("nan"))
    return Interval(estimate=value, low=float(low), high=float(high))
