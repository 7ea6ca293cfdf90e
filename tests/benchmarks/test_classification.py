import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.classification import (
    Model,
    difference,
    differences,
    error_if_calibrated,
    main,
    measure,
    models_in,
    table,
    training_facts,
)
from benchmarks.classification_claims import METHODS, PAPER, method_of
from medseal import weights
from medseal.classification.evaluation import Evaluation
from medseal.classification.heldout import Known
from medseal.classification.outcome import Outcome
from medseal.classification.train import train
from medseal.datasets import Record
from medseal.errors import ConfigurationError
from medseal.metrics.calibration import expected_calibration_error

TINY = """
id = "tiny-svm"
version = "1"
task = "tumour"
modality = "MR"
method = "linear-svm"
dataset = "brain-mri"
limits = "made of noise for a test"
[preprocess]
rows = 64
columns = 64
"""
CNN, SVM = "five-layer-cnn-brain-mri", "linear-svm-brain-mri"


def records(count=20):
    return tuple(
        Record(path=f"{i}.png", label=("a", "b")[i % 2], detail="", group=f"g{i // 2}")
        for i in range(count)
    )


def evaluation(positive, **changes):
    positive = np.asarray(positive, dtype=np.float64)
    labels = np.arange(len(positive)) % 2
    shown = records(len(positive))
    outcome = Outcome(
        labels=labels,
        probabilities=np.stack([1 - positive, positive], axis=1),
        predicted=(positive >= 0.5).astype(np.int64),
        abstained=np.zeros(len(positive), bool),
        groups=tuple(record.group for record in shown),
    )
    fields = {
        "classifier": None,
        "data": None,
        "split": "test",
        "records": shown,
        "roles": ("test",) * len(positive),
        "known": Known(sources=frozenset({"here"}), split=None, images=None),
        "copies": None,
        "outcome": outcome,
    }
    return Evaluation(**{**fields, **changes})


def tiny_svm(folder):
    """Train a machine on forty squares of noise that lie in a folder; return its card."""
    generator = np.random.default_rng(1)
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "modality"])
        for index in range(40):
            noise = generator.integers(0, 256, (64, 64), np.uint8)
            Image.fromarray(noise).save(folder / f"{index}.png")
            writer.writerow(
                [f"{index}.png", ("tumour", "no_tumour")[index % 2], f"g{index}", "MRI brain"]
            )
    (folder / "tiny.toml").write_text(TINY)
    return weights.read_card(train(folder / "tiny.toml", data_dir=folder, output_dir=folder).folder)


RIGHT, WRONG = np.arange(20) % 2 * 0.8 + 0.1, 0.9 - np.arange(20) % 2 * 0.8


def test_sign_pairing_and_tests():
    found = difference(evaluation(RIGHT), evaluation(WRONG), resamples=50)
    assert found["accuracy"] == {"estimate": 1, "low": 1, "high": 1}
    assert found["auroc"]["estimate"] == 1
    assert found["brier"]["estimate"] == pytest.approx(-0.8)
    assert found["mcnemar"]["first_only"] == 20
    assert found["delong_auroc_p"] == 0
    same = difference(evaluation(RIGHT), evaluation(RIGHT), resamples=50)
    assert same["accuracy"] == {"estimate": 0, "low": 0, "high": 0}
    assert same["mcnemar"]["p_value"] == same["delong_auroc_p"] == 1


def test_only_images_inside_both_are_compared():
    roles = ("external",) * 4 + ("test",) * 16
    found = difference(evaluation(RIGHT, roles=roles), evaluation(WRONG, roles=roles), resamples=50)
    assert found["mcnemar"]["first_only"] == 16
    with pytest.raises(ConfigurationError, match="not tested on the same images"):
        difference(evaluation(RIGHT, roles=roles), evaluation(WRONG), resamples=2)


def test_each_model_against_the_baseline_and_the_ensemble_against_all():
    three = {"cnn": evaluation(RIGHT), "svm": evaluation(WRONG), "both": evaluation(RIGHT)}
    methods = {"cnn": "five-layer-cnn", "svm": "linear-svm", "both": "ensemble"}
    assert {name for name, _ in differences(three, methods, resamples=10)} == {
        "cnn minus svm",
        "both minus svm",
        "both minus cnn",
    }


def test_error_of_a_calibrated_model_falls_with_the_number_of_images():
    generator = np.random.default_rng(1)
    positive = generator.uniform(size=1600)
    rows = np.stack([1 - positive, positive], axis=1)
    few, many = (
        error_if_calibrated(part, generator=np.random.default_rng(2)) for part in (rows[:100], rows)
    )
    # A sixteenth of the images: four times the error.
    assert few["estimate"] / many["estimate"] == pytest.approx(4, rel=0.15)
    assert few["low"] < few["estimate"] < few["high"]


def test_a_measured_error_beyond_chance_can_be_told_from_one_within():
    generator = np.random.default_rng(1)
    rows = generator.dirichlet([1, 1, 1], size=600)
    right = (generator.random((600, 1)) > rows.cumsum(axis=1)[:, :-1]).sum(axis=1)
    bound = error_if_calibrated(rows, generator=generator)["high"]
    assert expected_calibration_error(right, rows) <= bound
    too_sure = rows**4 / (rows**4).sum(axis=1, keepdims=True)
    bound = error_if_calibrated(too_sure, generator=generator)["high"]
    assert expected_calibration_error(right, too_sure) > 2 * bound


def test_nothing_is_expected_of_a_model_that_is_always_sure():
    rows = np.eye(2)[np.arange(20) % 2]
    found = error_if_calibrated(rows, generator=np.random.default_rng(1))
    assert found == {"estimate": 0, "low": 0, "high": 0}


def test_installed_models_and_those_in_a_folder_are_found(tmp_path):
    [card] = [card for card in weights.models() if card.id == SVM]
    other = dataclasses.replace(card, id="linear-svm-elsewhere")
    _, tensors = weights.load(SVM)
    (tmp_path / "runs" / "deep").mkdir(parents=True)
    weights.save(tmp_path / "runs" / "deep", card=other, tensors=tensors)
    found = {model.card.id: model.place for model in models_in([tmp_path])}
    assert found["linear-svm-elsewhere"] == tmp_path / "runs" / "deep" / "linear-svm-elsewhere"
    assert found[CNN] == CNN


def test_hours_come_from_the_log_of_the_run(tmp_path):
    [card] = [card for card in weights.models() if card.id == CNN]
    place = tmp_path / CNN
    (tmp_path / f"{CNN}.run").mkdir()
    rows = [{"epoch": 1, "seconds": 1800.0}, {"epoch": 2, "seconds": 1800.0}]
    log = tmp_path / f"{CNN}.run" / "log.jsonl"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert training_facts(Model(card=card, place=place))["training_hours"] == 1
    bare = dataclasses.replace(card, training={})
    assert training_facts(Model(card=bare, place=CNN)) == {"training_hours": "not recorded"}


def test_rows_without_a_model_are_named(tmp_path):
    found = table("pneumonia-mnist", [], tmp_path, resamples=10)
    assert found["missing"] == list(METHODS)
    assert found["published"]["Google AutoML Vision"]["auroc"] == 0.991


def test_what_is_stored_of_other_models_stays(tmp_path):
    stored = {
        "models": {"other": {"method": "resnet50", "sha256": "sha256:00"}},
        "differences": {"other minus svm": {}},
        "missing": ["linear-svm"],
    }
    found = table("skin", [], tmp_path, resamples=10, stored=stored)
    assert found["models"] == stored["models"]
    assert found["differences"] == stored["differences"]
    assert found["missing"] == [name for name in METHODS if name != "resnet50"]


def test_sites_of_the_same_weights_stay_and_of_others_do_not(tmp_path):
    card = tiny_svm(tmp_path)
    model = Model(card=card, place=tmp_path / card.id)
    row = {"method": "linear-svm", "sha256": str(card.sha256), "simulated_sites": {"images": 1}}
    earlier = {"models": {card.id: row}}
    found = table("brain-mri", [model], tmp_path, resamples=10, stored=earlier)
    assert found["models"][card.id]["simulated_sites"] == {"images": 1}
    assert found["models"][card.id]["inside"]["calibration_error_expected_if_calibrated"]
    earlier = {"models": {card.id: {**row, "sha256": "sha256:00"}}}
    found = table("brain-mri", [model], tmp_path, resamples=10, stored=earlier)
    assert "simulated_sites" not in found["models"][card.id]


def test_methods_fall_into_the_rows_of_the_table():
    assert [method_of(name) for name in ("resnet-50", "resnet50", "edge-cnn", "other")] == [
        "resnet50",
        "resnet50",
        "edge-cnn",
        None,
    ]
    assert set(PAPER) < set(METHODS)


@pytest.mark.parametrize("model_id", [CNN, SVM])
def test_data_that_may_have_been_trained_on_are_refused(tmp_path, model_id):
    card, _ = weights.load(model_id)
    [source] = card.training["sources"]
    with (tmp_path / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "modality", "source_dataset"])
        for index in range(20):
            Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / f"{index}.png")
            label = ("tumour", "no_tumour")[index % 2]
            writer.writerow([f"{index}.png", label, f"g{index}", "MRI brain", source])
    with pytest.raises(ConfigurationError, match="may hold training images"):
        measure(Model(card=card, place=model_id), tmp_path)


def test_unknown_models_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--data", str(tmp_path), "--only", "no-such-model"])
    assert "no model no-such-model" in capsys.readouterr().err


def test_folder_is_asked_for(capsys):
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "--data is needed" in capsys.readouterr().err
