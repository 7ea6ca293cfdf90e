import numpy as np
import pytest

from medseal.classification.eight_bits import LARGEST, on_grid
from medseal.errors import InputError


@pytest.fixture
def layer():
    """Filters, and inputs that are much alike, as neighbours in an image are."""
    generator = np.random.default_rng(1)
    inputs = generator.normal(size=(500, 1)) * 10 + generator.normal(size=(500, 60))
    return generator.normal(size=(6, 60)), inputs


def test_weights_are_whole_steps_and_the_largest_stays(layer):
    weights, inputs = layer
    result = on_grid(weights, inputs.T @ inputs / len(inputs))
    steps = np.abs(weights).max(axis=1, keepdims=True) / LARGEST
    np.testing.assert_allclose(result / steps, np.rint(result / steps), atol=1e-9)
    largest = np.abs(weights).argmax(axis=1)
    rows = np.arange(len(weights))
    np.testing.assert_allclose(result[rows, largest], weights[rows, largest])
    assert np.abs(result / steps).max() <= LARGEST + 1e-9


def test_outputs_change_less_than_with_the_nearest_steps(layer):
    weights, inputs = layer
    steps = np.abs(weights).max(axis=1, keepdims=True) / LARGEST
    nearest = np.rint(weights / steps) * steps
    result = on_grid(weights, inputs.T @ inputs / len(inputs))
    errors = [np.abs(inputs @ (found - weights).T).mean() for found in (result, nearest)]
    assert errors[0] < errors[1] / 2


def test_zeros_stay(layer):
    weights, inputs = layer
    weights[:, 3] = 0
    weights[2] = 0
    result = on_grid(weights, inputs.T @ inputs / len(inputs))
    assert not result[:, 3].any()
    assert not result[2].any()


def test_moments_of_other_inputs_are_refused(layer):
    with pytest.raises(InputError, match="all pairs of inputs"):
        on_grid(layer[0], np.eye(5))
