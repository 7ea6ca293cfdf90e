import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medseal.errors import InputError
from medseal.metrics import calibration as m


def test_brier_agrees_with_scikit_learn():
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 90)
    positive = generator.random(90)
    assert m.brier_score(labels, positive) == pytest.approx(
        sklearn_metrics.brier_score_loss(labels, positive)
    )
    of_three = generator.dirichlet(np.ones(3), 90)
    three = generator.integers(0, 3, 90)
    assert m.brier_score(three, of_three) == pytest.approx(
        sklearn_metrics.brier_score_loss(three, of_three)
    )


def test_calibration_error_of_known_gap():
    labels = np.array([1, 1, 1, 0])
    # Confidence 0.9 everywhere, three of four right: the gap is 0.15.
    assert m.expected_calibration_error(labels, np.full(4, 0.9)) == pytest.approx(0.15)
    assert m.expected_calibration_error(labels, np.array([1.0, 1.0, 1.0, 0.0])) == 0


def test_bins_add_up_to_the_error():
    generator = np.random.default_rng(3)
    labels, rows = generator.integers(0, 3, 200), generator.dirichlet(np.ones(3), 200)
    bins = m.reliability(labels, rows)
    assert sum(one.count for one in bins) == 200
    assert m.expected_calibration_error(labels, rows) == pytest.approx(
        sum(one.count * abs(one.confidence - one.accuracy) for one in bins) / 200
    )
    assert [one.confidence for one in bins] == sorted(one.confidence for one in bins)


def test_weights_are_repetitions():
    generator = np.random.default_rng(4)
    labels, rows = generator.integers(0, 2, 80), generator.dirichlet(np.ones(2), 80)
    weights = generator.integers(0, 3, (1, 80)).astype(float)
    chosen = np.repeat(np.arange(80), weights[0].astype(int))
    assert m.calibration_errors(labels, rows, weights=weights)[0] == pytest.approx(
        m.expected_calibration_error(labels[chosen], rows[chosen])
    )


def test_risk_grows_where_the_sure_ones_are_right():
    right = np.array([True, False, True, True])
    coverage, risk = m.risk_coverage(right, np.array([0.9, 0.5, 0.8, 0.8]))
    np.testing.assert_allclose(coverage, [0.25, 0.75, 1.0])  # the two at 0.8 together
    np.testing.assert_allclose(risk, [0, 0, 0.25])


def test_refusals():
    with pytest.raises(InputError, match="equally long"):
        m.brier_score(np.array([1]), np.array([0.5, 0.5]))
    with pytest.raises(InputError, match="not empty"):
        m.risk_coverage(np.array([], bool), np.array([]))
