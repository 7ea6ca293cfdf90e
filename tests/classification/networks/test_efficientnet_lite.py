import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from medseal.classification.foreign import efficientnet_lite0
from medseal.classification.networks import EfficientNetLite0, NetworkConfig
from medseal.errors import ConfigurationError


@pytest.fixture(scope="module")
def pretrained():
    """Our network with the ImageNet weights, and the network of the package that made them."""
    tensors = {name: torch.tensor(value) for name, value in efficientnet_lite0().items()}
    network = EfficientNetLite0(NetworkConfig(channels=3, classes=1000)).eval()
    network.load_state_dict(tensors)
    reference = EfficientNet.from_name("efficientnet-lite0").eval()
    inner = {
        "stem": "_conv_stem",
        "stem_norm": "_bn0",
        "last": "_conv_head",
        "last_norm": "_bn1",
        "output": "_fc",
        "expand": "_expand_conv",
        "expand_norm": "_bn0",
        "depthwise": "_depthwise_conv",
        "depthwise_norm": "_bn1",
        "project": "_project_conv",
        "project_norm": "_bn2",
        "blocks": "_blocks",
    }
    renamed = {
        ".".join(inner.get(part, part) for part in name.split(".")): value
        for name, value in tensors.items()
    }
    reference.load_state_dict(renamed)
    return network, reference


def test_equals_the_reference(pretrained):
    network, reference = pretrained
    images = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(3))
    scaled = (images * 255 - 127) / 128  # what the Lite variants were trained with
    with torch.inference_mode():
        torch.testing.assert_close(network(images), reference(scaled), atol=1e-4, rtol=0)
        torch.testing.assert_close(
            network.features(images), reference.extract_features(scaled), atol=1e-4, rtol=0
        )


def test_grey_is_colour_with_equal_samples(pretrained):
    network, _ = pretrained
    grey = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        torch.testing.assert_close(network(grey), network(grey.expand(-1, 3, -1, -1)))


@pytest.mark.parametrize(
    ("truncate", "filters", "reduction", "stages"),
    [(0, 1280, 32, 9), (6, 112, 16, 6), (4, 40, 8, 4), (1, 32, 2, 1)],
)
def test_truncated(truncate, filters, reduction, stages):
    network = EfficientNetLite0(NetworkConfig(truncate=truncate, classes=4)).eval()
    images = torch.rand(2, 1, 64, 96)
    maps = network.features(images)
    assert maps.shape == (2, filters, 64 // reduction, 96 // reduction)
    assert network(images).shape == (2, 4)
    assert len(network.stages()) == stages


def test_sizes_are_those_of_the_shipped_file():
    whole = EfficientNetLite0(NetworkConfig(channels=3, classes=1000))
    assert sum(p.numel() for p in whole.parameters()) == 4_652_008
    small = EfficientNetLite0(NetworkConfig(truncate=6))
    assert sum(p.numel() for p in small.parameters()) < 1_000_000


@pytest.mark.parametrize("wrong", [{"rows": 100}, {"width": 2.0}, {"truncate": 9}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"multiples of 32|one width and 8 stages"):
        EfficientNetLite0(NetworkConfig(**wrong))


def test_peaks_make_half_of_the_logits_but_the_first():
    torch.manual_seed(1)
    config = NetworkConfig(rows=64, columns=64, truncate=6, peaks=1, dropout=0.2)
    network = EfficientNetLite0(config).eval()
    maps = torch.randn(2, 112, 4, 4)
    local = network.local_logits(maps)
    assert local.shape == (2, 2, 4, 4)
    expected = (local[:, 1].mean(dim=(1, 2)) + local[:, 1].amax(dim=(1, 2))) / 2
    logits = network.head(maps)
    torch.testing.assert_close(logits[:, 1], expected)
    torch.testing.assert_close(logits[:, 0], local[:, 0].mean(dim=(1, 2)))


def test_all_places_as_peaks_equal_the_mean():
    torch.manual_seed(2)
    network = EfficientNetLite0(NetworkConfig(rows=64, columns=64, truncate=6)).eval()
    peaked = EfficientNetLite0(NetworkConfig(rows=64, columns=64, truncate=6, peaks=99)).eval()
    peaked.load_state_dict(network.state_dict())
    maps = torch.randn(2, 112, 4, 4)
    torch.testing.assert_close(peaked.head(maps), network.head(maps))
