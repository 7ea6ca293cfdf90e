import numpy as np
import pytest
from PIL import Image

from medseal.classification import load, load_folder
from medseal.classification.outcome import Outcome, by_group, outcome_of, score, short_score
from medseal.datasets import read_dataset
from medseal.errors import InputError, ModelMismatchError


def outcome(labels, positive, **changes):
    positive = np.array(positive)
    fields = {
        "labels": np.array(labels, dtype=np.int64),
        "probabilities": np.stack([1 - positive, positive], axis=1),
        "predicted": (positive >= 0.5).astype(np.int64),
        "abstained": np.zeros(len(labels), bool),
        "groups": tuple(str(i) for i in range(len(labels))),
    }
    return Outcome(**{**fields, **changes})


def test_figures_of_known_answers():
    found = score(
        outcome(
            [0, 0, 1, 1], [0.1, 0.6, 0.9, 0.8], abstained=np.array([False, True, False, False])
        ),
        classes=("no", "yes"),
    )
    assert found["confusion_matrix"] == [[1, 1], [0, 2]]
    assert found["figures"]["accuracy"]["estimate"] == 0.75
    assert found["figures"]["auroc"]["estimate"] == 1.0
    assert (found["abstained"], found["coverage"]) == (1, 0.75)
    assert found["accuracy_if_not_abstained"] == 1.0


def test_decisions_count_not_the_largest_probability():
    """A model may decide at another threshold than a half."""
    strict = outcome([0, 1], [0.6, 0.9], predicted=np.array([0, 1]))
    assert score(strict, classes=("no", "yes"))["figures"]["accuracy"]["estimate"] == 1


def test_undefined_figures_are_none():
    found = score(outcome([1, 1], [0.9, 0.2]), classes=("no", "yes"))["figures"]
    assert found["auroc"] == {"estimate": None, "low": None, "high": None}
    assert found["sensitivity"]["estimate"] == 0.5


def test_several_classes_have_a_row_each():
    rows = np.eye(3)[[0, 1, 2, 2]] * 0.7 + 0.1
    three = outcome([0, 1, 2, 1], [0.0] * 4, probabilities=rows, predicted=np.array([0, 1, 2, 2]))
    found = score(three, classes=("a", "b", "c"))
    assert found["per_class"]["b"]["sensitivity"] == 0.5
    assert found["per_class"]["c"]["precision"] == 0.5
    assert found["figures"]["accuracy"]["estimate"] == 0.75


def test_one_decision_a_group():
    slices = outcome(
        [1, 1, 1, 0, 0, 1],
        [0.9, 0.4, 0.8, 0.1, 0.3, 0.2],
        groups=("a", "a", "a", "b", "mixed", "mixed"),
        abstained=np.array([True, True, False, False, False, False]),
    )
    found = by_group(slices)
    assert found.groups == ("a", "b")
    np.testing.assert_array_equal(found.labels, [1, 0])
    np.testing.assert_array_equal(found.predicted, [1, 0])
    np.testing.assert_array_equal(found.abstained, [True, False])
    assert found.probabilities[0, 1] == pytest.approx(0.7)
    assert by_group(outcome([0, 1], [0.1, 0.9], groups=("x", "x"))) is None


def test_part_keeps_what_belongs_together():
    whole = outcome([0, 1, 1], [0.1, 0.2, 0.9])
    part = whole.part(np.array([False, True, True]))
    assert part.groups == ("1", "2")
    assert short_score(part)["figures"]["accuracy"]["estimate"] == 0.5


def test_a_volume_gets_one_answer(trained, brain_folder):
    classifier = load_folder(trained.folder)
    data = read_dataset("brain-mri", brain_folder)
    found = outcome_of(classifier, data, data.records[:3])
    assert found.probabilities.shape == (3, 2)
    [said] = classifier.predict([data.read(data.records[1])])
    assert found.probabilities[1, 1] == said.probabilities["tumour"]
    assert classifier.card.classes[found.predicted[1]] == said.label


def test_no_record_is_refused(trained, brain_folder):
    with pytest.raises(InputError, match="no image of brain-mri"):
        outcome_of(load_folder(trained.folder), read_dataset("brain-mri", brain_folder), [])


def picture(path, *, tinted):
    path.parent.mkdir(exist_ok=True)
    grey = np.random.default_rng(len(path.name)).integers(0, 200, (64, 64, 1), dtype=np.uint8)
    values = np.repeat(grey, 3, axis=2)
    values[..., 2] //= 4 if tinted else 1
    Image.fromarray(values).save(path)


def test_one_image_of_another_kind_counts_as_wrong_and_ends_nothing(tmp_path, caplog):
    picture(tmp_path / "no_tumour" / "plain.png", tinted=False)
    picture(tmp_path / "tumour" / "tinted.png", tinted=True)
    dataset = read_dataset("brain-mri", tmp_path)
    found = outcome_of(load("five-layer-cnn-brain-mri"), dataset, dataset.records)
    place = [record.label for record in dataset.records].index("tumour")
    assert found.refused == 1
    assert score(found, classes=("no_tumour", "tumour"))["refused"] == 1
    assert found.predicted[place] != found.labels[place]
    assert found.abstained[place]
    assert "tinted.png is refused and counts as wrong" in caplog.text


def test_a_collection_of_another_kind_is_refused(tmp_path):
    picture(tmp_path / "no_tumour" / "one.png", tinted=True)
    picture(tmp_path / "tumour" / "other.png", tinted=True)
    dataset = read_dataset("brain-mri", tmp_path)
    with pytest.raises(ModelMismatchError, match="made for grey images"):
        outcome_of(load("five-layer-cnn-brain-mri"), dataset, dataset.records)
