import pytest

from medseal.errors import ConfigurationError
from medseal.protection.encryption.cnn.analog_plan import Convolution, NetworkConfig, plan_of


@pytest.mark.parametrize("backbone", ["unet", "resnet", "autoencoder"])
def test_channels_follow_one_another(backbone: str) -> None:
    channels, aside = 20, []
    for step in plan_of(NetworkConfig(backbone=backbone, width=8)):
        if isinstance(step, Convolution):
            assert step.inputs == channels
            channels = step.outputs
        elif step == "keep":
            aside.append(channels)
        elif step == "add":
            assert aside.pop() == channels
        elif step == "join":
            channels += aside.pop()
        elif step == "spread":
            channels //= 4
    assert (channels, aside) == (4, [])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"backbone": "vgg"}, "backbone is one of"),
        ({"width": 0}, "width is"),
        ({"depth": 99}, "depth"),
    ],
)
def test_what_is_no_network_is_refused(settings, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        NetworkConfig(**settings)
