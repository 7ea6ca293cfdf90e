import copy

import numpy as np
import pytest
import torch

from medseal.classification import load
from medseal.classification.networks import FiveLayerCNN, NetworkConfig
from medseal.errors import ConfigurationError


def test_layers_are_those_of_the_paper():
    network = FiveLayerCNN(NetworkConfig())
    layers = list(network.modules())
    convolutions = [layer for layer in layers if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.out_channels for layer in convolutions] == [32, 32, 64, 64, 128]
    assert {layer.kernel_size for layer in convolutions} == {(3, 3)}
    for kind in (torch.nn.BatchNorm2d, torch.nn.MaxPool2d, torch.nn.ReLU):
        assert sum(isinstance(layer, kind) for layer in layers) == 5
    dense = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in dense] == [
        (128 * 7 * 7, 256),
        (256, 128),
        (128, 2),
    ]
    assert network.dropout.p == 0.5


def test_number_of_parameters_by_hand():
    convolutions = sum(9 * i * o + o + 2 * o for i, o in [(1, 32), (32, 32), (32, 64), (64, 64)])
    convolutions += 9 * 64 * 128 + 128 + 2 * 128
    dense = 6272 * 256 + 256 + 256 * 128 + 128 + 128 * 2 + 2
    network = FiveLayerCNN(NetworkConfig())
    assert sum(p.numel() for p in network.parameters()) == convolutions + dense


@pytest.mark.parametrize(("rows", "columns"), [(224, 224), (32, 64)])
def test_shapes(rows, columns):
    network = FiveLayerCNN(NetworkConfig(rows=rows, columns=columns, classes=3)).eval()
    images = torch.rand(2, 1, rows, columns)
    maps = network.features(images)
    assert maps.shape == (2, 128, rows // 16, columns // 16)
    assert maps.min() >= 0
    assert network(images).shape == (2, 3)


@pytest.mark.parametrize("wrong", [{"rows": 100}, {"columns": 48}, {"truncate": 2}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError, match=r"multiples of 32|truncated"):
        FiveLayerCNN(NetworkConfig(**wrong))


def test_colour_and_width():
    network = FiveLayerCNN(NetworkConfig(rows=32, columns=32, channels=3, width=0.5)).eval()
    assert network.block1[0].weight.shape == (16, 3, 3, 3)
    assert network(torch.rand(1, 3, 32, 32)).shape == (1, 2)


def test_shipped_weights_fit_and_say_what_they_said():
    # Logits of the release that shipped these weights, for a ramp of grey values.
    classifier = load("five-layer-cnn-brain-mri")
    ramp = np.linspace(0, 255, 224 * 224).reshape(1, 224, 224).astype(np.uint8)
    np.testing.assert_allclose(classifier.logits(ramp), [[-0.4872047, 0.4957121]], atol=1e-4)


def test_pooling_before_the_relu_changes_nothing():
    network = FiveLayerCNN(NetworkConfig(rows=64, columns=64)).block1
    paper = torch.nn.Sequential(
        copy.deepcopy(network[0]), copy.deepcopy(network[1]), torch.nn.ReLU(), torch.nn.MaxPool2d(2)
    )
    # Few levels, so that many windows hold equal maxima and many hold nothing positive.
    images = torch.randint(0, 3, (4, 1, 64, 64)).float()
    results = [block(images) for block in (network, paper)]
    assert torch.equal(*results)
    for result in results:
        (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum().backward()
    pairs = list(zip(network.parameters(), paper.parameters(), strict=True))
    assert len(pairs) == 4
    for one, other in pairs:
        torch.testing.assert_close(one.grad, other.grad)
