import dataclasses
import json

import numpy as np
import pytest

from medseal import weights
from medseal.classification.gan import sample
from medseal.classification.generator import load_generator
from medseal.classification.predict import load_folder
from medseal.classification.train import train
from medseal.datasets import Split
from medseal.errors import ConfigurationError, WeightsError
from medseal.imaging.preprocess import PreprocessConfig

CONFIG = """
id = "gan-tiny"
version = "1"
task = "tumour"
modality = "MR"
method = "gan"
dataset = "brain-mri"
limits = "made of phantoms for a test"
[preprocess]
rows = 32
columns = 32
[gan]
latent = 8
width = 4
steps = 4
batch_size = 4
save_every = 2
threads = 1
samples = 5
"""
CLASSES = ("no_tumour", "tumour")
PREPROCESS = PreprocessConfig(rows=32, columns=32)


@pytest.fixture(scope="module")
def trained(brain_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generator")
    (folder / "config.toml").write_text(CONFIG)
    return train(folder / "config.toml", data_dir=brain_folder, output_dir=folder)


@pytest.fixture(scope="module")
def split(trained):
    return Split.read(trained.run_folder / "split.json")


def test_the_card_says_how_near_the_images_come_to_training(trained):
    card, _ = weights.load_folder(trained.folder)
    assert card.classes == ()
    assert list(card.network["classes"]) == list(CLASSES)
    found = card.metrics["memorisation"]["tumour"]
    assert 0 <= found["flagged_share"] <= 1
    assert found["generated_median"] > 0
    assert json.loads(json.dumps(trained.evaluation))["memorisation"]["tumour"] == dict(found)


def test_a_generator_classifies_nothing(trained):
    with pytest.raises(WeightsError, match="has no classes"):
        load_folder(trained.folder)


def test_it_is_read_again_and_makes_images(trained, split):
    network = load_generator(trained.folder, classes=CLASSES, preprocess=PREPROCESS, split=split)
    made = sample(network, np.array([0, 1]), generator=np.random.default_rng(1))
    assert made.shape == (2, 32, 32)


def test_generators_of_other_images_are_refused(trained, split, trained_svm):
    fits = {"classes": CLASSES, "preprocess": PREPROCESS, "split": split}
    for wrong, message in (
        ({"classes": ("a", "b")}, "other classes than a, b"),
        ({"preprocess": PreprocessConfig(rows=32, columns=32, clahe=2.0)}, "other preprocessing"),
        ({"split": dataclasses.replace(split, seed=9)}, "another split: its images may show"),
    ):
        with pytest.raises(WeightsError, match=message):
            load_generator(trained.folder, **{**fits, **wrong})
    with pytest.raises(WeightsError, match="is a model of linear-svm, it makes no images"):
        load_generator(trained_svm.folder, **fits)


def test_weights_that_do_not_fit_the_card_are_refused(trained, split, tmp_path):
    card, tensors = weights.load_folder(trained.folder)
    wrong = dataclasses.replace(card, network={**card.network, "width": 8})
    weights.save(tmp_path, card=wrong, tensors=dict(tensors))
    with pytest.raises(WeightsError, match="do not fit the generator"):
        load_generator(tmp_path / card.id, classes=CLASSES, preprocess=PREPROCESS, split=split)


def test_a_run_may_be_made_longer_and_not_otherwise_changed(trained, brain_folder, tmp_path):
    (tmp_path / "longer.toml").write_text(CONFIG.replace("steps = 4", "steps = 6"))
    output = trained.folder.parent
    train(tmp_path / "longer.toml", data_dir=brain_folder, output_dir=output)
    (tmp_path / "other.toml").write_text(CONFIG.replace("latent = 8", "latent = 9"))
    with pytest.raises(ConfigurationError, match="other settings or data"):
        train(tmp_path / "other.toml", data_dir=brain_folder, output_dir=output)
