import math

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from medseal.errors import InputError
from medseal.metrics import classification as m


def drawn(classes, count=400):
    generator = np.random.default_rng(classes)
    labels = generator.integers(0, classes, count)
    logits = generator.normal(size=(count, classes)).round(1) + 1.2 * np.eye(classes)[labels]
    rows = np.exp(logits)
    rows /= rows.sum(axis=1, keepdims=True)
    return labels, rows


def test_two_classes_agree_with_scikit_learn():
    labels, rows = drawn(2)
    predicted = (rows[:, 1] >= 0.3).astype(np.int64)
    found = m.figures_of(labels, rows, predicted=predicted)
    assert tuple(found) == m.FIGURES
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "sensitivity": sklearn_metrics.recall_score(labels, predicted),
        "specificity": sklearn_metrics.recall_score(labels, predicted, pos_label=0),
        "precision": sklearn_metrics.precision_score(labels, predicted),
        "f1": sklearn_metrics.f1_score(labels, predicted),
        "mcc": sklearn_metrics.matthews_corrcoef(labels, predicted),
        "auroc": sklearn_metrics.roc_auc_score(labels, rows[:, 1]),
        "auprc": sklearn_metrics.average_precision_score(labels, rows[:, 1]),
        "brier": sklearn_metrics.brier_score_loss(labels, rows[:, 1]),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    np.testing.assert_array_equal(
        m.confusion_matrix(labels, predicted, classes=2),
        sklearn_metrics.confusion_matrix(labels, predicted),
    )


def test_four_classes_agree_with_scikit_learn():
    labels, rows = drawn(4)
    predicted = rows.argmax(axis=1)
    found = m.figures_of(labels, rows, predicted=predicted)
    truth = np.eye(4)[labels]
    expected = {
        "accuracy": sklearn_metrics.accuracy_score(labels, predicted),
        "balanced_accuracy": sklearn_metrics.balanced_accuracy_score(labels, predicted),
        "sensitivity": sklearn_metrics.recall_score(labels, predicted, average="macro"),
        "precision": sklearn_metrics.precision_score(labels, predicted, average="macro"),
        "f1": sklearn_metrics.f1_score(labels, predicted, average="macro"),
        "mcc": sklearn_metrics.matthews_corrcoef(labels, predicted),
        "auroc": sklearn_metrics.roc_auc_score(labels, rows, multi_class="ovr", average="macro"),
        "auprc": sklearn_metrics.average_precision_score(truth, rows, average="macro"),
        "brier": sklearn_metrics.brier_score_loss(labels, rows),
    }
    for name, value in expected.items():
        assert found[name] == pytest.approx(value), name
    parts = m.per_class(labels, rows, predicted=predicted)
    assert sum(part["images"] for part in parts) == 400
    for name in ("sensitivity", "specificity", "f1", "auroc"):
        assert np.mean([part[name] for part in parts]) == pytest.approx(found[name]), name


@pytest.mark.parametrize("classes", [2, 3])
def test_weights_are_repetitions(classes):
    labels, rows = drawn(classes, 120)
    predicted = rows.argmax(axis=1)
    weights = np.random.default_rng(1).integers(0, 3, (4, 120)).astype(float)
    found = m.weighted_figures(labels, rows, predicted=predicted, weights=weights)
    for row in range(4):
        chosen = np.repeat(np.arange(120), weights[row].astype(int))
        expected = m.figures_of(labels[chosen], rows[chosen], predicted=predicted[chosen])
        np.testing.assert_allclose(found[row], list(expected.values()))


def test_missing_class_gives_nan_not_an_error():
    labels = np.array([1, 1])
    found = m.figures_of(
        labels, np.array([[0.1, 0.9], [0.8, 0.2]]), predicted=np.array([1, 0], dtype=np.int64)
    )
    assert found["sensitivity"] == found["accuracy"] == 0.5
    for name in ("specificity", "balanced_accuracy", "auroc", "auprc"):
        assert math.isnan(found[name]), name
    assert found["mcc"] == 0


def test_interval_holds_the_estimate():
    labels, rows = drawn(2)
    found = m.figures_with_intervals(
        labels,
        rows,
        predicted=rows.argmax(axis=1),
        groups=[str(i // 4) for i in range(400)],
        generator=np.random.default_rng(1),
        resamples=200,
    )
    for name in ("accuracy", "balanced_accuracy", "auroc", "mcc", "brier"):
        assert found[name].low < found[name].estimate < found[name].high, name


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="equally long"):
        m.confusion_matrix(np.array([1]), np.array([1, 0]), classes=2)
    with pytest.raises(InputError, match="numbered from 0 to 1"):
        m.confusion_matrix(np.array([2]), np.array([1]), classes=2)
    with pytest.raises(InputError, match="equally long"):
        m.figures_of(np.array([1]), np.zeros((2, 2)), predicted=np.array([1]))
