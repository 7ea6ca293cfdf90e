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


def test_an_average_that_is_surely_better_is_kept():
    found = fit_shares([GOOD, OTHER, CHANCE], LABELS)
    assert found.gain > found.standard_error > 0
    assert not found.alone
    assert found.values.sum() == pytest.approx(1)
    assert found.values[2] < 0.15 < found.values[1]
    logits = average_logits([GOOD, OTHER, CHANCE], found.values)
    assert (logits.argmax(axis=1) == LABELS).mean() >= (GOOD.argmax(axis=1) == LABELS).mean()


@pytest.mark.parametrize("members", [[GOOD, CHANCE], [CHANCE, GOOD], [OTHER]])
def test_else_the_best_member_stands_alone(members):
    found = fit_shares(members, LABELS)
    losses = [log_losses(np.log(member), LABELS).mean() for member in members]
    assert found.alone
    assert found.values.tolist() == np.eye(len(members))[np.argmin(losses)].tolist()
    assert found.gain <= found.standard_error + 1e-12


def test_an_average_of_lower_loss_that_decides_worse_is_not_kept():
    """The best member is always right and never sure; the other is sure, and wrong at times."""
    wrong = np.arange(400) % 10 == 0
    rows = np.arange(400)
    members = []
    for certainty in (np.full(400, 0.6), np.where(wrong, 0.05, 0.75)):
        member = np.stack([1 - certainty] * 2, axis=1)
        member[rows, LABELS] = certainty
        members.append(member)
    found = fit_shares(members, LABELS)
    assert found.gain > found.standard_error
    assert found.values.tolist() == [1, 0]


def test_few_groups_are_less_evidence_than_many():
    members = [GOOD, OTHER, CHANCE]
    each = fit_shares(members, LABELS)
    few = fit_shares(members, LABELS, groups=[str(i % 200) for i in range(400)])
    assert few.standard_error != each.standard_error
    one = fit_shares(members, LABELS, groups=["same"] * 400)
    assert one.alone


def test_weights_of_images_count():
    one, two = answers(LABELS, 1.0, 1), answers(LABELS, 1.0, 2)
    first = np.arange(400) < 200
    one[~first], two[first] = one[~first][:, ::-1], two[first][:, ::-1]
    for weighted, better in ((first, 0), (~first, 1)):
        found = fit_shares([one, two], LABELS, weights=np.where(weighted, 1.0, 1e-6))
        assert found.values[better] > 0.99


def test_wrong_input_is_refused():
    with pytest.raises(InputError, match="as many answers"):
        fit_shares([GOOD[:-1]], LABELS)
    with pytest.raises(InputError, match="one weight and one group"):
        fit_shares([GOOD], LABELS, groups=["a"])
    with pytest.raises(InputError, match="one share"):
        average_logits([GOOD], np.array([0.5, 0.5]))
