from dataclasses import replace

import pytest

from medseal.datasets import read_dataset
from medseal.datasets.audit.assignment import assignment
from medseal.errors import InputError


@pytest.fixture
def folder(tmp_path, write_image):
    for seed, name in enumerate(("train/a/1", "train/b/2", "test/a/3", "test/b/4")):
        write_image(tmp_path / f"{name}.png", seed)
    return tmp_path


def test_folders_and_columns_give_the_split(folder):
    dataset = read_dataset("class-folders", folder)
    origin, parts = assignment(dataset, None)
    assert origin == "given"
    assert parts["test/a/3.png"] == "test"
    # A named data set draws its own split; its folders are audited all the same.
    bare = replace(dataset, records=tuple(replace(record, part="") for record in dataset.records))
    assert assignment(bare, None) == (origin, parts)


def test_otherwise_the_split_is_drawn(folder):
    dataset = read_dataset("class-folders", folder)
    flat = replace(
        dataset,
        records=tuple(
            replace(record, part="", path=record.path.replace("/", "-"))
            for record in dataset.records
        ),
    )
    origin, parts = assignment(flat, None)
    assert origin == "drawn"
    assert set(parts) == {record.path for record in flat.records}


def test_tables_may_be_partial_but_not_strange(folder):
    dataset = read_dataset("class-folders", folder)
    table = folder / "s.csv"
    table.write_text("path,split\ntest/a/3.png,VAL\nother.png,test\n")
    assert assignment(dataset, table) == ("s.csv", {"test/a/3.png": "validation"})
    table.write_text("path,split\ntest/a/3.png,holdout\n")
    with pytest.raises(InputError, match="'holdout' is not train, validation or test; correct it"):
        assignment(dataset, table)
    table.write_text("path,split\nother.png,test\n")
    with pytest.raises(InputError, match=r"s\.csv names no image of class-folders; paths are"):
        assignment(dataset, table)
