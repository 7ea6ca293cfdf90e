import dataclasses
import secrets

import numpy as np
import pytest

from medseal.protection.tamper import check
from medseal.protection.tamper.fingerprint import fingerprint
from medseal.protection.tamper.reference.inference import load
from medseal.weights import store
from tests.protection.pictures import KEY, grey, picture
from tests.protection.tamper.reference.test_inference import saved, tensors_of
from tests.protection.tamper.reference.test_networks import seeing_network
from tests.protection.tamper.test_narrowing import tensors

SIDE = 256
# 16 tiles of 8 x 8 and more are touched.
PLACE = np.s_[66:94, 146:174]


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    """Install a comparison made by hand that narrows tiles by its own map."""
    folder = tmp_path_factory.mktemp("weights")
    saved(folder, tensors_of(seeing_network()) | tensors())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_SHIPPED", folder)
        patch.setattr(secrets, "token_bytes", lambda count: bytes(range(count)))
        load.cache_clear()
        yield load()
    load.cache_clear()


@pytest.fixture(scope="module")
def record(installed):
    assert installed.narrowing is not None
    return fingerprint(grey(SIDE, SIDE), KEY)


def forged_values():
    values = grey(SIDE, SIDE).stored_values[0, :, :, 0].copy()
    values[PLACE] = np.clip(values[PLACE].astype(np.int64) + 90, 0, 255)
    return values


def changed():
    return forged_values() != grey(SIDE, SIDE).stored_values[0, :, :, 0]


def test_the_mask_lies_inside_the_proven_tiles(record):
    report = check(picture(forged_values()), record, KEY)
    assert (report.outcome, report.score, report.evidence) == ("tampered", 1.0, "tile MACs")
    assert not (changed() & ~report.proven).any()
    assert not (report.mask & ~report.proven).any()
    assert 0 < report.mask.sum() < report.proven.sum()
    (region,) = report.regions
    rows, columns = (np.flatnonzero(report.proven.any(axis=axis)) for axis in (1, 0))
    assert (region.row, region.height) == (rows[0], np.ptp(rows) + 1)
    assert (region.column, region.width) == (columns[0], np.ptp(columns) + 1)


def test_a_turned_copy_has_the_same_mask_turned(record):
    upright = check(picture(forged_values()), record, KEY)
    turned = check(picture(np.ascontiguousarray(np.rot90(forged_values()))), record, KEY)
    assert turned.operations == ("turned by 90 degrees",)
    assert np.array_equal(turned.mask, np.rot90(upright.mask))
    assert np.array_equal(turned.proven, np.rot90(upright.proven))


def test_a_change_that_the_comparison_does_not_see_stays_proven(record):
    values = grey(SIDE, SIDE).stored_values[0, :, :, 0].copy()
    values[20, 20] ^= 1
    report = check(picture(values), record, KEY)
    assert report.outcome == "tampered"
    assert report.proven[20, 20]
    assert report.mask.any()
    assert len(report.regions) == 1


def test_a_copy_shown_in_other_levels_keeps_its_tiles(record):
    """Once inverted values are undone the tiles are equal; what is shown is another picture."""
    report = check(picture(255 - forged_values()), record, KEY)
    assert report.outcome == "tampered"
    assert np.array_equal(report.mask, report.proven)


def test_without_a_narrowing_whole_tiles_stay(record, installed, monkeypatch):
    plain = dataclasses.replace(installed, narrowing=None)
    monkeypatch.setattr("medseal.protection.tamper.unmoved.load", lambda: plain)
    report = check(picture(forged_values()), record, KEY)
    assert np.array_equal(report.mask, report.proven)


@pytest.mark.usefixtures("installed")
def test_each_changed_frame_of_a_series_is_narrowed():
    first, second = (grey(SIDE, SIDE, seed=seed).stored_values[0, :, :, 0] for seed in (0, 5))
    made = fingerprint(picture(np.stack([first, second])[..., None]), KEY)
    report = check(picture(np.stack([forged_values(), second])[..., None]), made, KEY)
    assert [one.outcome for one in report.frames] == ["tampered", "authentic"]
    assert 0 < report.mask.sum() < report.proven.sum()
    assert not (report.mask & ~report.proven).any()
