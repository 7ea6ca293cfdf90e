import math
import time

import numpy as np
import pytest

from medseal.errors import InputError
from medseal.metrics.classification import figures_with_intervals
from medseal.metrics.intervals import bootstrap_by_group, group_weights


def test_wider_over_groups_than_over_images():
    generator = np.random.default_rng(1)
    right = np.repeat(generator.random(20) < 0.7, 10).astype(float)  # ten equal images a group
    by_group = [f"g{i // 10}" for i in range(200)]
    by_image = [f"i{i}" for i in range(200)]

    def figure(weights):
        return (weights @ right / weights.sum(axis=1))[:, None]

    [wide], [narrow] = (
        bootstrap_by_group(figure, groups, generator=np.random.default_rng(2))
        for groups in (by_group, by_image)
    )
    assert wide.estimate == narrow.estimate == right.mean()
    assert wide.low < wide.estimate < wide.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_whole_groups_are_drawn_as_many_as_there_are():
    groups = ["a", "b", "a", "c", "b", "a"]
    parts = list(group_weights(groups, generator=np.random.default_rng(3), resamples=50))
    weights = np.concatenate(parts)
    assert weights.shape == (50, 6)
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 5])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    np.testing.assert_array_equal(weights[:, [0, 1, 3]].sum(axis=1), 3)
    assert len(np.unique(weights[:, 0])) > 2


def test_interval_of_a_mean_covers_it_as_often_as_stated():
    covered = 0
    for trial in range(200):
        values = np.random.default_rng([4, trial]).normal(size=60)

        def mean(weights, values=values):
            return (weights @ values / weights.sum(axis=1))[:, None]

        [found] = bootstrap_by_group(
            mean, [str(i) for i in range(60)], generator=np.random.default_rng(trial), resamples=400
        )
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_resamples_without_a_figure_are_left_out():
    def figures(weights):
        first = np.where(weights[:, 0] > 0, 1.0, np.nan)
        return np.stack([np.full(len(weights), np.nan), first], axis=1)

    never, sometimes = bootstrap_by_group(
        figures, ["a", "b"], generator=np.random.default_rng(1), resamples=20
    )
    assert math.isnan(never.low)
    assert (sometimes.low, sometimes.high) == (1.0, 1.0)


def test_same_generator_same_interval_and_fast_enough():
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 2, 600)
    positive = np.clip(labels * 0.3 + generator.random(600) * 0.7, 0, 1)
    groups = [str(i // 2) for i in range(600)]
    start = time.process_time()
    first, second = (
        figures_with_intervals(
            labels,
            np.stack([1 - positive, positive], axis=1),
            predicted=(positive >= 0.5).astype(np.int64),
            groups=groups,
            generator=np.random.default_rng(7),
        )
        for _ in range(2)
    )
    assert first == second
    assert time.process_time() - start < 6  # twice 2,000 resamples of 600 images


def test_refusals():
    def nothing(weights):
        return weights[:, :1]

    for groups, options in (([], {}), (["a"], {"resamples": 0}), (["a"], {"level": 1.0})):
        with pytest.raises(InputError, match="a bootstrap needs"):
            bootstrap_by_group(nothing, groups, generator=np.random.default_rng(1), **options)
