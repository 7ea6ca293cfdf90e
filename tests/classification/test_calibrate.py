import numpy as np
import pytest

from medseal.classification.calibrate import abstention_threshold, fit_temperature, softmax
from medseal.errors import InputError


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
