import numpy as np
import pytest

from medseal.classification.calibrate import (
    CalibrationConfig,
    abstention_threshold,
    fit_offsets,
    fit_temperature,
    log_losses,
    softmax,
)
from medseal.classification.sampling import balanced_weights
from medseal.errors import ConfigurationError, InputError


def drawn(temperature, count=20_000):
    """Logits whose labels follow the softmax at a known temperature."""
    generator = np.random.default_rng(3)
    logits = generator.normal(0, 4, (count, 2))
    positive = softmax(logits, temperature=temperature)[:, 1]
    return logits, (generator.random(count) < positive).astype(np.int64)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_known_temperature_is_found(temperature):
    logits, labels = drawn(temperature)
    assert fit_temperature(logits, labels) == pytest.approx(temperature, rel=0.05)


def test_fitted_temperature_has_the_lowest_loss():
    logits, labels = drawn(2.0, count=500)
    best = fit_temperature(logits, labels)

    def loss(temperature):
        chosen = softmax(logits, temperature=temperature)[np.arange(500), labels]
        return -np.log(chosen).mean()

    assert loss(best) <= min(loss(best * 0.98), loss(best * 1.02))


def test_faultless_logits_stay_finite():
    temperature = fit_temperature(np.array([[5.0, -5.0], [-5.0, 5.0]]), np.array([0, 1]))
    assert 0 < temperature < 1
    assert np.isfinite(softmax(np.array([[1e4, -1e4]]), temperature=temperature)).all()


def test_threshold_leaves_the_share_below():
    positive = np.linspace(0, 1, 1001)
    probabilities = np.stack([1 - positive, positive], axis=1)
    threshold = abstention_threshold(probabilities, share=0.2)
    assert np.mean(probabilities.max(axis=1) < threshold) == pytest.approx(0.2, abs=0.01)


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="positive"):
        softmax(np.zeros((1, 2)), temperature=0)
    with pytest.raises(InputError, match="at least one"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64))
    with pytest.raises(InputError, match="share"):
        abstention_threshold(np.ones((1, 2)), share=1)


def shifted(count=4000):
    """Logits of three classes that favour the first, with the labels a fair model would give."""
    generator = np.random.default_rng(8)
    fair = generator.normal(0, 2, (count, 3))
    labels = np.array([generator.choice(3, p=row) for row in softmax(fair)])
    return fair * 2 + np.array([3.0, 0.0, -1.0]), labels.astype(np.int64)


def test_known_offsets_are_found():
    logits, labels = shifted()
    temperature, offsets = fit_offsets(logits, labels, penalty=1e-9)
    assert temperature == pytest.approx(2, rel=0.1)
    assert offsets.sum() == pytest.approx(0, abs=1e-9)
    # The shift of (3, 0, -1) divided by the temperature, less its mean.
    np.testing.assert_allclose(offsets, -(np.array([3, 0, -1]) - 2 / 3) / 2, atol=0.15)


def test_offsets_lower_the_loss_and_a_penalty_shrinks_them():
    logits, labels = shifted(500)
    temperature, offsets = fit_offsets(logits, labels)
    plain = log_losses(logits / fit_temperature(logits, labels), labels).mean()
    assert log_losses(logits / temperature + offsets, labels).mean() < plain
    _, smaller = fit_offsets(logits, labels, penalty=10.0)
    assert np.abs(smaller).max() < 0.2 * np.abs(offsets).max()


def test_balance_moves_the_decision_to_the_rare_class():
    generator = np.random.default_rng(5)
    labels = (generator.random(3000) < 0.1).astype(np.int64)
    value = generator.normal(labels * 2.0 - 1, 1.5)
    # Logits that are right where one image in ten is positive.
    logits = np.stack([np.zeros(3000), 2 * value / 1.5**2 + np.log(0.1 / 0.9)], axis=1)
    weights = balanced_weights(labels, np.zeros(3000, np.int64))
    _, offsets = fit_offsets(logits, labels, weights=weights)
    assert offsets[1] - offsets[0] == pytest.approx(np.log(9), abs=0.3)
    _, without = fit_offsets(logits, labels)
    assert abs(without[1] - without[0]) < 0.3


def test_faultless_logits_get_finite_offsets():
    logits = np.array([[5.0, -5.0], [-5.0, 5.0], [4.0, -4.0]])
    temperature, offsets = fit_offsets(logits, np.array([0, 1, 0]))
    assert 0 < temperature < 1
    assert np.isfinite(offsets).all()


def test_losses_are_those_of_the_softmax():
    logits, labels = shifted(50)
    expected = -np.log(softmax(logits)[np.arange(50), labels])
    np.testing.assert_allclose(log_losses(logits, labels), expected)
    assert np.isfinite(log_losses(logits * 1e4, labels)).all()


def test_calibration_settings():
    with pytest.raises(ConfigurationError, match="penalty"):
        CalibrationConfig(penalty=0.0)
    with pytest.raises(InputError, match="at least one"):
        fit_offsets(np.zeros((0, 2)), np.zeros(0, np.int64))
