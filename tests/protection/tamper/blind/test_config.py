import pytest

from medseal.errors import ConfigurationError
from medseal.protection.tamper.blind.config import FitConfig, read_config

CONFIG = """id = "tiny"
version = "1"
task = "tamper-blind"
modality = "any"
method = "tamper-blind"
limits = "None."
"""


def read(folder, more=""):
    path = folder / "tiny.toml"
    path.write_text(CONFIG + more)
    return read_config(path)


def test_what_is_not_said_has_a_default(tmp_path):
    config = read(tmp_path)
    assert config.train == FitConfig()
    assert config.initial == ""
    assert not config.default


def test_what_is_said_is_taken(tmp_path):
    more = (
        'initial = "other"\ndefault = true\n[network]\nchannels = [4, 4, 4, 8]\n'
        '[train]\nsteps = 7\ntile_sides = [64, 96]\nwithout_families = ["text"]\n'
    )
    config = read(tmp_path, more)
    assert (config.initial, config.default) == ("other", True)
    assert config.network.channels == (4, 4, 4, 8)
    assert config.train.steps == 7
    assert config.train.tile_sides == (64, 96)
    assert config.train.without_families == ("text",)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("initial = 3", "initial is a model id"),
        ('initial = "../up"', "initial is a model id"),
        ("[train]\nsteps = 0", "at least 1"),
        ("[train]\ntile_sides = []", "multiples of 16"),
        ("[train]\ntile_sides = [100]", "multiples of 16"),
        ("[train]\ntile_sides = [48]", "multiples of 16 from 64"),
        ("[train]\nhandled_share = 1.5", "lie in 0 to 1"),
        ("[train]\naverage = 1.0", "average lies"),
        ("[train]\nlearning_rate = nan", "positive"),
        ("[train]\nunknown = 1", "no setting unknown"),
    ],
)
def test_a_wrong_setting_is_refused(tmp_path, more, message):
    with pytest.raises(ConfigurationError, match=message):
        read(tmp_path, more)
