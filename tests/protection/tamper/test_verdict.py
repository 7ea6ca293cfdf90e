import dataclasses

import numpy as np
import pytest

from medseal.protection.attacks import distortions
from medseal.protection.tamper import check
from medseal.protection.tamper.fingerprint import fingerprint
from medseal.protection.tamper.mark import MarkEvidence
from medseal.protection.tamper.processed import Finding
from medseal.protection.tamper.reference.fusion import CLUES
from medseal.protection.tamper.verdict import (
    _MARK_WEIGHT,
    _MOST_MARK,
    EVIDENCE,
    _with_mark,
    processed_report,
)
from tests.protection.pictures import KEY, grey, picture
from tests.protection.tamper.test_processed import (
    PLACE,
    SIDE,
    forged,
    installed,
    original,
    overlap,
    record,
)

__all__ = ["installed", "record"]


def reported(image, record, **settings):
    given = {"mark": None, "checks": [], "operations": ()} | settings
    return processed_report(image, record, KEY, **given)


def jpeg(image):
    return distortions.jpeg(image, quality=85)


def test_an_untouched_copy_is_processed(record):
    report = reported(jpeg(original()), record)
    assert report.outcome == "processed"
    assert report.score < 0.5
    assert not report.mask.any()
    assert report.regions == ()
    assert (report.model_id, report.evidence) == ("tiny", EVIDENCE)
    assert [(name, state) for name, state, _ in report.checks] == [("fingerprint", "pass")]
    assert "small edits may be lost" in report.checks[0][2]


def test_a_forged_copy_is_tampered_and_its_region_is_shown(record):
    image, mask = forged()
    report = reported(jpeg(image), record)
    assert report.outcome == "tampered"
    assert report.score > 0.5
    assert overlap(report.mask, mask) > 0.6
    (region,) = report.regions
    assert region.evidence == EVIDENCE
    assert region.score > 0.5
    rows, columns = PLACE
    assert abs(region.row - rows.start) <= 10
    assert abs(region.column - columns.start) <= 10
    assert report.checks[-1][:2] == ("fingerprint", "fail")


def test_what_was_seen_before_stays_and_comes_first(record):
    report = reported(
        distortions.resize(original(), factor=0.75),
        record,
        checks=[("values", "fail", "differ")],
        operations=("mirrored", "scaled by 0.75"),
    )
    assert report.checks[0] == ("values", "fail", "differ")
    assert report.operations[:2] == ("mirrored", "scaled by 0.75")
    assert len(set(report.operations)) == len(report.operations)


def test_another_image_is_unverifiable(record):
    report = reported(grey(SIDE, SIDE, seed=7), record, operations=("mirrored",))
    assert report.outcome == "unverifiable"
    assert (report.score, report.model_id) == (0.5, "")
    assert not report.mask.any()
    assert report.operations == ("mirrored",)
    assert report.checks[-1][:2] == ("fingerprint", "unknown")


def test_a_record_without_robust_part_is_unverifiable(record):
    report = reported(jpeg(original()), dataclasses.replace(record, robust=b""))
    assert report.outcome == "unverifiable"
    assert "only exact evidence counts" in report.checks[-1][2]


def test_a_mark_is_named(record):
    mark = MarkEvidence(cells=np.array([[1.0, -1.0], [2.0, 0.0]]), placement=np.eye(2, 3))
    report = reported(jpeg(original()), record, mark=mark)
    assert report.checks[0] == ("mark", "unknown", "the watermark is heard in 50 % of its cells")


@pytest.mark.parametrize(("loudness", "sign"), [(1.0, -1), (0.0, 1)])
def test_a_mark_speaks_against_a_forgery_where_it_is_heard_and_for_it_where_not(loudness, sign):
    scores = np.full((SIDE, SIDE), 0.01, np.float32)
    scores[PLACE] = 0.9
    heard = np.random.default_rng(0).normal(1, 0.1, (SIDE // 8, SIDE // 8))
    heard[scores[4::8, 4::8] > 0.5] *= loudness
    found = Finding(
        logit=0.25,
        score_map=scores,
        mask=scores > 0.5,
        operations=(),
        orientation="upright",
        clues=np.zeros(CLUES),
        model_id="any",
    )
    told = _with_mark(found, MarkEvidence(cells=heard, placement=np.eye(2, 3)))
    assert told.logit == pytest.approx(found.logit + sign * _MARK_WEIGHT * _MOST_MARK)


def test_a_mark_is_not_taken_for_that_of_every_frame():
    values = frames_of(0, 1)
    record = fingerprint(picture(values), KEY)
    changed = values.copy()
    changed[1, 30:60, 30:60] = 255
    mark = MarkEvidence(
        cells=np.random.default_rng(0).normal(1, 1, (12, 12)), placement=np.eye(2, 3)
    )
    scores = [reported(picture(changed), record, mark=one).score for one in (mark, None)]
    assert scores[0] == scores[1]


def frames_of(*seeds):
    return np.concatenate([grey(96, 96, seed=seed).stored_values for seed in seeds])


def test_frames_are_reported_one_by_one():
    values = frames_of(0, 1, 2)
    record = fingerprint(picture(values), KEY)
    changed = values.copy()
    changed[1, 30:60, 30:60] = 255
    report = reported(picture(changed), record)
    assert report.outcome == "tampered"
    assert [frame.outcome for frame in report.frames] == ["processed", "tampered", "processed"]
    assert {region.frame for region in report.regions} == {1}
    assert report.mask[35:55, 35:55].mean() > 0.7
    assert "in frames 1 " in report.checks[-1][2]


def test_a_frame_that_cannot_be_read_leaves_it_undecided_unless_another_is_forged():
    values = frames_of(0, 1)
    record = fingerprint(picture(values), KEY)
    lost = values.copy()
    lost[1] = 90
    report = reported(picture(lost), record)
    assert report.outcome == "unverifiable"
    assert report.checks[-1][2].endswith("in frames 1")
    lost[0, 30:60, 30:60] = 255
    report = reported(picture(lost), record)
    assert report.outcome == "tampered"
    assert [frame.outcome for frame in report.frames] == ["tampered", "unverifiable"]


def test_a_check_finds_a_forgery_behind_processing(record):
    image, mask = forged()
    report = check(jpeg(distortions.quarter_turn(image, turns=1)), record, KEY)
    assert report.outcome == "tampered"
    assert overlap(report.mask, np.rot90(mask)) > 0.6
