import numpy as np
import pytest

from medseal.classification.calibrate import log_losses
from medseal.classification.ensemble import average_logits, fit_shares
from medseal.errors import InputError


def answers(labels, skill, seed):
    """Probabilities of a model that is right where a draw lies below its skill."""
    generator = np.random.default_rng(seed)
    right = generator.random(len(labels)) < skill
    positive = np.where(right == (labels == 1), 0.8, 0.2)
    return np.stack([1 - positive, positive], axis=1)


LABELS = np.arange(400) % 2
GOOD, OTHER, CHANCE = (answers(LABELS, s, n) for n, s in enumerate((0.85, 0.82, 0.5)))


def test_average_is_the_weighted_mean():
    logits = average_logits([GOOD, CHANCE], np.array([0.75, 0.25]))
    np.testing.assert_allclose(np.exp(logits), 0.75 * GOOD + 0.25 * CHANCE)


def test_chance_gets_almost_no_share():
    shares = fit_shares([GOOD, OTHER, CHANCE], LABELS)
    assert shares.sum() == pytest.approx(1)
    assert shares[2] < 0.15 < shares[1]


@pytest.mark.parametrize("members", [[GOOD, CHANCE], [CHANCE, GOOD, OTHER], [OTHER]])
def test_it_is_never_worse_than_the_best_member(members):
    shares = fit_shares(members, LABELS)
    logits = average_logits(members, shares)
    accuracy = (logits.argmax(axis=1) == LABELS).mean()
    alone = [(member.argmax(axis=1) == LABELS).mean() for member in members]
    assert accuracy >= max(alone)
    best = members[int(np.argmax(alone))]
    assert log_losses(logits, LABELS).mean() <= log_losses(np.log(best), LABELS).mean() + 1e-12


def test_weights_of_images_count():
    one, two = answers(LABELS, 1.0, 1), answers(LABELS, 1.0, 2)
    first = np.arange(400) < 200
    one[~first], two[first] = one[~first][:, ::-1], two[first][:, ::-1]
    shares = fit_shares([one, two], LABELS, weights=np.where(first, 1.0, 1e-6))
    assert shares[0] > 0.99


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="as many answers"):
        fit_shares([GOOD[:-1]], LABELS)
    with pytest.raises(InputError, match="one share"):
        average_logits([GOOD], np.array([0.5, 0.5]))
