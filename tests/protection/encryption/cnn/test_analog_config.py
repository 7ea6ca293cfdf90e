from pathlib import Path

import pytest

from medseal.errors import ConfigurationError
from medseal.protection.encryption.cnn.analog_config import METHOD, FitConfig, read_config
from medseal.protection.encryption.cnn.analog_restoration import model_id_of

CONFIGS = Path(__file__).parents[4] / "configs"


@pytest.mark.parametrize("backbone", ["unet", "resnet", "autoencoder"])
def test_the_shipped_configurations_are_read(backbone: str) -> None:
    config = read_config(CONFIGS / f"cipher-analog-{backbone}.toml")
    assert config.id == model_id_of(backbone)
    assert config.method == METHOD
    assert config.network.backbone == backbone


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": 0}, "counts"),
        ({"base_share": 1.5}, "shares"),
        ({"patch_side": 20}, "multiple of 8"),
        ({"learning_rate": 0.0}, "rates"),
        ({"weight_decay": float("nan")}, "rates"),
    ],
)
def test_what_cannot_be_run_is_refused(settings, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        FitConfig(**settings)


def test_a_network_to_start_from_is_refused(tmp_path: Path) -> None:
    text = (CONFIGS / "cipher-analog-unet.toml").read_text()
    path = tmp_path / "other.toml"
    path.write_text(text.replace("default = true", 'default = true\ninitial = "other"'))
    with pytest.raises(ConfigurationError, match="from its seed alone"):
        read_config(path)
