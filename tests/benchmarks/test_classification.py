import csv

import numpy as np
import pytest
from PIL import Image

from benchmarks.classification import MODELS, main, measure, paired_difference
from medseal.classification.evaluation import Outcome
from medseal.errors import ConfigurationError


def outcome(probabilities, **changes):
    fields = {
        "labels": np.array([0, 0, 1, 1] * 5, dtype=np.int64),
        "probabilities": np.asarray(probabilities, dtype=np.float64),
        "abstained": np.zeros(20, bool),
        "groups": tuple(f"g{i // 2}" for i in range(20)),
    }
    return Outcome(**{**fields, **changes})


def test_model_does_not_differ_from_itself():
    one = outcome(np.linspace(0, 1, 20))
    for figure in paired_difference(one, one, resamples=50).values():
        assert figure == {"estimate": 0, "low": 0, "high": 0}


def test_sign_and_pairing():
    right = outcome(np.array([0.1, 0.1, 0.9, 0.9] * 5))
    wrong = outcome(np.array([0.9, 0.9, 0.1, 0.1] * 5))
    found = paired_difference(right, wrong, resamples=50)
    assert found["accuracy"] == {"estimate": 1, "low": 1, "high": 1}
    assert found["auroc"]["estimate"] == 1
    assert found["brier"]["estimate"] == pytest.approx(-0.8)


def test_other_images_are_refused():
    one = outcome(np.zeros(20))
    with pytest.raises(ConfigurationError, match="not tested on the same images"):
        paired_difference(one, outcome(np.zeros(20), groups=("g",) * 20), resamples=2)


@pytest.mark.parametrize("model_id", MODELS)
def test_data_that_may_have_been_trained_on_are_refused(tmp_path, model_id):
    with (tmp_path / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "modality"])
        for index in range(20):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{index}.png")
            label = ("tumour", "no_tumour")[index % 2]
            writer.writerow([f"{index}.png", label, f"g{index}", "MRI brain"])
    with pytest.raises(ConfigurationError, match="may hold training images"):
        measure(model_id, tmp_path)


def test_folder_is_asked_for(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "--data is needed" in capsys.readouterr().err
