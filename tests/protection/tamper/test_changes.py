import numpy as np
import pytest

from medseal.protection.attacks import distortions
from medseal.protection.tamper.changes import changes_of
from medseal.protection.tamper.exact import find
from medseal.protection.tamper.fingerprint import fingerprint
from tests.protection.pictures import KEY, grey, picture, texture


def series(frames=8, *, side=96):
    values = np.stack([texture(side, side + 10, seed=s) * 255 for s in range(frames)])
    return picture(values.astype(np.uint8)[..., None])


def changes(copy, original):
    record = fingerprint(original, KEY)
    found = find(copy, record, KEY)
    assert found is not None
    return changes_of(copy, found, record)


def test_one_frame_has_no_frame_reports():
    original = grey(128, 128)
    values = original.stored_values.copy()
    values[0, 60, 60] ^= 1
    found = changes(original.with_stored_values(values), original)
    assert found.is_local
    assert found.frames == ()
    assert found.proven[60, 60]
    assert found.everywhere().proven.all()


def test_each_frame_says_what_became_of_it():
    original = series()
    values = original.stored_values.copy()
    values[2, 50, 20] ^= 1
    values[5] = (texture(96, 106, seed=77) * 255).astype(np.uint8)[..., None]
    found = changes(original.with_stored_values(values), original)
    assert found.is_local
    assert [frame.outcome for frame in found.frames] == [
        "tampered" if number in (2, 5) else "authentic" for number in range(8)
    ]
    assert [frame.original for frame in found.frames] == list(range(8))
    (region,) = found.frames[2].regions
    assert region.frame == 2
    assert region.row <= 50 < region.row + region.height
    assert region.column <= 20 < region.column + region.width
    assert "in frames 2, 5 (counted from 0)" in found.detail
    assert found.frames[0].regions == ()


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_regions_of_a_turned_frame_lie_on_the_copy(turns):
    original = series()
    values = original.stored_values.copy()
    values[3, 7, 90] ^= 1
    edited = original.with_stored_values(values)
    copy = distortions.quarter_turn(edited, turns=turns)
    difference = copy.stored_values != distortions.quarter_turn(original, turns=turns).stored_values
    ((_, row, column, _),) = np.argwhere(difference)
    found = changes(copy, original)
    (region,) = found.frames[3].regions
    assert region.row <= row < region.row + region.height
    assert region.column <= column < region.column + region.width
    assert found.proven[row, column]


def test_a_series_processed_as_a_whole_is_not_local():
    original = series()
    values = original.stored_values.copy()
    values[1:] = np.minimum(values[1:].astype(int) + 1, 255)
    # One equal frame proves that the others were altered.
    assert changes(original.with_stored_values(values), original).is_local
    values[0] = np.minimum(values[0].astype(int) + 1, 255)
    assert find(original.with_stored_values(values), fingerprint(original, KEY), KEY) is None


def test_a_series_that_was_saved_as_jpeg_once_more_is_not_local():
    inside = np.stack([texture(384, 384, seed=s)[96:288, 96:288] for s in (3, 4, 3)])
    bright = np.clip(inside * 420, 0, 255)
    once = distortions.jpeg(picture(bright.astype(np.uint8)[..., None]), quality=75)
    found = changes(distortions.jpeg(once, quality=75), once)
    assert not found.is_local
    assert "saving as JPEG once more" in found.detail
    values = once.stored_values.copy()
    values[1, 90:100, 90:100] ^= 3
    assert changes(once.with_stored_values(values), once).is_local


def test_scattered_changes_of_a_series_are_those_of_saving_again():
    original = series(4, side=256)
    rng = np.random.default_rng(1)
    values = original.stored_values.copy()
    values[rng.random(values.shape) < 0.002] ^= 1
    found = changes(original.with_stored_values(values), original)
    assert not found.is_local
    assert "scattered as by saving again with losses" in found.detail
