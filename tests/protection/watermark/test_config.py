import dataclasses
from pathlib import Path

import pytest

from medseal.errors import ConfigurationError
from medseal.protection.watermark.config import (
    METHOD,
    FitConfig,
    read_config,
)
from medseal.protection.watermark.networks import NetworkConfig
from medseal.weights.config_file import MAX_CONFIG_BYTES

CONFIGS = Path(__file__).parents[3] / "configs"
TEXTS = f"""id = "tiny"
version = "1"
task = "watermark"
modality = "any"
method = "{METHOD}"
limits = "None."
"""


def config(folder, text):
    path = folder / "tiny.toml"
    path.write_text(text)
    return read_config(path)


def test_what_is_not_named_has_its_default(tmp_path):
    read = config(tmp_path, TEXTS)
    assert read.id == "tiny"
    assert not read.default
    assert not read.initial
    assert read.network == NetworkConfig()
    assert read.train == FitConfig()


def test_settings_are_read(tmp_path):
    text = TEXTS + 'default = true\ninitial = "first"\n'
    tables = "[network]\nembedding_channels = 8\n[train]\nsteps = 3\npsnr_db = 44\n"
    read = config(tmp_path, text + tables)
    assert read.default
    assert read.initial == "first"
    assert read.network == NetworkConfig(embedding_channels=8)
    assert read.train == FitConfig(steps=3, psnr_db=44)


@pytest.mark.parametrize(
    "path", sorted(CONFIGS.glob("watermark-cnn*.toml")), ids=lambda path: path.stem
)
def test_the_shipped_configurations(path):
    read = read_config(path)
    assert read.id == path.stem
    assert read.task == "watermark"
    assert read.default == (path.stem == "watermark-cnn")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id = ", "Invalid value"),
        (TEXTS.replace('version = "1"\n', ""), "texts are missing: version"),
        (TEXTS.replace('"1"', "1"), "texts are missing: version"),
        ('id = "tiny"\n', "texts are missing: version, task, modality, method, limits"),
        (TEXTS.replace(METHOD, "five-layer-cnn"), "method is watermark-cnn"),
        (TEXTS.replace('"tiny"', '"../tiny"'), "id is a model id"),
        (TEXTS + "more = 1\nothers = 2\n", "unknown settings: more, others"),
        (TEXTS + 'initial = "../first"\n', "initial is a model id"),
        (TEXTS + "initial = 3\n", "initial is a model id"),
        (TEXTS + "network = 3\n", r"\[network\] is a table"),
        (TEXTS + "[network]\nchannels = 3\n", r"\[network\] has no setting channels"),
        (TEXTS + "[network]\nembedding_channels = 0\n", "channels are 1 to 512"),
        (TEXTS + "[network]\nextraction_channels = 513\n", "channels are 1 to 512"),
        (TEXTS + "[network]\nextraction_blocks = -1\n", "blocks are 0 to 32"),
        (TEXTS + "[network]\nembedding_blocks = 1.5\n", "embedding_blocks is of type int"),
        (TEXTS + '[train]\nsteps = "3"\n', r"\[train\] steps is of type int"),
        (TEXTS + "[train]\nsteps = true\n", "steps is of type int"),
        (TEXTS + "[train]\nbfloat16 = 1\n", "bfloat16 is of type bool"),
        (TEXTS + "[train]\nsteps = 0\n", "counts are at least 1"),
        (TEXTS + "[train]\nthreads = 0\n", "counts are at least 1"),
        (TEXTS + "[train]\nlarge_share = 1.1\n", "shares lie in 0 to 1"),
        (TEXTS + "[train]\nssim = -0.1\n", "shares lie in 0 to 1"),
        (TEXTS + "[train]\nlearning_rate = 0\n", "rates and decibels are positive"),
        (TEXTS + "[train]\nweight_decay = -1\n", "rates and decibels are positive"),
        (TEXTS + "[train]\nearly_db = -1\n", "rates and decibels are positive"),
        (TEXTS + "[train]\nlearning_rate = inf\n", "rates and decibels are positive"),
        (TEXTS + "[train]\npsnr_db = 0\n", "rates and decibels are positive"),
        ("#" * (MAX_CONFIG_BYTES + 1), f"at most {MAX_CONFIG_BYTES} bytes"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, text, message):
    with pytest.raises(ConfigurationError, match=message):
        config(tmp_path, text)


def test_a_file_that_is_missing_or_no_text(tmp_path):
    with pytest.raises(ConfigurationError, match="No such file"):
        read_config(tmp_path / "none.toml")
    path = tmp_path / "tiny.toml"
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="decode"):
        read_config(path)


@pytest.mark.parametrize("name", ["learning_rate", "psnr_db", "ssim", "first_strength"])
def test_a_number_that_is_none_is_refused(name):
    with pytest.raises(ConfigurationError, match=r"positive|shares"):
        FitConfig(**{name: float("nan")})


def test_a_configuration_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        FitConfig().steps = 3
