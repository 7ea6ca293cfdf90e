from medseal.datasets.grouping import joined, without_copies
from medseal.datasets.loader import Record


def test_items_are_joined_through_any_key():
    assert joined(["a", "b", "a", "c"], [None, "x", "y", "y"]) == [0, 1, 0, 0]
    assert joined([None, None]) == [0, 1]
    assert joined([]) == []


def record(path, group, part):
    return Record(path=path, label="x", detail="x", group=group, part=part)


def test_copies_stay_in_test_then_in_training():
    records = [
        record("1", "g", "train"),
        record("2", "g", "test"),
        record("3", "h", "val"),
        record("4", "h", "train"),
        record("5", "i", "val"),
    ]
    kept, notes = without_copies(records)
    assert [item.path for item in kept] == ["2", "4", "5"]
    assert notes == [
        "1 train images left out: they also stand in test",
        "1 validation images left out: they also stand in train",
    ]


def test_without_parts_nothing_is_left_out():
    records = [record("1", "g", ""), record("2", "g", "")]
    assert without_copies(records) == (records, [])
