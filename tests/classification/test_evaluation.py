import numpy as np
import pytest

from medseal.classification import evaluate, load_folder
from medseal.classification.evaluation import Outcome, outcome_of, score
from medseal.datasets import read_dataset
from medseal.errors import ConfigurationError, InputError


def test_test_part_gives_the_figures_of_training(trained, brain_folder):
    found = evaluate(str(trained.folder), brain_folder, split="test")
    assert found["held_out"]
    assert found["model_id"] == "tiny-cnn"
    for name, value in trained.evaluation.items():
        assert found[name] == value


def test_every_image_once_in_all(trained, brain_folder):
    counts = [
        evaluate(trained.folder, brain_folder, split=part)["images"]
        for part in ("train", "validation", "test", "all")
    ]
    assert sum(counts[:3]) == counts[3] == 60
    assert not evaluate(trained.folder, brain_folder, split="train")["held_out"]


def test_other_data_are_not_called_held_out(trained, brain_folder, tmp_path):
    lines = (brain_folder / "MANIFEST.csv").read_text().splitlines()
    (tmp_path / "MANIFEST.csv").write_text("\n".join(lines[:-2]) + "\n")
    for path in brain_folder.glob("*.png"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    assert not evaluate(trained.folder, tmp_path)["held_out"]


def test_another_split_is_refused(trained, brain_folder):
    with pytest.raises(ConfigurationError, match="split must be one of"):
        evaluate(trained.folder, brain_folder, split="holdout")


def test_no_record_is_refused(trained, brain_folder):
    classifier = load_folder(trained.folder)
    with pytest.raises(InputError, match="no image of brain-mri"):
        outcome_of(classifier, read_dataset("brain-mri", brain_folder), [])


def test_figures_of_known_outcomes():
    outcome = Outcome(
        labels=np.array([0, 0, 1, 1], dtype=np.int64),
        probabilities=np.array([0.1, 0.6, 0.9, 0.8]),
        abstained=np.array([False, True, False, False]),
        groups=("a", "b", "c", "d"),
    )
    found = score(outcome, classes=("no", "yes"))
    assert found["confusion_matrix"] == [[1, 1], [0, 2]]
    assert found["figures"]["accuracy"]["estimate"] == 0.75
    assert found["figures"]["auroc"]["estimate"] == 1.0
    assert (found["abstained"], found["accuracy_if_not_abstained"]) == (1, 1.0)
