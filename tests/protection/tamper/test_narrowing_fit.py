import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.tamper.narrowing import FEATURES, Narrowing
from medseal.protection.tamper.narrowing_fit import Examples, fitted
from tests.protection.tamper.test_narrowing import seen


def examples(count=1200, *, seed=0):
    """Return places that changed where the first feature, of a scale of its own, is large."""
    rng = np.random.default_rng(seed)
    features = rng.normal(0, 1, (count, FEATURES)).astype(np.float32)
    features[:, 0] = 50 + 20 * features[:, 0]
    return Examples(features=[features], changed=[features[:, 0] > 55])


def test_the_rule_of_the_examples_is_learnt():
    narrowing = Narrowing.of(fitted(examples()))
    new = examples(seed=1)
    guessed = narrowing._logits(new.features[0]) > 0
    assert (guessed == new.changed[0]).mean() > 0.85


def test_the_same_examples_give_the_same_tensors():
    first, again = fitted(examples()), fitted(examples())
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[name], again[name]) for name in first)


def test_what_is_fitted_narrows():
    given = seen()
    mask = Narrowing.of(fitted(examples())).places(given)
    assert mask.any()
    assert not (mask & ~given.proven).any()


@pytest.mark.parametrize(
    "given", [Examples(), Examples([np.zeros((4, FEATURES))], [np.ones(4, bool)])]
)
def test_without_examples_of_both_kinds_nothing_is_fitted(given):
    with pytest.raises(InputError, match="no forged copies to fit the narrowing of tiles on"):
        fitted(given)
