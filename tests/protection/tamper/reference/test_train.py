import json
from dataclasses import replace

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
{initial}
[network]
channels = [2, 2, 2, 2]
features = {features}
inner = 4
blocks = 1
[train]
seed = {seed}
steps = 3
batch_size = 2
edited_share = {edited}
validation_every = 1
bfloat16 = false
{more}
"""


@pytest.fixture(scope="module", autouse=True)
def _small():
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "_VALIDATION_PAIRS", 8)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return data_in(tmp_path_factory.mktemp("data"))


def trained(folder, data, **settings):
    path = folder / "tiny.toml"
    given = {"seed": 1, "edited": 0.5, "features": 3, "initial": "", "more": ""}
    path.write_text(CONFIG.format(**given | settings))
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
    assert card.training["steps"] == 3
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
    assert [row["step"] for row in rows] == [1, 2, 3]
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
    assert [row["step"] for row in map(json.loads, _log(tmp_path))] == [1, 2, 3]


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


def learned(folder):
    """Return what the log says of each step, but for the time it took."""
    return [row | {"seconds": 0} for row in map(json.loads, _log(folder))]


def test_a_run_may_end_early_with_its_schedule_going_on(run, data, tmp_path):
    stopped = trained(tmp_path, data, more="stop_after = 2")
    whole = learned(run.folder.parents[1])
    assert learned(tmp_path) == whole[:2]
    assert weights.read_card(stopped.folder).training["stop_after"] == 2
    first, last = tensors_of(stopped), tensors_of(run)
    assert not all(np.array_equal(first[name], last[name]) for name in first)


def test_whole_images_train_too(data, tmp_path):
    run = trained(tmp_path, data, more='pairs = "whole"\nstop_after = 1')
    card = weights.read_card(run.folder)
    assert card.training["pairs"] == "whole"
    assert card.metrics["pairs"] == 8
    assert len(card.training["data_digest"]) == 64
    assert all(np.isfinite(row["loss"]) for row in learned(tmp_path))
    assert all(np.isfinite(tensor).all() for tensor in tensors_of(run).values())


def _beside(run, folder):
    """Copy the model of a run to where another one finds it, under the name first."""
    (folder / "models").mkdir()
    card, tensors = weights.load_folder(run.folder)
    weights.save(folder / "models", card=replace(card, id="first"), tensors=tensors)
    return weights.read_card(folder / "models" / "first")


def test_a_run_may_start_from_another_model(run, data, tmp_path):
    first = _beside(run, tmp_path)
    # So slow that nothing is learned.
    more = "learning_rate = 1e-30\nstop_after = 1"
    went_on = trained(tmp_path, data, initial='initial = "first"', more=more)
    assert weights.read_card(went_on.folder).training["initial"] == str(first.sha256)
    assert weights.read_card(run.folder).training["initial"] == ""
    before, after = tensors_of(run), tensors_of(went_on)
    # All but the means that batch normalisation keeps, and what it counts.
    learned_from = [name for name in before if not name.startswith("scaled.running")]
    learned_from.remove("scaled.num_batches_tracked")
    assert len(learned_from) > 10
    for name in learned_from:
        # Adam moves what is zero by its rate.
        np.testing.assert_allclose(after[name], before[name], rtol=0, atol=1e-20, err_msg=name)
    # The same settings without it are another run.
    with pytest.raises(ConfigurationError, match="other settings"):
        trained(tmp_path, data, more=more)


def test_a_missing_model_to_start_from_is_refused(data, tmp_path):
    with pytest.raises(WeightsError, match=r"first: .* cannot be read"):
        trained(tmp_path, data, initial='initial = "first"')


def test_a_model_of_another_size_to_start_from_is_refused(run, data, tmp_path):
    _beside(run, tmp_path)
    with pytest.raises(WeightsError, match="first is not a comparison of this size of network"):
        trained(tmp_path, data, initial='initial = "first"', features=4)


@pytest.mark.parametrize("edited", [0.0, 1.0])
def test_copies_of_one_kind_alone_are_refused_before_an_image_is_read(tmp_path, edited):
    with pytest.raises(ConfigurationError, match="edited_share lies between 0 and 1"):
        trained(tmp_path, tmp_path / "nowhere", edited=edited)
