import json

import numpy as np
import pytest
import torch

from medseal import weights
from medseal.errors import ConfigurationError, InputError, WeightsError
from medseal.protection.tamper.reference import train
from medseal.protection.tamper.reference.inference import load_folder
from medseal.protection.tamper.reference.train import LOG_NAME, train_reference
from medseal.weights.run_file import CHECKPOINT_NAME
from tests.protection.tamper.reference.test_images import TRAINED, data_in, levels, written

CONFIG = """id = "tiny"
version = "1"
task = "tamper"
modality = "any"
method = "tamper-reference"
limits = "None."
[network]
channels = [2, 2, 2, 2]
features = 3
inner = 4
blocks = 1
[train]
seed = {seed}
steps = 2
batch_size = 2
edited_share = 0.5
validation_every = 1
bfloat16 = false
"""


@pytest.fixture(scope="module", autouse=True)
def _small():
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_VALIDATION_BATCHES", 4)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


def trained(folder, data, *, seed=1):
    path = folder / "tiny.toml"
    path.write_text(CONFIG.format(seed=seed))
    return train_reference(path, data_dir=data, output_dir=folder / "models")


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    return trained(tmp_path_factory.mktemp("run"), data)


def tensors_of(run):
    return weights.load_folder(run.folder)[1]


def test_a_run_writes_a_folder_with_its_figures(run):
    card = weights.read_card(run.folder)
    assert (card.id, card.method) == ("tiny", "tamper-reference")
    assert card.network["channels"] == [2, 2, 2, 2]
    assert card.training["steps"] == 2
    assert len(card.training["data_digest"]) == 64
    assert card.metrics == run.evaluation
    assert card.metrics["pairs"] == 8
    assert 0 <= card.metrics["auroc"] <= 1
    assert all(np.isfinite(tensor).all() for tensor in tensors_of(run).values())


def test_what_is_not_calibrated_cannot_be_used(run):
    with pytest.raises(WeightsError, match="not the tensors of a comparison"):
        load_folder(run.folder)


def test_each_validation_is_logged(run):
    rows = [json.loads(line) for line in (run.run_folder / LOG_NAME).read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(np.isfinite(row["loss"]) for row in rows)


def test_a_run_that_stopped_goes_on_to_the_same_network(run, data, tmp_path, monkeypatch):
    def stop(message, *_args):
        if message.startswith("step"):
            raise KeyboardInterrupt

    monkeypatch.setattr(train._LOGGER, "info", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, data)
    monkeypatch.undo()
    assert (tmp_path / "models" / "tiny.run" / CHECKPOINT_NAME).exists()
    assert not (tmp_path / "models" / "tiny").exists()
    again, first = tensors_of(trained(tmp_path, data)), tensors_of(run)
    assert again.keys() == first.keys()
    assert all(np.array_equal(again[name], first[name]) for name in first)
    assert [row["step"] for row in map(json.loads, _log(tmp_path))] == [1, 2]


def _log(folder):
    return (folder / "models" / "tiny.run" / LOG_NAME).read_text().splitlines()


def test_a_run_of_other_settings_is_refused(run, data):
    with pytest.raises(ConfigurationError, match="other settings"):
        trained(run.folder.parents[1], data, seed=2)


def test_without_images_to_validate_on_it_says_so(tmp_path):
    (tmp_path / "data").mkdir()
    data = written(tmp_path / "data", [("x/a.png", "any", TRAINED[0], levels(64, 64))])
    with pytest.raises(InputError, match="no images to train on"):
        trained(tmp_path, data)
