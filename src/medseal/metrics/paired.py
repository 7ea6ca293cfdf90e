"""Is one model better than another on the same images: paired bootstrap, DeLong, McNemar."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.metrics.classification import FIGURES, weighted_figures
from medseal.metrics.intervals import RESAMPLES, Interval, bootstrap_by_group
from medseal.metrics.ranking import auroc

__all__ = ["AurocTest", "SignTest", "delong", "mcnemar", "paired_differences"]

Labels = NDArray[np.int64]
Probabilities = NDArray[np.float64]
# Two-sided 95 % of the normal distribution.
_Z_95 = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class AurocTest:
    """Two AUROCs on the same images.

    Attributes
    ----------
    difference
        First minus second.
    low, high
        95 % interval.
    p_value
        Two-sided, of no difference.
    """

    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SignTest:
    """Two models' right and wrong decisions on the same images.

    Attributes
    ----------
    first_only, second_only
        Images that only this model decides rightly.
    p_value
        Two-sided and exact, of both being equally likely.
    """

    first_only: int
    second_only: int
    p_value: float


def paired_differences(
    labels: Labels,
    first: tuple[Probabilities, Labels],
    second: tuple[Probabilities, Labels],
    *,
    groups: Sequence[str],
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
) -> Mapping[str, Interval]:
    """Return first minus second of each of `FIGURES`; both see the same resampled groups.

    Parameters
    ----------
    labels
        (n,), number of the true class.
    first, second
        Probabilities (n, classes) and decided classes (n,) of each model.
    groups, generator, resamples
        As `medseal.metrics.intervals.bootstrap_by_group`.

    Raises
    ------
    InputError
        Lengths differ.
    """

    def differences(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        one, other = (
            weighted_figures(labels, probabilities, predicted=predicted, weights=weights)
            for probabilities, predicted in (first, second)
        )
        return one - other

    found = bootstrap_by_group(differences, groups, generator=generator, resamples=resamples)
    return dict(zip(FIGURES, found, strict=True))


def delong(labels: Labels, first: NDArray[np.float64], second: NDArray[np.float64]) -> AurocTest:
    """Return the difference of two AUROCs with its interval and p-value.

    It takes images as independent: with several images a patient the paired bootstrap over
    groups is the one to believe.

    Parameters
    ----------
    labels
        (n,), 1 for positive, 0 for negative.
    first, second
        Scores of the two models, (n,).

    Raises
    ------
    InputError
        Lengths differ, or fewer than two images of a class.

    References
    ----------
    DeLong et al. 1988, doi:10.2307/2531595; by ranks: Sun and Xu 2014,
    doi:10.1109/LSP.2014.2337313.
    """
    positive = labels == 1
    if min(positive.sum(), (~positive).sum()) < 2:  # noqa: PLR2004  # a variance needs two
        raise InputError("DeLong's test needs two images of each class")
    difference = auroc(labels, first) - auroc(labels, second)
    parts = [_placements(positive, scores) for scores in (first, second)]
    variance = sum(
        float(np.var(one - other, ddof=1)) / len(one)
        for one, other in zip(parts[0], parts[1], strict=True)
    )
    error = math.sqrt(variance)
    z = abs(difference) / error if error > 0 else (0.0 if difference == 0 else math.inf)
    return AurocTest(
        difference=difference,
        low=difference - _Z_95 * error,
        high=difference + _Z_95 * error,
        p_value=math.erfc(z / math.sqrt(2)),
    )


def _placements(
    positive: NDArray[np.bool_], scores: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return for each positive the share of negatives below, for each negative that above."""
    high, low = scores[positive], scores[~positive]
    of_high = (_mid_rank(scores)[positive] - _mid_rank(high)) / low.size
    of_low = 1 - (_mid_rank(scores)[~positive] - _mid_rank(low)) / high.size
    return of_high, of_low


def _mid_rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ranks from 1, equal values sharing the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: NDArray[np.float64] = (last - (counts - 1) / 2)[inverse]
    return ranks


def mcnemar(first_right: NDArray[np.bool_], second_right: NDArray[np.bool_]) -> SignTest:
    """Return the exact McNemar test of two models' decisions on the same images.

    Parameters
    ----------
    first_right, second_right
        (n,), whether each model's decision is right. Images count as independent.

    Raises
    ------
    InputError
        Lengths differ, or no image.

    References
    ----------
    McNemar 1947, doi:10.1007/BF02295996; the exact form is a two-sided binomial test.
    """
    if first_right.shape != second_right.shape or first_right.size == 0:
        raise InputError("the decisions of two models must be equally many, not none")
    first_only = int((first_right & ~second_right).sum())
    second_only = int((~first_right & second_right).sum())
    both = first_only + second_only
    tail = sum(math.comb(both, number) for number in range(min(first_only, second_only) + 1))
    return SignTest(
        first_only=first_only, second_only=second_only, p_value=min(1.0, 2 * tail / 2**both)
    )
