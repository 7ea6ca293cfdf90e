import numpy as np
import pytest

from benchmarks.tamper_handling import (
    AFTER_AN_EDIT,
    BENIGN,
    BEYOND,
    BY_NAME,
    EXACT_GROUPS,
    IN_SEQUENCE,
    NAMED,
    group_of,
    processing_of,
)
from medseal.protection.attacks import forgeries
from tests.protection.pictures import grey

IMAGE = grey(200, 180)
FORGED, MASK = forgeries.change_block(IMAGE, np.random.default_rng(0), size=40, steps=60)


def test_names_are_unique():
    assert len(BY_NAME) == len(BENIGN) + len(AFTER_AN_EDIT) + len(BEYOND) > 60


def test_what_edits_must_be_found_behind_is_one_step_or_two_in_sequence():
    assert {processing_of(name) for name in NAMED} == {
        "JPEG",
        "resize",
        "rotation",
        "crop",
        "window",
        "gamma",
    }
    assert {processing_of(name) for name in IN_SEQUENCE} == {"two in sequence"}
    assert not {group_of(name) for name in NAMED | IN_SEQUENCE} & EXACT_GROUPS


def test_every_handling_is_counted_under_something():
    counted = {processing_of(name) for name in BY_NAME}
    assert {"none", "lossless", "turn", "JPEG", "noise", "contrast", "beyond"} <= counted
    assert processing_of("contrast +20 %") == "contrast"
    assert [name for name in BY_NAME if processing_of(name) == "other"] == ["grey to RGB"]


@pytest.mark.parametrize("name", [h.name for h in BENIGN if group_of(h.name) in EXACT_GROUPS])
def test_what_counts_as_exact_keeps_every_value(name):
    act = BY_NAME[name].draw(np.random.default_rng(5))
    clean, forged = act.image(IMAGE), act.image(FORGED)
    changed = (clean.stored_values != forged.stored_values)[0, :, :, 0]
    assert np.array_equal(changed, act.mask(MASK))
    assert changed.sum() == MASK.sum()


@pytest.mark.parametrize("handling", BEYOND, ids=lambda h: h.name)
def test_what_goes_beyond_gives_a_copy_with_a_mask_of_its_size(handling):
    act = handling.draw(np.random.default_rng(1))
    copy, there = act.image(FORGED), act.mask(MASK)
    assert there.shape == (copy.rows, copy.columns)
    assert 0.5 < there.mean() / MASK.mean() < 1.6


def test_settings_beyond_are_drawn():
    first, second = (
        BY_NAME["sharpened"].draw(np.random.default_rng(seed)).image(IMAGE) for seed in (1, 2)
    )
    assert not np.array_equal(first.stored_values, second.stored_values)
