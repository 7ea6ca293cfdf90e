import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medseal.errors import InputError
from medseal.metrics import ranking as m


@pytest.fixture
def sample():
    generator = np.random.default_rng(5)
    labels = generator.integers(0, 2, 300)
    return labels, np.round(labels * 0.4 + generator.random(300) * 0.6, 2)  # rounding makes ties


def test_areas_agree_with_scikit_learn(sample):
    assert m.auroc(*sample) == pytest.approx(sklearn_metrics.roc_auc_score(*sample))
    assert m.average_precision(*sample) == pytest.approx(
        sklearn_metrics.average_precision_score(*sample)
    )


def test_weights_are_repetitions(sample):
    labels, scores = sample
    weights = np.random.default_rng(1).integers(0, 4, (5, 300)).astype(float)
    ranking = m.rank(labels, scores, weights=weights)
    for row in range(5):
        repeated = np.repeat(np.arange(300), weights[row].astype(int))
        one = (labels[repeated], scores[repeated])
        assert ranking.auroc()[row] == pytest.approx(sklearn_metrics.roc_auc_score(*one))
        assert ranking.average_precision()[row] == pytest.approx(
            sklearn_metrics.average_precision_score(*one)
        )
        assert ranking.sensitivity_at(0.9)[row] == pytest.approx(
            m.sensitivity_at_specificity(*one, specificity=0.9)
        )


@pytest.mark.parametrize("specificity", [0.0, 0.5, 0.9, 0.95, 1.0])
def test_sensitivity_at_a_specificity_is_the_best_point_of_the_curve(sample, specificity):
    false, true, _ = sklearn_metrics.roc_curve(*sample, drop_intermediate=False)
    expected = true[1 - false >= specificity - 1e-12].max()
    assert m.sensitivity_at_specificity(*sample, specificity=specificity) == pytest.approx(expected)


def test_equal_scores_count_half():
    assert m.auroc(np.array([0, 1, 1, 0]), np.array([0.5, 0.5, 0.5, 0.5])) == 0.5
    assert m.auroc(np.array([0, 0, 1, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == 1.0


def test_one_class_alone_has_no_area():
    for labels in (np.array([1, 1]), np.array([0, 0])):
        scores = np.array([0.1, 0.2])
        assert math.isnan(m.auroc(labels, scores))
        assert math.isnan(m.average_precision(labels, scores))
        assert math.isnan(m.sensitivity_at_specificity(labels, scores, specificity=0.9))


def test_curves_agree_with_scikit_learn(sample):
    false, true, _ = sklearn_metrics.roc_curve(*sample, drop_intermediate=False)
    curve = m.roc_curve(*sample)
    np.testing.assert_allclose(curve.x, false)
    np.testing.assert_allclose(curve.y, true)
    precision, recall, _ = sklearn_metrics.precision_recall_curve(*sample)
    found = m.precision_recall_curve(*sample)
    # scikit-learn goes from all to none and ends at (0, 1); here recall rises from 0.
    np.testing.assert_allclose(found.x[1:], recall[-2::-1])
    np.testing.assert_allclose(found.y[1:], precision[-2::-1])


def test_wrong_lengths_are_refused():
    with pytest.raises(InputError, match="equally long"):
        m.auroc(np.array([1]), np.array([0.1, 0.2]))
    with pytest.raises(InputError, match="not empty"):
        m.auroc(np.array([], dtype=np.int64), np.array([]))
