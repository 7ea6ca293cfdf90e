import pytest
import torch

from medseal.classification.networks import NetworkConfig, ResNet50
from medseal.errors import ConfigurationError


def test_names_and_sizes_are_those_of_the_usual_state_dict():
    network = ResNet50(NetworkConfig(channels=3, classes=1000))
    state = network.state_dict()
    assert sum(p.numel() for p in network.parameters()) == 25_557_032
    assert len(state) == 320
    assert state["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert state["layer4.2.conv3.weight"].shape == (2048, 512, 1, 1)
    assert state["layer2.3.bn2.running_var"].shape == (128,)
    assert state["fc.weight"].shape == (1000, 2048)


def test_the_stride_sits_on_the_middle_convolution():
    network = ResNet50(NetworkConfig(width=0.125))
    for layer in (network.layer2, network.layer3, network.layer4):
        assert [layer[0].conv1.stride, layer[0].conv2.stride] == [(1, 1), (2, 2)]
    assert network.layer1[0].conv2.stride == (1, 1)


@pytest.mark.parametrize(("truncate", "filters", "reduction"), [(0, 256, 32), (3, 64, 8)])
def test_shapes(truncate, filters, reduction):
    network = ResNet50(NetworkConfig(width=0.125, truncate=truncate, classes=3)).eval()
    images = torch.rand(2, 1, 64, 96)
    maps = network.features(images)
    assert maps.shape == (2, filters, 64 // reduction, 96 // reduction)
    assert maps.min() >= 0
    torch.testing.assert_close(network(images), network(images.expand(-1, 3, -1, -1)))
    assert network(images).shape == (2, 3)


def test_input_is_normalised_as_for_imagenet():
    network = ResNet50(NetworkConfig(width=0.125)).eval()
    seen = []
    network.conv1.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    network(torch.full((1, 1, 32, 32), 0.485))
    assert seen[0][0, :, 0, 0].tolist() == pytest.approx(
        [0, (0.485 - 0.456) / 0.224, (0.485 - 0.406) / 0.225], abs=1e-6
    )


def test_too_many_stages_are_refused():
    with pytest.raises(ConfigurationError, match="5 stages"):
        ResNet50(NetworkConfig(truncate=6))
