"""`medseal export` and what `medseal classify` makes of the folder it writes."""

import csv
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medseal.classification.export import ExportConfig
from medseal.classification.gate import GateBounds
from medseal.datasets import mr_phantom
from tests.classification.conftest import brain_folder, trained  # noqa: F401  # fixtures

MODEL = "five-layer-cnn-brain-mri"


@pytest.fixture
def brain(tmp_path) -> Path:
    """Twenty generated slices with a manifest: not the images of training."""
    folder = tmp_path / "brain"
    folder.mkdir()
    rows = []
    for index in range(20):
        image = mr_phantom(generator=np.random.default_rng(index), rows=64, columns=64)
        name = f"slice{index}.png"
        Image.fromarray((image.stored_values[0, :, :, 0] >> 4).astype(np.uint8)).save(folder / name)
        label = ("tumour", "no_tumour")[index % 2]
        rows.append({"path": name, "label": label, "group": name, "modality": "MRI brain"})
    with (folder / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def test_other_images_than_those_of_training_are_no_evidence(medseal, brain, tmp_path):
    finished = medseal("export", MODEL, "--data", brain, "--output", tmp_path)
    assert finished.code == 2
    assert f"is not the data that {MODEL} was trained on" in finished.err
    assert len(finished.err.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["brain"]


def test_the_output_folder_must_exist(medseal, brain, tmp_path):
    finished = medseal("export", MODEL, "--data", brain, "--output", tmp_path / "none")
    assert finished.code == 1
    assert "no such folder; make it first" in finished.err


def test_an_unknown_precision_is_refused(medseal, brain, tmp_path):
    arguments = ("--data", brain, "--output", tmp_path, "--precision", "f16")
    assert medseal("export", MODEL, *arguments).code == 2


def test_a_runtime_needs_an_exported_model(medseal, brain):
    image = next(brain.glob("*.png"))
    finished = medseal("classify", image, "--runtime", "openvino")
    assert (finished.code, "name the exported model to run with --model" in finished.err) == (
        2,
        True,
    )
    finished = medseal("classify", image, "--model", MODEL, "--runtime", "onnx")
    assert (finished.code, "export it first, with medseal export" in finished.err) == (2, True)


def test_reduced_decoding_is_refused_without_its_gate(medseal, tmp_path):
    Image.fromarray(np.tile(np.arange(0, 250, dtype=np.uint8), (500, 2))).save(tmp_path / "a.jpg")
    finished = medseal("classify", tmp_path / "a.jpg", "--reduced")
    assert (finished.code, "reduced decoding needs a named model" in finished.err) == (2, True)
    finished = medseal("classify", tmp_path / "a.jpg", "--reduced", "--model", MODEL)
    assert (finished.code, "was not gated for reduced decoding" in finished.err) == (2, True)
    finished = medseal("classify", "00ff", "--reduced", "--model", MODEL)
    assert (finished.code, "always decoded in full" in finished.err) == (2, True)


def test_an_exported_model_classifies(medseal, tmp_path, monkeypatch, trained, brain_folder):  # noqa: F811
    model, data = trained.folder, brain_folder
    bounds = GateBounds(least_images=1, changed_share=1, probability_change=1, accuracy_loss=1)
    monkeypatch.setattr("medseal.cli.export.ExportConfig", partial(ExportConfig, bounds=bounds))
    finished = medseal("export", model, "--data", data, "--output", tmp_path, "--json")
    assert finished.code == 0, finished.err
    [said] = finished.json
    assert said["gates"]["openvino"]["changed_decisions"] == 0
    image = next(data.glob("*.png"))
    answers = {}
    for runtime, folder in (
        ("torch", model),
        ("openvino", said["folder"]),
        ("onnx", said["folder"]),
    ):
        finished = medseal("classify", image, "--model", folder, "--runtime", runtime, "--json")
        assert finished.code == 0, finished.err
        [answers[runtime]] = finished.json
    assert [answer["runtime"] for answer in answers.values()] == [
        "torch",
        "openvino bf16",
        "onnx f32",
    ]
    assert len({answer["label"] for answer in answers.values()}) == 1
    assert {answer["reduced_by"] for answer in answers.values()} == {1}
