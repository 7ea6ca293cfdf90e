import json

import numpy as np
import pytest
import torch

from medseal import weights
from medseal.errors import ConfigurationError, WeightsError
from medseal.protection.watermark import inference
from medseal.protection.watermark.train import LOG_NAME, train_watermark
from medseal.weights.run_file import CHECKPOINT_NAME
from tests.protection.watermark.test_samples import groups, write

CONFIG = """id = "{id}"
version = "1"
task = "watermark"
modality = "any"
method = "watermark-cnn"
limits = "None."
{head}
[network]
embedding_channels = 4
embedding_blocks = 1
extraction_channels = 4
extraction_blocks = 1
[train]
seed = {seed}
steps = {steps}
batch_size = 1
per_collection = 5
validation_every = 1
bfloat16 = false
{more}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    first, second = groups(2, held_back=False)
    (last,) = groups(1, held_back=True)
    rows = [
        ("ct/a.png", first, 160, 384),
        ("ct/b.png", second, 150, 140),
        ("ct/c.png", last, 384, 130),
    ]
    return write(tmp_path_factory.mktemp("data"), rows)


DEFAULTS = {"id": "tiny", "seed": 1, "steps": 3, "head": "", "more": ""}


def trained(folder, data, **settings):
    path = folder / "tiny.toml"
    path.write_text(CONFIG.format(**DEFAULTS | settings))
    return train_watermark(path, data_dir=data, output_dir=folder / "models")


def tensors_of(run):
    return weights.load_folder(run.folder)[1]


def same(one, other):
    assert one.keys() == other.keys()
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.fixture(scope="module")
def run(tmp_path_factory, data):
    return trained(tmp_path_factory.mktemp("run"), data)


def test_a_run_writes_a_model_that_can_be_used(run):
    card, tensors = weights.load_folder(run.folder)
    assert card.id == "tiny"
    assert card.training["images"] == 2
    assert card.metrics == run.evaluation
    assert card.metrics["images"] == 1
    assert 0 <= card.metrics["coded_bits_right"] <= 1
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())
    assert inference.load_folder(run.folder).model_id == "tiny"
    lines = [json.loads(line) for line in (run.run_folder / LOG_NAME).read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3]
    assert all(np.isfinite(line["loss"]) for line in lines)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(run, data, tmp_path):
    for number, seed in enumerate((1, 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        again = trained(folder, data, seed=seed)
        assert same(tensors_of(run), tensors_of(again)) == (seed == 1)


def test_a_run_that_was_stopped_gives_what_it_would_have_given(run, data, tmp_path, monkeypatch):
    step = "medseal.protection.watermark.train._train_step"
    kept = __import__("medseal.protection.watermark.train", fromlist=["_train_step"])._train_step

    def stops(*arguments):
        if arguments[-1] == 2:
            raise KeyboardInterrupt
        return kept(*arguments)

    monkeypatch.setattr(step, stops)
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path, data)
    monkeypatch.undo()
    assert not (tmp_path / "models" / "tiny").exists()
    torch.manual_seed(77)
    assert same(tensors_of(run), tensors_of(trained(tmp_path, data)))


def test_a_finished_run_is_not_done_again(run, data, monkeypatch):
    before = tensors_of(run)
    monkeypatch.setattr("medseal.protection.watermark.train._train_step", None)
    assert same(before, tensors_of(trained(run.folder.parents[1], data)))


def test_codewords_that_fit_the_host_and_a_model_to_start_from(run, data, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    (models / "tiny").symlink_to(run.folder)
    more = trained(
        tmp_path,
        data,
        id="second",
        steps=1,
        head='initial = "tiny"',
        more="informed = true\nlearning_rate = 1e-9\nweight_decay = 0",
    )
    card, tensors = weights.load_folder(more.folder)
    assert card.training["initial"] == str(weights.load_folder(run.folder)[0].sha256)
    first = tensors_of(run)
    # A step of next to nothing from where the first one ended.
    assert all(np.allclose(tensors[name], first[name], atol=1e-6) for name in first)


def test_a_run_of_other_settings_and_a_damaged_one_are_refused(run, data, tmp_path):
    models = tmp_path / "models"
    models.mkdir()
    own = models / "tiny.run"
    own.mkdir()
    file = own / CHECKPOINT_NAME
    file.write_bytes((run.run_folder / CHECKPOINT_NAME).read_bytes())
    with pytest.raises(ConfigurationError, match="other settings or data"):
        trained(tmp_path, data, seed=5)
    file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(WeightsError, match="is damaged"):
        trained(tmp_path, data)


def test_a_model_to_start_from_that_is_missing_or_of_another_size(run, data, tmp_path):
    with pytest.raises(WeightsError, match=r"card\.toml"):
        trained(tmp_path, data, head='initial = "none"')
    (tmp_path / "models" / "tiny").symlink_to(run.folder)
    path = tmp_path / "other.toml"
    text = CONFIG.format(**DEFAULTS | {"id": "other", "head": 'initial = "tiny"'})
    path.write_text(text.replace("channels = 4", "channels = 6"))
    with pytest.raises(WeightsError, match="tiny is not a watermark of this size"):
        train_watermark(path, data_dir=data, output_dir=tmp_path / "models")
