import dataclasses
import json

import numpy as np
import pytest

from benchmarks.tamper_handling import (
    BENIGN,
    BEYOND,
    EXACT_GROUPS,
    IN_SEQUENCE,
    NAMED,
    group_of,
)
from benchmarks.tamper_trials import (
    FAMILIES,
    LESION,
    SMALLEST,
    Trial,
    edited,
    one_image,
    part_of,
    run_unit,
    sample,
    trials,
)
from medseal.datasets.material import test_files as files_to_test
from medseal.errors import InputError
from medseal.imaging import write
from medseal.protection.attacks.levels import levels_of
from tests.protection.pictures import grey, picture

IMAGE = grey(300, 280)
DONOR = levels_of(grey(300, 280, seed=4), frame=0)


@pytest.fixture
def data(tmp_path):
    lines = ["path,modality,group,split_hint"]
    (tmp_path / "skin").mkdir()
    for index, side in enumerate((200, 200, 200, 60, 600)):
        write(grey(side, side, seed=index), tmp_path / "skin" / f"{index}.png")
        lines.append(f"skin/{index}.png,skin,g{index // 2},test")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_of_each_group_one_image_is_taken_and_the_donor_is_another_patient(data):
    items = sample(files_to_test(data), data, images=2)
    assert len({item.group for item in items}) == len(items) == 2
    for item in items:
        assert item.donor != item.path
    (native,) = sample(files_to_test(data), data, images=5, is_native=True)
    assert native.name == "native skin/4.png"


def test_the_middle_is_cut_and_native_size_kept(data):
    path = data / "skin" / "4.png"
    cut, whole = one_image(path), one_image(path, is_native=True)
    assert (cut.rows, cut.columns) == (512, 512)
    assert np.array_equal(cut.stored_values[0], whole.stored_values[0, 44:556, 44:556])
    with pytest.raises(InputError, match="too small or too large"):
        one_image(data / "skin" / "3.png")


def test_every_handling_and_family_is_planned_and_the_plan_stays():
    plan = trials("one", rounds=2, chains=3)
    assert plan == trials("one", rounds=2, chains=3)
    assert len({trial.name for trial in plan}) == len(plan)
    assert {t.handling for t in plan if not t.family} == {h.name for h in (*BENIGN, *BEYOND)}
    assert {t.family for t in plan if t.family} == set(FAMILIES)
    lossy = {t.family for t in plan if group_of(t.handling) not in {*EXACT_GROUPS, "beyond"}}
    for family in set(FAMILIES) - {SMALLEST}:
        after = [t.handling for t in plan if t.family == family]
        assert sum(name in NAMED for name in after) == 3
        assert sum(name in IN_SEQUENCE for name in after) == 3
    assert SMALLEST not in lossy
    assert LESION in lossy


def test_a_part_of_a_plan_is_drawn_over_all_of_it():
    plan = trials("one", rounds=1, chains=1)
    half = part_of("one", plan, share=0.5)
    assert len(half) == round(len(plan) / 2)
    assert half == part_of("one", plan, share=0.5)
    assert set(half) < set(part_of("one", plan, share=1.0)) == set(plan)
    assert 0.3 < sum(not trial.family for trial in half) / len(half) < 0.7


@pytest.mark.parametrize("family", FAMILIES)
def test_an_edit_changes_values_inside_its_mask_and_none_outside(family):
    forged, mask = edited(IMAGE, family, np.random.default_rng(3), DONOR)
    changed = (forged.stored_values != IMAGE.stored_values)[0].any(axis=2)
    assert np.array_equal(changed, mask)
    assert mask.any()
    if family == SMALLEST:
        assert mask.sum() == 1
    if family == LESION:
        assert 40 < mask.sum() < 100


def test_a_flat_image_has_no_detail_to_erase():
    flat = picture(np.full((128, 128), 9, np.uint8))
    with pytest.raises(InputError, match="too flat"):
        edited(flat, "erased detail of 40 px", np.random.default_rng(3), DONOR)


def test_a_unit_gives_a_record_for_each_trial(data):
    item = sample(files_to_test(data), data, images=1)[0]
    chosen = [
        Trial(family="", handling="none"),
        Trial(family=SMALLEST, handling="quarter turn"),
        Trial(family="copy-move", handling="then JPEG"),
    ]
    names = ["medseal", "SHA-256 of the values", "thumbnail 2 KB + MACs"]
    clean, smallest, moved = run_unit(item, chosen, names)
    assert json.loads(json.dumps(moved)) == moved
    assert clean["kind"] == "benign"
    assert not any(clean["methods"][name]["flagged"] for name in names)
    assert smallest["extent"] == 1
    assert all(smallest["methods"][name]["flagged"] for name in names)
    assert moved["named"]
    assert moved["processing"] == "JPEG"
    assert moved["extent"] >= 10
    assert set(moved["methods"]) == set(names)
    assert clean["record_bytes"]["SHA-256 of the values"] == 32


def test_what_an_image_is_too_flat_for_is_left_out_and_said(data):
    item = sample(files_to_test(data), data, images=1)[0]
    path = data / "flat.png"
    write(picture(np.full((128, 128), 9, np.uint8)), path)
    flat = dataclasses.replace(item, path=path)
    (row,) = run_unit(flat, [Trial(family="erased detail", handling="none")], ["medseal"])
    assert row["kind"] == "left out"
    assert "too flat" in row["reason"]
