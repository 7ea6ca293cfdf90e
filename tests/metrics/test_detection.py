import numpy as np
import pytest

from medseal.errors import ImageMismatchError, InputError
from medseal.metrics.detection import (
    detection_figures,
    exact_upper_bound,
    mean_by_group,
    overlap,
    rate_by_group,
)


def mask(*places):
    result = np.zeros((4, 4), np.bool_)
    for place in places:
        result[place] = True
    return result


def test_overlap_counts_places():
    found = overlap(mask((0, 0), (0, 1), (0, 2)), mask((0, 1), (0, 2), (3, 3)))
    assert found.f1 == pytest.approx(4 / 6)
    assert found.iou == pytest.approx(2 / 4)
    assert overlap(mask(), mask()).f1 == 1
    assert overlap(mask((1, 1)), mask()).iou == 0


def test_the_inverse_of_the_truth_is_worth_nothing():
    truth = mask((1, 1), (1, 2))
    assert overlap(truth, ~truth).f1 == 0


def test_masks_of_other_sizes_are_refused():
    with pytest.raises(ImageMismatchError, match=r"a mask of \(3, 4\) against one of \(4, 4\)"):
        overlap(mask(), mask()[:3])


def test_the_bound_without_events_is_the_root_of_the_remaining_probability():
    assert exact_upper_bound(0, 911) == pytest.approx(1 - 0.05 ** (1 / 911), rel=1e-6)
    assert exact_upper_bound(0, 1) == pytest.approx(0.95)
    assert exact_upper_bound(5, 5) == 1


@pytest.mark.parametrize(("events", "trials", "bound"), [(1, 10, 0.39416), (3, 100, 0.075714)])
def test_the_bound_with_events_is_that_of_clopper_and_pearson(events, trials, bound):
    # Quantiles 0.95 of Beta(events + 1, trials - events).
    assert exact_upper_bound(events, trials) == pytest.approx(bound, abs=1e-4)


@pytest.mark.parametrize("counts", [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(counts):
    with pytest.raises(InputError, match="a bound needs trials"):
        exact_upper_bound(*counts)


def test_trials_of_one_image_are_no_independent_trials():
    values = np.repeat([0.0, 1.0], 50)
    alone = mean_by_group(values, [str(i) for i in range(100)], seed=1, resamples=300)
    joint = mean_by_group(values, [str(i // 25) for i in range(100)], seed=1, resamples=300)
    assert alone.estimate == joint.estimate == 0.5
    assert joint.high - joint.low > 2 * (alone.high - alone.low)


def test_a_rate_of_none_or_all_has_an_exact_end():
    groups = [str(i) for i in range(200)]
    none = rate_by_group(np.zeros(200, np.bool_), groups, seed=1, resamples=50)
    assert (none.estimate, none.low) == (0, 0)
    assert none.high == pytest.approx(1 - 0.025 ** (1 / 200))
    every = rate_by_group(np.ones(200, np.bool_), groups, seed=1, resamples=50)
    assert every.low == pytest.approx(0.025 ** (1 / 200))
    assert every.high == 1


def test_figures_of_a_detector():
    edited = np.array([False] * 20 + [True] * 10)
    scores = np.concatenate([np.arange(20) / 20, np.full(10, 0.96)])
    flagged = scores > 0.92
    groups = [str(i % 5) for i in range(30)]
    found = detection_figures(edited, scores, flagged, groups, seed=3, resamples=100)
    assert found["benign_flagged"].estimate == pytest.approx(1 / 20)
    assert found["edits_caught"].estimate == 1
    assert found["balanced_accuracy"].estimate == pytest.approx(0.975)
    assert found["accuracy"].estimate == pytest.approx(29 / 30)
    assert found["auroc"].estimate == 1
    assert found["caught_at_5_percent"].estimate == 1
    assert found["benign_flagged"].low <= 1 / 20 <= found["benign_flagged"].high


def test_lists_of_unlike_lengths_are_refused():
    with pytest.raises(InputError, match="each copy has a truth"):
        detection_figures(np.ones(2, np.bool_), np.ones(3), np.ones(2, np.bool_), ["a"], seed=1)
