"""Figures of a detector of tampering: rates, AUROC and masks, with intervals by image."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ImageMismatchError, InputError
from medseal.metrics.intervals import RESAMPLES, Interval, bootstrap_by_group
from medseal.metrics.ranking import rank, ratio

__all__ = [
    "Overlap",
    "detection_figures",
    "exact_upper_bound",
    "mean_by_group",
    "overlap",
    "rate_by_group",
]

_BISECTIONS = 60

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How well a mask covers the truth.

    Attributes
    ----------
    f1
        Of places, 0 to 1.
    iou
        Intersection over union, 0 to 1.
    """

    f1: float
    iou: float


def overlap(truth: Flags, found: Flags) -> Overlap:
    """Return F1 and intersection over union of the places of two masks.

    Parameters
    ----------
    truth, found
        (rows, columns) of the same size. Every place counts, those at the border of a region too,
        and a mask is never inverted for a better figure.

    Returns
    -------
    Overlap
        1 if both are empty.

    Raises
    ------
    ImageMismatchError
        The sizes differ.
    """
    if truth.shape != found.shape:
        raise ImageMismatchError(f"a mask of {found.shape} against one of {truth.shape}")
    both = int(np.count_nonzero(truth & found))
    total = int(np.count_nonzero(truth)) + int(np.count_nonzero(found))
    if total == 0:
        return Overlap(f1=1.0, iou=1.0)
    return Overlap(f1=2 * both / total, iou=both / (total - both))


def _log_binomials(trials: int, most: int) -> list[float]:
    whole = math.lgamma(trials + 1)
    return [
        whole - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
        for count in range(most + 1)
    ]


def exact_upper_bound(events: int, trials: int, *, confidence: float = 0.95) -> float:
    """Return the rate that is exceeded with at most the remaining probability.

    Parameters
    ----------
    events, trials
        Counts, at least one trial. Without any event the bound is 1 - (1 - confidence)^(1/n).
    confidence
        In (0, 1).

    Returns
    -------
    float
        One-sided upper bound, 0 to 1.

    Raises
    ------
    InputError
        No trial, more events than trials, or another confidence.

    References
    ----------
    Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404.
    """
    if trials < 1 or not 0 <= events <= trials or not 0 < confidence < 1:
        raise InputError("a bound needs trials, no more events than these, and a confidence")
    if events == trials:
        return 1.0
    terms = _log_binomials(trials, events)
    low, high = events / trials, 1.0
    for _ in range(_BISECTIONS):
        rate = (low + high) / 2
        log_rate, log_rest = math.log(max(rate, 1e-300)), math.log1p(-rate)
        below = math.fsum(
            math.exp(term + count * log_rate + (trials - count) * log_rest)
            for count, term in enumerate(terms)
        )
        low, high = (rate, high) if below > 1 - confidence else (low, rate)
    return high


def mean_by_group(
    values: Values, groups: Sequence[str], *, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Return the mean of all values, each counted once, with its interval over whole groups.

    Parameters
    ----------
    values
        (n,).
    groups
        Image or patient of each value, (n,).
    seed
        Of the resamples.
    resamples
        Their number.

    Raises
    ------
    InputError
        No value.
    """

    def mean(weights: Values) -> Values:
        return ratio(weights @ values, weights.sum(axis=1))[:, None]

    (found,) = bootstrap_by_group(
        mean, groups, generator=np.random.default_rng(seed), resamples=resamples
    )
    return found


def rate_by_group(
    flags: Flags, groups: Sequence[str], *, seed: int, resamples: int = RESAMPLES
) -> Interval:
    """Return how many flags are set, as a share, with its interval; the rest as above.

    Where no flag or every flag is set, no resample can tell how sure that is; then the end of the
    interval is the exact bound for independent trials.
    """
    found = mean_by_group(flags.astype(np.float64), groups, seed=seed, resamples=resamples)
    count = int(np.count_nonzero(flags))
    low, high = found.low, found.high
    if count == 0:
        high = exact_upper_bound(0, flags.size, confidence=0.975)
    if count == flags.size:
        low = 1 - exact_upper_bound(0, flags.size, confidence=0.975)
    return Interval(estimate=found.estimate, low=low, high=high)


def detection_figures(
    is_edited: Flags,
    scores: Values,
    is_flagged: Flags,
    groups: Sequence[str],
    *,
    seed: int,
    resamples: int = RESAMPLES,
) -> Mapping[str, Interval]:
    """Return the figures of a detector over benign and edited copies.

    Parameters
    ----------
    is_edited
        (n,), the truth.
    scores
        (n,), higher where a copy is more surely altered.
    is_flagged
        (n,), what was decided beforehand; an abstention is not flagged, so it counts as a miss.
    groups
        Image of each copy, (n,).
    seed, resamples
        As for `mean_by_group`.

    Returns
    -------
    mapping
        ``benign_flagged``, ``edits_caught``, ``balanced_accuracy``, ``accuracy``, ``auroc``, and
        ``caught_at_2_percent`` and ``caught_at_5_percent``: the share of edits above the lowest
        threshold with at most that rate of false alarms on these very copies.

    Raises
    ------
    InputError
        Lengths differ, or no copy.
    """
    if not is_edited.shape == scores.shape == is_flagged.shape == (len(groups),):
        raise InputError("each copy has a truth, a score, a decision and a group")
    edited, flagged = is_edited.astype(np.float64), is_flagged.astype(np.float64)

    def figures(weights: Values) -> Values:
        alarms = ratio(weights @ (flagged * (1 - edited)), weights @ (1 - edited))
        caught = ratio(weights @ (flagged * edited), weights @ edited)
        right = weights @ (flagged == edited).astype(np.float64)
        ranking = rank(is_edited.astype(np.int64), scores, weights=weights)
        columns = (
            alarms,
            caught,
            (caught + 1 - alarms) / 2,
            ratio(right, weights.sum(axis=1)),
            ranking.auroc(),
            ranking.sensitivity_at(0.98),
            ranking.sensitivity_at(0.95),
        )
        return np.stack(columns, axis=1)

    names = (
        "benign_flagged",
        "edits_caught",
        "balanced_accuracy",
        "accuracy",
        "auroc",
        "caught_at_2_percent",
        "caught_at_5_percent",
    )
    found = bootstrap_by_group(
        figures, groups, generator=np.random.default_rng(seed), resamples=resamples
    )
    return dict(zip(names, found, strict=True))
