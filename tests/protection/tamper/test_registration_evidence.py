"""Quantised means speak where a prediction is near a bound or beyond it, and not in between."""

import numpy as np

from medseal.protection.tamper.registration_evidence import Record

SEEN, SURE = np.ones(200, np.bool_), np.zeros(200)


def quantised() -> tuple[Record, np.ndarray]:
    exact = np.linspace(0, 199, 200)
    means = (np.floor(exact / 40) * 40 + 20).astype(np.float32)
    return Record.of(means, 11.5), exact


def test_bounds_lie_halfway_between_values() -> None:
    record, _ = quantised()
    assert record.lower is not None
    assert record.upper is not None
    assert (record.lower[60], record.upper[60]) == (40, 80)
    assert np.isfinite(record.lower).all()
    assert np.isfinite(record.upper).all()


def test_the_right_prediction_is_left_alone_inside_its_bounds() -> None:
    record, exact = quantised()
    evidence = record.evidence(exact, SEEN, SURE)
    assert record.explained(exact, SEEN) == 1
    assert abs(evidence.pulls[60] * evidence.weights[60]) < 0.01
    assert evidence.weights[60] < 0.05 * evidence.weights[80]


def test_a_wrong_prediction_is_pulled_back() -> None:
    record, exact = quantised()
    evidence = record.evidence(exact + 4, SEEN, SURE)
    assert evidence.pulls[78] < -1
    assert evidence.noise > record.evidence(exact, SEEN, SURE).noise


def test_tiles_far_off_outside_or_in_doubt_are_not_trusted() -> None:
    record, exact = quantised()
    predicted, seen, doubt = exact.copy(), SEEN.copy(), SURE.copy()
    predicted[10], seen[20], doubt[30] = 180, False, 50
    evidence = record.evidence(predicted, seen, doubt)
    assert evidence.trust[10] == 0
    assert evidence.trust[20] == 0
    assert evidence.trust[30] < 0.01
    assert evidence.trust[40] > 0.9


def test_means_of_many_values_are_taken_as_they_are() -> None:
    exact = np.linspace(0, 199, 200).astype(np.float32)
    record = Record.of(exact, 2.0)
    assert record.lower is None
    evidence = record.evidence(exact.astype(np.float64) - 1, SEEN, SURE)
    np.testing.assert_allclose(evidence.pulls, 1, atol=1e-4)
