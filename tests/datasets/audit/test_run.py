from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from medseal.datasets import read_dataset
from medseal.datasets.audit import audit
from medseal.datasets.audit.page import as_page
from medseal.errors import InputError


def quiet(_line):
    return None


def test_no_wolf_is_cried(clean_audit):
    done, _ = clean_audit
    assert done.exit_code == 0
    assert done.findings == ()
    assert all(row.result is None or row.result.gain < 0.1 for row in done.traces)


def test_confounding_is_named_with_the_next_step(confounded_audit):
    done, _ = confounded_audit
    assert done.exit_code == 1
    problems = [finding for finding in done.findings if finding.level == "problem"]
    assert "the data are confounded" in problems[0].text
    assert "a source that was left out of training" in problems[0].next_step
    for trace in ("file header", "border", "histogram"):
        [found] = [f for f in problems if f"from the {trace} alone" in f.text]
        assert found.next_step
    [row] = [row for row in done.traces if (row.target, row.trace) == ("label", "file header")]
    assert row.result.low > 0.95
    assert row.result.random_labels < 0.8


def test_same_data_same_audit(clean, clean_audit):
    again, _ = audit(clean, progress=quiet)
    assert again.to_json() == clean_audit[0].to_json()


def with_part(dataset, parts):
    records = tuple(
        replace(record, part=parts(index)) for index, record in enumerate(dataset.records)
    )
    return replace(dataset, records=records)


@pytest.fixture
def few(tmp_path, write_image):
    for seed, name in enumerate(("a/1", "a/2", "b/3", "b/4", "b/5")):
        write_image(tmp_path / f"{name}.png", seed)
    return tmp_path


def found(done, subject):
    return [
        (finding.level, finding.text) for finding in done.findings if finding.subject == subject
    ]


def test_copies_and_groups_across_parts(few):
    Image.open(few / "a/1.png").transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(few / "b/copy.png")
    Image.open(few / "a/2.png").save(few / "a/2.jpg", quality=80)
    split = few / "split.csv"
    names = ["a/1.png", "a/2.jpg", "a/2.png", "b/3.png", "b/4.png", "b/5.png", "b/copy.png"]
    parts = ["train", "train", "train", "train", "test", "val", "test"]
    lines = [f"{name},{part}" for name, part in zip(names, parts, strict=True)]
    split.write_text("\n".join(["path,split", *lines]))
    dataset = read_dataset("class-folders", few)
    done, measured = audit(dataset, split_file=split, progress=quiet)
    assert done.exit_code == 1
    assert done.split == "split.csv"
    [crossing, labels, inside] = found(done, "copies")
    assert crossing[0] == "problem"
    assert crossing[1].startswith(
        "1 pairs of copies stand in two parts of the split, the first: a/1"
    )
    assert labels == ("warning", labels[1])
    assert "different labels" in labels[1]
    assert inside[0] == "note"
    [group] = found(done, "groups")
    assert group == ("problem", "1 patients or groups stand in two parts of the split, the first: "
                     "cluster-0 in test and train")  # fmt: skip
    assert [(pair.kind, pair.same_label) for pair in done.copies] == [("mirrored", False)]
    assert "two parts of the split" in as_page(done, measured)


def test_unreadable_images_do_not_stop_the_audit(few):
    dataset = read_dataset("class-folders", few)
    (few / "a/1.png").write_bytes(b"cut")
    done, _ = audit(dataset, progress=quiet)
    [(level, text)] = found(done, "files")
    assert level == "problem"
    assert text.startswith("1 images cannot be read, the first: a/1.png: ")
    for path in few.rglob("*.png"):
        path.unlink()
    with pytest.raises(InputError, match=r"no image can be read; the first, a/1\.png: "):
        audit(dataset, progress=quiet)


def test_flaws_are_counted_and_shown(few):
    Image.fromarray(np.full((64, 64), 30, np.uint8)).save(few / "a/blank.png")
    flat = (100 + np.random.default_rng(0).normal(0, 3, (64, 64))).astype(np.uint8)
    Image.fromarray(flat).save(few / "a/flat.png")
    done, measured = audit(read_dataset("class-folders", few), progress=quiet)
    assert done.flaws == {"blank": 1, "low contrast": 1}
    assert any("a/blank.png" in text for _, text in found(done, "quality"))
    assert "a/blank.png: blank" in as_page(done, measured)


def test_sources_with_one_class_are_a_problem(few):
    dataset = read_dataset("class-folders", few)
    records = tuple(replace(record, source=record.label) for record in dataset.records)
    done, _ = audit(replace(dataset, records=records), progress=quiet)
    assert found(done, "source") == [("problem", "2 of 2 sources hold one class only: a, b")]
    assert done.balance["source a"] == {"a": 2, "b": 0}


def test_sub_collections_and_imbalance_are_named(few):
    dataset = read_dataset("class-folders", few)
    records = tuple(
        replace(dataset.records[index], label=label, collection=label, path=f"{number}", group="g")
        for number, (index, label) in enumerate([(0, "a")] + [(1, "b")] * 11)
    )
    copied = replace(dataset, records=records, opener=lambda _: dataset.read(dataset.records[0]))
    done, _ = audit(copied, progress=quiet)
    [(level, text)] = found(done, "source")
    assert level == "note"
    assert "(a: a; b: b)" in text
    assert found(done, "balance") == [
        ("warning", "the largest class has 11 images, the smallest 1")
    ]


def test_parts_of_one_distribution_and_of_two(clean, confounded):
    same, _ = audit(with_part(clean, lambda index: ("val", "test")[index // 2 % 2]), progress=quiet)
    assert same.split == "given"
    assert found(same, "shift") == []
    parts = {"lesion": "test", "normal": "validation"}
    torn = replace(
        confounded,
        records=tuple(replace(record, part=parts[record.label]) for record in confounded.records),
    )
    other, _ = audit(torn, progress=quiet)
    [(level, text)] = found(other, "shift")
    assert level == "warning"
    assert text.startswith("validation and test images can be told apart (balanced accuracy ")
