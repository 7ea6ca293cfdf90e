from pathlib import Path

import pytest

from medseal.errors import ConfigurationError
from medseal.protection.tamper.reference.config import (
    METHOD,
    FitConfig,
    NetworkConfig,
    read_config,
)

CONFIG = """id = "tiny"
version = "1"
task = "tamper"
modality = "any"
method = "tamper-reference"
limits = "None."
"""
COMMITTED = Path(__file__).parents[4] / "configs" / "tamper-reference.toml"


def read(folder, more=""):
    path = folder / "tiny.toml"
    path.write_text(CONFIG + more)
    return read_config(path)


def test_what_is_not_said_has_a_default(tmp_path):
    config = read(tmp_path)
    assert config.network == NetworkConfig()
    assert config.train == FitConfig()
    assert not config.default


def test_what_is_said_is_taken(tmp_path):
    more = (
        "default = true\n[network]\nchannels = [2, 2, 2, 2]\nfeatures = 3\n"
        '[train]\nsteps = 7\nwithout_families = ["text"]\n'
    )
    config = read(tmp_path, more)
    assert config.default
    assert config.network.channels == (2, 2, 2, 2)
    assert (config.network.features, config.train.steps) == (3, 7)
    assert config.train.without_families == ("text",)


def test_the_committed_settings_are_those_of_the_default_model():
    config = read_config(COMMITTED)
    assert (config.id, config.method, config.default) == (METHOD, METHOD, True)
    assert "Evidence, not proof" in config.limits


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("[network]\nchannels = [2, 2, 2]", "four whole numbers"),
        ("[network]\nchannels = [2, 2, 2, 0]", "four whole numbers"),
        ("[network]\nfeatures = 0", "at least 1"),
        ("[network]\nblocks = 0", "at least 1"),
        ("[train]\nsteps = 0", "at least 1"),
        ("[train]\nthreads = 0", "at least 1"),
        ("[train]\nedited_share = 1.5", "lie in 0 to 1"),
        ("[train]\nlearning_rate = 0.0", "positive"),
        ("[train]\nlearning_rate = nan", "positive"),
        ("[train]\nweight_decay = -1.0", "positive"),
        ("[train]\nunknown = 1", "no setting unknown"),
        ('[train]\ncoarse = "other"', "picture or uniform"),
        ("[train]\nsteps = 5\nstop_after = 6", "stop_after a step"),
        ("initial = 3", "initial is a model id"),
        ('initial = "../up"', "initial is a model id"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, more, message):
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, more)
