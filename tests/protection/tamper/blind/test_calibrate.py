import numpy as np
import pytest

from medseal.metrics.ranking import auroc
from medseal.protection.tamper.blind.calibrate import (
    FALSE_ALARM_RATE,
    Seen,
    calibrated,
    features_of,
    figures,
    trials,
)
from medseal.protection.tamper.blind.samples import read_pictures
from medseal.protection.tamper.blind.scan import Tile
from tests.protection.tamper.blind.test_samples import data_in

THRESHOLDS = 33


def look(plane):
    """Return a map of the local contrast: some opinion, quickly."""
    rough = np.abs(np.diff(plane, axis=0, append=plane[-1:])) / 8 - 3
    features = np.array([plane.mean(), plane.std(), rough.mean()], np.float32)
    return Tile(forged=rough, trusted=-rough, score=float(rough.max()), features=features)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return read_pictures(data_in(tmp_path_factory.mktemp("data")), per_collection=9, seed=1)


@pytest.fixture(scope="module")
def seen(pictures):
    return trials(pictures, look, seed=1, draws=3, most=5)


def one(score, *, forged, tiles=1, place=0, extent=20):
    """Return a verdict whose mask overlaps best at threshold number `place`."""
    shared, marked = np.zeros(THRESHOLDS, np.int64), np.full(THRESHOLDS, 400, np.int64)
    shared[place] = 80 if forged else 0
    marked[place] = 100
    return Seen(
        score=score,
        tiles=tiles,
        features=np.array([score, 1, 0], np.float32),
        is_forged=forged,
        modality="CT",
        family="block",
        handling=(),
        extent_pixels=extent,
        shared=shared,
        marked=marked,
        changed=100 if forged else 0,
    )


def many(*, shift=2.0, tiles=1):
    rng = np.random.default_rng(3)
    scores = rng.normal(size=(2, 400))
    clean = [one(score, forged=False, tiles=tiles) for score in scores[0]]
    return clean + [one(score + shift, forged=True, place=7, tiles=tiles) for score in scores[1]]


def known():
    return np.random.default_rng(1).normal(size=(200, 3)).astype(np.float32)


def test_each_forgery_has_its_clean_twin(seen):
    assert len(seen) == 2 * 2 * 3
    assert [item.is_forged for item in seen[:4]] == [True, False, True, False]
    assert seen[0].family == seen[1].family
    assert len({item.family for item in seen}) >= 4
    for item in seen:
        assert (item.shared <= np.minimum(item.marked, item.changed)).all()
        assert (np.diff(item.marked) <= 0).all()
        assert (item.changed > 0) == item.is_forged


def test_the_trials_are_the_same_for_each_network(pictures, seen):
    again = trials(pictures, look, seed=1, draws=3, most=5)
    assert [item.score for item in again] == [item.score for item in seen]


def test_features_come_from_training_images(pictures):
    found = features_of(pictures, look, seed=1, most=1)
    assert found.shape == (2, 3)
    assert np.isfinite(found).all()


def test_the_threshold_lets_few_clean_images_through():
    seen = many()
    calibration = calibrated(seen, known())
    assert 0 < calibration.false_alarm_rate <= FALSE_ALARM_RATE + 1 / 400
    found = figures(seen, calibration)
    assert found["false_alarms"] == pytest.approx(calibration.false_alarm_rate)
    assert found["caught"] > 0.4
    labels = np.array([item.is_forged for item in seen]).astype(int)
    assert found["auroc"] == auroc(labels, np.array([item.score for item in seen]))
    assert found["auroc_by_family"] == {"block": found["auroc"]}


def test_probabilities_are_calibrated():
    """Two normal distributions two apart: log-odds are twice the score, less two."""
    calibration = calibrated(many(), known())
    assert calibration.slope == pytest.approx(2, abs=0.3)
    assert calibration.offset == pytest.approx(-2, abs=0.4)
    assert calibration.probability(1.0, tiles=1) == pytest.approx(0.5, abs=0.06)


def test_many_tiles_are_no_reason_to_suspect_an_image():
    forged_large = [item for item in many(tiles=16) if item.is_forged]
    clean_small = [item for item in many(tiles=1) if not item.is_forged]
    assert calibrated(forged_large + clean_small, known()).tiles_slope <= 0


def test_the_threshold_of_the_mask_is_that_of_the_best_overlap():
    calibration = calibrated(many(), known())
    assert calibration.map_threshold == pytest.approx(-4 + 7 * 0.25)
    assert figures(many(), calibration)["pixel_f1"] == pytest.approx(0.8)


def test_small_edits_do_not_count_in_the_overlap():
    seen = [*many(), *(one(0.0, forged=True, place=20, extent=5) for _ in range(900))]
    assert calibrated(seen, known()).map_threshold == pytest.approx(-4 + 7 * 0.25)


def test_few_images_are_called_unknown():
    found = figures(many(), calibrated(many(), known()))
    assert 0 < found["abstained"] <= 0.01
