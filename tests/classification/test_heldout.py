import dataclasses

import pytest

from medseal.classification import load_folder
from medseal.classification.heldout import Known, known_training, near_duplicates, roles_of
from medseal.datasets import Member, Record, Split, read_dataset
from medseal.errors import ConfigurationError, InputError


def record(path, **changes):
    fields = {"label": "tumour", "detail": "tumour", "group": path, "source": "here"}
    return Record(path=path, **{**fields, **changes})


SPLIT = Split(
    seed=1,
    members={
        "train": (Member(name="a", group="a", stratum="", sha256="11"),),
        "validation": (Member(name="b", group="b", stratum="", sha256="22"),),
        "test": (Member(name="c", group="c", stratum=""),),
    },
)


def test_digest_decides_before_name_and_source():
    known = Known(sources=frozenset({"here"}), split=SPLIT, images=None)
    records = [
        record("other-name", sha256="11", source="elsewhere"),
        record("b", sha256="22"),
        record("c"),
        record("a", sha256="99"),
        record("d", sha256="99", source="elsewhere"),
    ]
    assert roles_of(records, known) == ["train", "validation", "test", "unseen", "external"]


def test_without_a_split_only_the_source_is_known():
    known = Known(sources=frozenset({"here", "not stated"}), split=None, images=None)
    records = [record("a"), record("b", source=""), record("c", source="elsewhere")]
    assert roles_of(records, known) == ["unknown", "unknown", "external"]


def test_what_training_left_out_is_external():
    known = Known(
        sources=frozenset({"here"}),
        split=SPLIT,
        images=None,
        left_out=("Br35H",),
    )
    assert known.is_external(record("y1.jpg", collection="Br35H"))
    assert not known.is_external(record("x"))
    only = dataclasses.replace(known, kept=("chest_xray",), left_out=())
    assert only.is_external(record("chest_xray_nih/1.png"))
    assert not only.is_external(record("chest_xray/1.png"))


def test_split_of_training_is_drawn_again(trained, brain_folder):
    card = load_folder(trained.folder).card
    data = read_dataset("brain-mri", brain_folder)
    known = known_training(card, folder=None, data=data, trained_on=brain_folder)
    assert str(known.split.digest) == card.training["split_digest"]
    copies = near_duplicates(data, data.select(known.split.names("train"))[:3], known)
    assert copies.all()
    assert near_duplicates(data, data.records[:1], dataclasses.replace(known, images=None)) is None


def test_other_images_do_not_pass_for_those_of_training(trained, brain_folder):
    card = load_folder(trained.folder).card
    data = read_dataset("brain-mri", brain_folder)
    fewer = dataclasses.replace(data, records=data.records[:-2])
    known = known_training(card, folder=None, data=fewer, trained_on=data.root)
    assert known.split is None


def test_card_without_a_split_is_refused(trained, brain_folder):
    card = dataclasses.replace(load_folder(trained.folder).card, training={})
    data = read_dataset("brain-mri", brain_folder)
    with pytest.raises(ConfigurationError, match="names no data set and no split"):
        known_training(card, folder=None, data=data, trained_on=brain_folder)


def test_a_named_folder_without_the_images_of_training_is_refused(trained, brain_folder, tmp_path):
    card = load_folder(trained.folder).card
    data = read_dataset("brain-mri", brain_folder)
    with pytest.raises(InputError, match="no image of brain-mri"):
        known_training(card, folder=None, data=data, trained_on=tmp_path)
