import dataclasses
import math

import numpy as np
import pytest

from medseal.classification.gate import GateBounds, compare
from medseal.errors import ConfigurationError, InputError


def tables(changes=()):
    """Probabilities of 200 images, and the same with some rows of the second replaced."""
    labels = np.arange(200) % 2
    second = np.where(labels == 1, 0.8, 0.2) + np.linspace(-0.1, 0.1, 200)
    before = np.stack([1 - second, second], axis=1)
    after = before.copy()
    for row, value in changes:
        after[row] = 1 - value, value
    return before, after, labels


def test_equal_tables_pass_the_strictest_bounds():
    outcome = compare(*tables())
    strict = GateBounds(changed_share=0, probability_change=0, accuracy_loss=0, auroc_loss=0)
    assert outcome.reasons(strict) == ()
    assert (outcome.images, outcome.changed_decisions, outcome.probability_change) == (200, 0, 0)
    assert outcome.accuracy_before == outcome.accuracy_after == 1


@pytest.mark.parametrize(
    ("changes", "bounds", "reason"),
    [
        (
            [(0, 0.6), (2, 0.6)],
            {"probability_change": 1, "accuracy_loss": 1},
            "2 of 200 decisions changed",
        ),
        ([(0, 0.45)], {}, "a probability changed by 0.3"),
        (
            [(0, 0.51)],
            {"probability_change": 1, "accuracy_loss": 0.004},
            "accuracy fell from 1.0000 to 0.9950",
        ),
        ([(1, 0.0)], {"probability_change": 1, "accuracy_loss": 1}, "AUROC went from 1.0000"),
        ([], {"least_images": 201}, "200 images, at least 201 are needed"),
    ],
)
def test_each_bound_refuses_by_itself(changes, bounds, reason):
    outcome = compare(*tables(changes))
    loose = {"changed_share": 0.005, "probability_change": 0.1, "accuracy_loss": 0.01}
    reasons = outcome.reasons(GateBounds(**{**loose, "auroc_loss": 0.004, **bounds}))
    assert len(reasons) == 1
    assert reason in reasons[0]


def test_a_single_class_is_no_evidence():
    before, after, labels = tables()
    ones = labels == 1
    outcome = compare(before[ones], after[ones], labels[ones])
    assert math.isnan(outcome.auroc_before)
    assert "AUROC" in outcome.reasons(GateBounds(least_images=1))[0]


def test_not_a_number_is_refused():
    before, after, labels = tables()
    after[3] = np.nan
    with pytest.raises(InputError, match="a probability is none"):
        compare(before, after, labels)


def test_several_classes():
    rows = np.eye(3)[np.arange(120) % 3] * 0.7 + 0.1
    outcome = compare(rows, rows[:, ::1], np.arange(120) % 3)
    assert outcome.auroc_after == 1


def test_the_outcome_is_written_without_floats():
    outcome = compare(*tables([(0, 0.3)]))
    texts = outcome.to_dict()
    assert set(texts) == {field.name for field in dataclasses.fields(outcome)}
    assert texts["images"] == 200
    assert float(texts["probability_change"]) == outcome.probability_change


def test_tables_that_do_not_fit_are_refused():
    before, after, labels = tables()
    with pytest.raises(InputError, match="two equal tables"):
        compare(before[:-1], after, labels)
    with pytest.raises(InputError, match="not empty"):
        compare(before[:0], after[:0], labels[:0])


@pytest.mark.parametrize("bounds", [{"changed_share": -0.1}, {"least_images": 0}])
def test_bounds_out_of_range_are_refused(bounds):
    with pytest.raises(ConfigurationError, match="gate bounds are shares"):
        GateBounds(**bounds)
