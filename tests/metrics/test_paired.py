import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn_metrics

from medseal.errors import InputError
from medseal.metrics.paired import delong, mcnemar, paired_differences


def two_models(count=200):
    generator = np.random.default_rng(8)
    labels = generator.integers(0, 2, count)
    first = labels + generator.normal(size=count)
    second = labels * 0.7 + generator.normal(size=count)
    return labels, np.round(first, 1), np.round(second, 1)


def rows(scores):
    positive = 1 / (1 + np.exp(-scores))
    return np.stack([1 - positive, positive], axis=1), (scores >= 0).astype(np.int64)


def test_a_model_does_not_differ_from_itself():
    labels, first, _ = two_models()
    same = delong(labels, first, first)
    assert (same.difference, same.low, same.high, same.p_value) == (0, 0, 0, 1)
    found = paired_differences(
        labels,
        rows(first),
        rows(first),
        groups=[str(i) for i in range(200)],
        generator=np.random.default_rng(1),
        resamples=50,
    )
    for interval in found.values():
        assert interval.estimate == interval.low == interval.high == 0


def test_delong_agrees_with_its_definition():
    labels, first, second = two_models()
    positive = labels == 1
    # Placements by comparing every pair, as in equations 2 and 3 of the paper.
    parts = []
    for scores in (first, second):
        pairs = scores[positive][:, None] - scores[~positive][None, :]
        wins = (pairs > 0) + 0.5 * (pairs == 0)
        parts.append((wins.mean(axis=1), wins.mean(axis=0)))
    variance = 0.0
    for side in (0, 1):
        covariance = np.cov(parts[0][side], parts[1][side])
        both = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
        variance += both / len(parts[0][side])
    difference = sklearn_metrics.roc_auc_score(labels, first) - sklearn_metrics.roc_auc_score(
        labels, second
    )
    found = delong(labels, first, second)
    assert found.difference == pytest.approx(difference)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(difference) / variance**0.5))
    assert found.high - found.low == pytest.approx(2 * stats.norm.ppf(0.975) * variance**0.5)


def test_delong_and_paired_bootstrap_agree_roughly():
    labels, first, second = two_models(400)
    exact = delong(labels, first, second)
    drawn = paired_differences(
        labels,
        rows(first),
        rows(second),
        groups=[str(i) for i in range(400)],
        generator=np.random.default_rng(1),
    )["auroc"]
    assert drawn.estimate == pytest.approx(exact.difference)
    assert drawn.low == pytest.approx(exact.low, abs=0.015)
    assert drawn.high == pytest.approx(exact.high, abs=0.015)


def test_mcnemar_is_the_exact_binomial_test():
    generator = np.random.default_rng(2)
    first, second = generator.random(120) < 0.9, generator.random(120) < 0.75
    found = mcnemar(first, second)
    assert found.first_only == int((first & ~second).sum())
    both = found.first_only + found.second_only
    assert found.p_value == pytest.approx(stats.binomtest(found.first_only, both).pvalue)
    assert mcnemar(first, first).p_value == 1


def test_refusals():
    with pytest.raises(InputError, match="two images of each class"):
        delong(np.array([1, 0, 0]), np.zeros(3), np.zeros(3))
    with pytest.raises(InputError, match="equally many"):
        mcnemar(np.array([True]), np.array([True, False]))
