import pytest

from medseal.classification.gan.config import GanConfig, check_side
from medseal.errors import ConfigurationError


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"steps": 0}, "must be positive"),
        ({"generator_rate": 0.0}, "must be positive"),
        ({"batch_size": 1}, "batch_size is at least 2"),
        ({"ema_decay": 1.0}, r"ema_decay in \[0, 1\)"),
        ({"seed": -1}, "seed at least 0"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        GanConfig(**wrong)


@pytest.mark.parametrize("size", [(16, 16), (48, 48), (64, 32), (224, 224)])
def test_sizes_the_networks_are_not_built_for_are_refused(size):
    with pytest.raises(ConfigurationError, match="32x32 or 64x64"):
        check_side(*size)


@pytest.mark.parametrize("side", [32, 64])
def test_sizes_the_networks_are_built_for(side):
    assert check_side(side, side) is None
