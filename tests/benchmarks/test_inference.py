"""The parts of the inference measurement, on small inputs."""

import csv
import time

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks import inference
from benchmarks.inference_engines import fastest, operations_of
from benchmarks.inference_files import (
    dicom_files,
    jpeg_files,
    probability,
    reduction,
    two_workers,
)
from medseal.classification import Classifier, load
from medseal.classification.train import train
from medseal.imaging import read

CONFIG = """
id = "resnet50-brain-mri"
version = "1"
task = "tumour"
modality = "MR"
method = "five-layer-cnn"
dataset = "brain-mri"
limits = "made of noise for a test"
[preprocess]
rows = 32
columns = 32
[train]
batch_size = 8
max_epochs = 1
threads = 1
"""


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load(inference.MODEL)


@pytest.fixture
def data(tmp_path):
    """Photographs and a radiograph where the measurement looks for them."""
    row, column = np.mgrid[0:960, 0:999]
    grey = (127 + 100 * np.sin(row / 40) * np.cos(column / 30)).astype(np.uint8)
    (tmp_path / "fundus_chase").mkdir()
    (tmp_path / "chest_xray_native" / "normal").mkdir(parents=True)
    Image.fromarray(np.stack([grey, grey // 2, grey // 3], axis=2)).save(
        tmp_path / "fundus_chase" / "a.jpg"
    )
    Image.fromarray(grey).save(tmp_path / "chest_xray_native" / "normal" / "b.jpeg")
    return tmp_path


def test_the_least_time_is_that_of_the_work_not_of_the_wait():
    asleep = fastest(lambda: time.sleep(0.02), seconds=0.05)
    assert asleep < 0.01
    assert fastest(lambda: sum(range(300_000)), seconds=0.05) > 0.0005


def test_operations_are_counted_by_hand():
    network = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(256, 2)
    )
    # 8 x 8 places, 4 filters of 9 weights; then 2 sums of 256.
    assert operations_of(network, torch.zeros(1, 1, 8, 8)) == 2 * (64 * 4 * 9 + 2 * 256)


def test_the_files_are_what_their_names_say(data, tmp_path):
    [photograph] = jpeg_files(data, tmp_path)
    assert read(photograph).stored_values.shape == (1, 450, 600, 3)
    made = dicom_files(data, tmp_path)
    for path in made.values():
        image = read(path)
        assert (image.rows, image.columns, image.bits_stored) == (1024, 1024, 12)
    # Both are lossless: the same values.
    values = [read(path).stored_values for path in made.values()]
    assert np.array_equal(*values)
    (data / "fundus_chase" / "a.jpg").unlink()
    with pytest.raises(FileNotFoundError, match="holds no JPEG file"):
        jpeg_files(data, tmp_path)


def test_a_probability_comes_from_every_file(data, tmp_path, classifier):
    paths = [*jpeg_files(data, tmp_path), *dicom_files(data, tmp_path).values()]
    for path in paths:
        full = probability(path, classifier, reduced=False)
        small = probability(path, classifier)
        assert full.sum() == pytest.approx(1)
        assert small == pytest.approx(full, abs=0.2)
        assert not np.array_equal(small, full)
    found = reduction(paths, classifier)
    assert found["images"] == 3
    assert found["largest_factor"] == 4
    assert found["correlation_least"] > 0.95
    assert reduction([], classifier) == {"images": 0}


def test_a_worker_that_cannot_start_is_said(tmp_path):
    with pytest.raises(RuntimeError, match="a worker did not start"):
        two_workers(tmp_path / "no-model", count=1, workers=1)


@pytest.fixture
def trained(tmp_path):
    """A small network by the name of the large one, trained on forty squares; their folder."""
    generator = np.random.default_rng(1)
    with (tmp_path / "MANIFEST.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "group", "modality"])
        for index in range(40):
            noise = generator.integers(0, 256, (32, 32), np.uint8)
            Image.fromarray(noise).save(tmp_path / f"{index}.png")
            label = ("tumour", "no_tumour")[index % 2]
            writer.writerow([f"{index}.png", label, f"g{index}", "MRI brain"])
    (tmp_path / "tiny.toml").write_text(CONFIG)
    made = train(tmp_path / "tiny.toml", data_dir=tmp_path, output_dir=tmp_path / "out")
    return made.folder, tmp_path


def test_what_the_gate_refuses_is_timed_and_does_not_count(trained):
    folder, images = trained
    stored = {"result": {"workers": 1, "resnet50_random_weights": {}}, "measured_at": "before"}
    found = inference.measure_resnet(images, folder.parent, stored, quick=True)
    row = found.pop("resnet50")
    assert found == {"workers": 1}
    assert row["measured_apart"]["all_else_measured_at"] == "before"
    assert row["test_part"]["torch f32"]["images"] > 0
    # A handful of validation images are no evidence, so nothing may serve.
    assert all("at least 100 are needed" in gate["refused"] for gate in row["gate"].values())
    times = row["milliseconds_an_image"]
    exact = [min(times[name].values()) for name in times if "_f32" in name]
    assert row["least_milliseconds"] == min(exact)
    assert "openvino_int8" in times


def test_a_result_measured_apart_twice_knows_when_the_rest_was(monkeypatch, tmp_path):
    monkeypatch.setattr(inference, "limits", lambda _: {"f32": 1.0})
    monkeypatch.setattr(inference, "resnet", lambda *_: {"resnet50": {"least_milliseconds": 1}})
    stored = {"measured_at": "first", "result": {"workers": 1}}
    for now in ("second", "third"):
        found = inference.measure_resnet(tmp_path, None, stored, quick=True)
        assert found["resnet50"]["measured_apart"]["all_else_measured_at"] == "first"
        stored = {"measured_at": now, "result": found}
