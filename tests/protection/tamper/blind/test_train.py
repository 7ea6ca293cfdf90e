import json

import numpy as np
import pytest
import torch

from medseal import weights
from medseal.errors import ConfigurationError, InputError, WeightsError
from medseal.protection.tamper.blind import detect
from medseal.protection.tamper.blind.inference import load_folder
from medseal.protection.tamper.blind.train import LOG_NAME, train_blind
from medseal.weights.run_file import CHECKPOINT_NAME
from tests.protection.pictures import grey
from tests.protection.tamper.blind.test_samples import data_in

CONFIG = """id = "{id}"
version = "1"
task = "tamper-blind"
modality = "any"
method = "tamper-blind"
limits = "None."
{head}
[network]
channels = [4, 4, 4, {last}]
blocks = [0, 0, 0, 1]
[train]
seed = 1
steps = {steps}
tile_sides = [64]
pairs = 2
validation_every = 1
bfloat16 = false
{more}
"""
DEFAULTS = {"id": "tiny", "steps": 2, "last": 6, "head": "", "more": ""}


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


def trained(folder, data, **settings):
    path = folder / "tiny.toml"
    path.write_text(CONFIG.format(**DEFAULTS | settings))
    return train_blind(path, data_dir=data, output_dir=folder / "models")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    return trained(tmp_path_factory.mktemp("run"), data)


def tensors_of(run):
    return weights.load_folder(run.folder)[1]


def test_the_folder_is_a_detector_with_its_figures(run):
    report = detect(grey(100, 100), model=load_folder(run.folder))
    assert 0 <= report.score <= 1
    card = weights.read_card(run.folder)
    assert card.metrics["part"] == "validation"
    assert card.metrics["auroc"] == run.evaluation["auroc"]
    assert card.calibration["threshold"] == pytest.approx(report.operating_point.threshold)
    assert card.training["images"] == 4


def test_each_validation_is_logged(run):
    rows = [json.loads(line) for line in (run.run_folder / LOG_NAME).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_the_same_seed_gives_the_same_network(run, data, tmp_path):
    again, first = tensors_of(trained(tmp_path, data)), tensors_of(run)
    assert all(np.array_equal(again[name], first[name]) for name in first)


def test_a_run_that_stopped_goes_on_to_the_same_network(run, data, tmp_path, monkeypatch):
    def stop(message, *_args):
        if message.startswith("step"):
            raise KeyboardInterrupt

    monkeypatch.setattr("medseal.protection.tamper.blind.train._LOGGER.info", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, data)
    monkeypatch.undo()
    assert (tmp_path / "models" / "tiny.run" / CHECKPOINT_NAME).exists()
    again, first = tensors_of(trained(tmp_path, data)), tensors_of(run)
    assert all(np.array_equal(again[name], first[name]) for name in first)


def test_a_run_of_other_settings_is_refused(data, tmp_path):
    trained(tmp_path, data, steps=1)
    with pytest.raises(ConfigurationError, match="other settings"):
        trained(tmp_path, data, steps=1, more="easy_share = 1.0")


def test_a_network_goes_on_from_another(data, tmp_path):
    first = trained(tmp_path, data, id="first", steps=1)
    second = trained(tmp_path, data, id="second", steps=1, head='initial = "first"')
    card = weights.read_card(second.folder)
    assert card.training["initial"] == str(weights.read_card(first.folder).sha256)
    with pytest.raises(WeightsError, match="this size"):
        trained(tmp_path, data, id="third", last=8, head='initial = "first"')


def test_a_family_left_out_must_be_one(data, tmp_path):
    with pytest.raises(InputError, match="families of forgeries are"):
        trained(tmp_path, data, more='without_families = ["unknown"]')
