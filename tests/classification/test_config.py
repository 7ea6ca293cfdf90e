import tomllib
from pathlib import Path
from typing import get_args

import pytest

from medseal import weights
from medseal.classification.config import Method, read_config
from medseal.errors import ConfigurationError

FOLDER = Path(__file__).parents[2] / "configs"
METHODS = {path: tomllib.loads(path.read_text())["method"] for path in FOLDER.glob("*.toml")}
# The networks of watermark, tamper check and cipher image are no classifiers and have their own
# tests.
OTHERS = {"watermark-cnn", "tamper-reference", "tamper-blind", "cipher-analog"}
CONFIGS = sorted(path for path, method in METHODS.items() if method not in OTHERS)
GOOD = """
id = "a"
version = "1"
task = "tumour"
modality = "MR"
method = "linear-svm"
dataset = "brain-mri"
limits = "none known"
"""
CNN = GOOD.replace("linear-svm", "five-layer-cnn")
BOTH = GOOD.replace("linear-svm", "ensemble")


def read(tmp_path, text):
    path = tmp_path / "config.toml"
    path.write_text(text)
    return read_config(path)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configurations(path):
    config = read_config(path)
    assert config.id == path.stem
    head = path.read_text().split("id =")[0]
    assert f"# medseal train configs/{path.name} --data DIR --output DIR" in head
    assert "# Time: " in head
    # A configuration promises no other figures than the model that it has made.
    for card in weights.models():
        if card.id == path.stem:
            accuracy = "accuracy {:.3f} [{:.3f}, {:.3f}]".format(*card.metrics["accuracy"])
            assert accuracy in " ".join(head.split("\n# "))
            break
    else:
        assert "# Expected: " in head


def test_every_installed_model_has_its_configuration():
    trained_here = {card.id for card in weights.models() if card.method in get_args(Method)}
    assert trained_here <= {path.stem for path in CONFIGS}


def test_settings_of_the_paper():
    config = read_config(FOLDER / "five-layer-cnn-brain-mri.toml")
    assert (config.preprocess.rows, config.preprocess.columns) == (224, 224)
    assert config.preprocess.equalise_histogram
    assert (config.train.learning_rate, config.train.batch_size) == (0.001, 32)
    assert config.train.max_epochs <= 50
    assert config.train.patience == 10
    assert config.augment.rotation_degrees > 0
    assert config.augment.zoom > 0
    assert config.augment.flip


def test_left_out_settings_keep_their_defaults(tmp_path):
    config = read(tmp_path, GOOD + "[train]\nlearning_rate = 1\n")
    assert config.train.learning_rate == 1.0
    assert config.train.batch_size == 32
    assert not config.default


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace('task = "tumour"\n', ""), "missing or unknown settings: task"),
        (GOOD + "colour = 1", "missing or unknown settings: colour"),
        (GOOD + "default = 1", "default has the wrong type"),
        (GOOD.replace("linear-svm", "forest"), "method must be one of"),
        (GOOD + "abstain_share = 1.0", "abstain_share must lie in"),
        (GOOD + "train = 3", r"\[train\] must be a table"),
        (GOOD + "[train]\nspeed = 3", r"\[train\] has no setting speed"),
        (GOOD + "[train]\nbatch_size = 1.5", "must be of type int"),
        (GOOD + "[train]\nbatch_size = true", "must be of type int"),
        (GOOD + "[svm]\ncosts = ['a']", "must be of type float"),
        (GOOD + "[preprocess]\nrows = 0", "must be 1 to 4096"),
        (GOOD + "[network]\nrows = 64", r"\[network\] has no setting rows"),
        (GOOD + "[train]\nschedule = 'steps'", "schedule must be one of constant, cosine"),
        (GOOD + "[train]\nbalance = 'all'", "balance must be one of none, label, label-source"),
        (GOOD + "[train]\nselect_by = 'luck'", "select_by must be one of loss"),
        (GOOD + "[train]\nema_decay = 1.0", "ema_decay must lie in"),
        (GOOD + "[train]\nlayer_decay = 0.0", "layer_decay lies in"),
        (GOOD + "[storage]\nprecision = 'int4'", "precision must be one of"),
        (GOOD + "[calibration]\npenalty = 0.0", "penalty in .calibration. must be positive"),
        (GOOD + "[data]\nwithout = 'kaggle'", "must be of type tuple"),
        (GOOD + "[initial]\nweights = 'resnet50-pretrained'", "linear-svm has no initial weights"),
        (CNN + "[initial]\nweights = './a.pth'", "sha256 goes with the path"),
        (CNN + "[initial]\nweights = 'a'\nsha256 = '" + "0" * 64 + "'", "goes with the path"),
        (CNN + "[initial]\nweights = './a.pth'\nsha256 = 'abc'", "64 hexadecimal digits"),
        (GOOD + "[ensemble]\nmembers = ['a', 'b']", "members go with method"),
        (BOTH, "members go with method"),
        (BOTH + "[ensemble]\nmembers = ['a', 'a']", "members stand once each"),
        (BOTH + "[ensemble]\nmembers = ['../a']", "members are model ids"),
        ("id = ", "not valid TOML"),
    ],
)
def test_wrong_configurations_are_refused(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, text)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_config(tmp_path / "none.toml")
