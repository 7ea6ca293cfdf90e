import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medseal.errors import InputError
from medseal.metrics import classification as m


@pytest.fixture
def sample():
    generator = np.random.default_rng(5)
    labels = generator.integers(0, 2, 300)
    noisy = np.clip(labels * 0.4 + generator.random(300) * 0.6, 0, 1)
    return labels.astype(np.int64), np.round(noisy, 2)  # rounding makes ties


def test_figures_agree_with_scikit_learn(sample):
    labels, probabilities = sample
    predicted = probabilities >= 0.5
    scores = m.binary_scores(labels, probabilities)
    assert scores.accuracy == pytest.approx(sklearn_metrics.accuracy_score(labels, predicted))
    assert scores.sensitivity == pytest.approx(sklearn_metrics.recall_score(labels, predicted))
    assert scores.specificity == pytest.approx(
        sklearn_metrics.recall_score(labels, predicted, pos_label=0)
    )
    assert scores.precision == pytest.approx(sklearn_metrics.precision_score(labels, predicted))
    assert scores.f1 == pytest.approx(sklearn_metrics.f1_score(labels, predicted))
    assert scores.auroc == pytest.approx(sklearn_metrics.roc_auc_score(labels, probabilities))
    assert scores.brier == pytest.approx(sklearn_metrics.brier_score_loss(labels, probabilities))
    np.testing.assert_array_equal(
        m.confusion_matrix(labels, predicted.astype(np.int64), classes=2),
        sklearn_metrics.confusion_matrix(labels, predicted),
    )


def test_auroc_counts_equal_scores_half():
    assert m.auroc(np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert m.auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == 1.0
    assert math.isnan(m.auroc(np.array([1, 1]), np.array([0.1, 0.2])))


def test_calibration_error_of_known_gap():
    labels = np.array([1, 1, 1, 0], dtype=np.int64)
    # Confidence 0.9 everywhere, three of four right: the gap is 0.15.
    assert m.expected_calibration_error(labels, np.full(4, 0.9)) == pytest.approx(0.15)
    assert m.expected_calibration_error(labels, np.array([1.0, 1.0, 1.0, 0.0])) == 0


def test_missing_class_gives_nan_not_an_error():
    scores = m.binary_scores(np.array([1, 1], dtype=np.int64), np.array([0.9, 0.2]))
    assert scores.sensitivity == 0.5
    assert math.isnan(scores.specificity)


def test_bootstrap_is_wider_over_groups_than_over_images():
    generator = np.random.default_rng(1)
    right = np.repeat(generator.random(20) < 0.7, 10).astype(float)  # ten equal images a group
    by_group = [f"g{i // 10}" for i in range(200)]
    by_image = [f"i{i}" for i in range(200)]

    def figure(chosen):
        return [right[chosen].mean()]

    [wide], [narrow] = (
        m.bootstrap_by_group(figure, groups, generator=np.random.default_rng(2))
        for groups in (by_group, by_image)
    )
    assert wide.estimate == narrow.estimate == right.mean()
    assert wide.low < wide.estimate < wide.high
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)


def test_bootstrap_draws_whole_groups():
    groups = ["a", "b", "a", "c", "b", "a"]
    members = {"a": {0, 2, 5}, "b": {1, 4}, "c": {3}}
    seen = []
    m.bootstrap_by_group(
        lambda chosen: [seen.append(chosen) or 0.0],
        groups,
        generator=np.random.default_rng(3),
        resamples=50,
    )
    for chosen in seen:
        counts = np.bincount(chosen, minlength=6)
        for indices in members.values():
            assert len({counts[i] for i in indices}) == 1
    assert len(seen) == 51


def test_bootstrap_same_generator_same_interval(sample):
    labels, probabilities = sample
    groups = [str(i // 3) for i in range(300)]
    first, second = (
        m.bootstrap_by_group(
            lambda chosen: [m.auroc(labels[chosen], probabilities[chosen])],
            groups,
            generator=np.random.default_rng(7),
            resamples=100,
        )
        for _ in range(2)
    )
    assert first == second


def test_resamples_without_a_figure_are_left_out():
    def figures(chosen):
        return [float("nan"), 1.0 if 0 in chosen else float("nan")]

    never, sometimes = m.bootstrap_by_group(
        figures, ["a", "b"], generator=np.random.default_rng(1), resamples=20
    )
    assert math.isnan(never.low)
    assert (sometimes.low, sometimes.high) == (1.0, 1.0)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="equally long"):
        m.accuracy(np.array([1]), np.array([1, 0]))
    with pytest.raises(InputError, match="numbered from 0 to 1"):
        m.confusion_matrix(np.array([2]), np.array([1]), classes=2)
    with pytest.raises(InputError, match="at least one image"):
        m.bootstrap_by_group(lambda _: [0.0], [], generator=np.random.default_rng(1))
