import json

import numpy as np
import pytest

from benchmarks import watermark_trials
from benchmarks.watermark_trials import (
    CONDITIONS,
    grey_copy,
    load_records,
    methods,
    quality,
    run_unit,
    sample,
    trial,
)
from medseal.errors import InputError
from medseal.imaging import write
from tests.protection.pictures import grey, picture


@pytest.fixture
def data(tmp_path):
    lines = ["path,modality,group,split_hint"]
    (tmp_path / "skin").mkdir()
    for index, side in enumerate((280, 280, 280, 100)):
        write(grey(side, side, seed=index), tmp_path / "skin" / f"{index}.png")
        lines.append(f"skin/{index}.png,skin,g{index // 2},test")
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_of_each_group_one_readable_image_is_drawn(data):
    items = sample(data, images=5)
    assert {item.group for item in items} == {"g0", "g1"}
    assert items == sample(data, images=5)
    assert len(sample(data, images=1)) == 1
    assert all(item.pixels == 280 * 280 for item in items)
    assert sample(data, images=5, folders=["brain_mri"]) == []


def test_a_unit_gives_the_mark_and_a_record_for_each_condition(data):
    (item,) = sample(data, images=1)
    mark, *reads = run_unit(item, "medseal", ["none", "flip of rows"])
    assert mark["kind"] == "mark"
    assert mark["psnr_db"] >= 45
    assert [record["condition"] for record in reads] == ["none", "flip of rows"]
    assert all(record["exact"] and record["bits"] == 1 for record in reads)
    assert reads[0]["score"] > reads[0]["unmarked_score"]
    assert json.loads(json.dumps([mark, *reads])) == [mark, *reads]


def test_a_method_that_refuses_gives_the_reason(data, monkeypatch):
    (item,) = sample(data, images=1)
    small = grey(60, 60)
    monkeypatch.setattr(watermark_trials, "one_frame", lambda _: small)
    (record,) = run_unit(item, "block DCT", ["none"])
    assert record["kind"] == "refused"
    assert "WatermarkCapacityError: 49 blocks" in record["reason"]


def test_no_unmarked_image_is_taken_for_marked(data):
    (item,) = sample(data, images=1)
    found = trial(item, "run", 2)
    assert {kind: row[:2] for kind, row in found.items()} == {
        "unmarked": (2, 0),
        "wrong_key": (2, 0),
    }


def test_quality_of_an_eight_bit_copy_is_against_what_is_shown():
    values = np.linspace(0, 4095, 64 * 64).reshape(64, 64).astype(np.uint16)
    cover = picture(values, bits=12)
    ratio, similarity = quality(cover, grey_copy(cover))
    assert similarity > 0.99
    assert ratio > 40
    assert quality(cover, cover) == (np.inf, 1.0)


def test_records_end_at_a_line_that_was_cut_off(tmp_path):
    path = tmp_path / "records.jsonl"
    assert load_records(path) == []
    path.write_text('{"a": 1}\n{"b": 2}\n{"c"')
    assert load_records(path) == [{"a": 1}, {"b": 2}]


def test_names_are_unique_and_unknown_ones_refused():
    names = [condition.name for condition in CONDITIONS]
    assert len(names) == len(set(names))
    assert methods(["medseal"])[0].name == "medseal"
    with pytest.raises(InputError, match="unknown method magic; here are medseal, spread"):
        methods(["magic"])
