import pytest
import torch

from medseal.classification.networks import NETWORKS, NetworkConfig, build
from medseal.errors import ConfigurationError


def small(method, **settings):
    """The smallest network of a method; one with foreign weights has a single width."""
    if method in ("efficientnet-lite0", "side-comparison"):
        return NetworkConfig(rows=64, columns=64, truncate=4, **settings)
    return NetworkConfig(rows=64, columns=64, width=0.125, **settings)


@pytest.mark.parametrize("method", NETWORKS)
def test_frozen_stages_do_not_change(method):
    network = build(method, small(method, freeze_stages=2), seed=1)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    trained = [p for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.SGD(trained, lr=0.1)
    network.train()
    network(torch.rand(4, 1, 64, 64)).square().sum().backward()
    optimiser.step()
    frozen = [layer for stage in network.stages()[:2] for layer in stage]
    kept = {id(t) for layer in frozen for t in layer.state_dict(keep_vars=True).values()}
    state = network.state_dict(keep_vars=True)
    same = {name: torch.equal(state[name], before[name]) for name in state}
    assert all(same[name] for name in state if id(state[name]) in kept)
    assert not all(same.values())


@pytest.mark.parametrize("method", NETWORKS)
def test_frozen_statistics_do_not_change(method):
    network = build(method, small(method, freeze_statistics=True), seed=1)
    state = network.state_dict()
    before = {
        name: value.clone()
        for name, value in state.items()
        if "running" in name and not name.startswith("output")  # the head is no stage
    }
    network.train()
    network(torch.rand(4, 1, 64, 64))
    assert before
    assert all(torch.equal(network.state_dict()[k], v) for k, v in before.items())


@pytest.mark.parametrize("method", NETWORKS)
def test_mirror_gives_both_sides_the_same_answer(method):
    network = build(method, small(method, mirror=True), seed=1).eval()
    plain = build(method, small(method), seed=1).eval()
    images = torch.rand(3, 1, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(network(images), network(images.flip(3)))
        mean = (plain(images) + plain(images.flip(3))) / 2
        torch.testing.assert_close(network(images), mean)


@pytest.mark.parametrize("method", NETWORKS)
def test_filters_are_channels_last(method):
    network = build(method, small(method, channels=3), seed=1)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.weight.is_contiguous(memory_format=torch.channels_last)


def test_card_names_what_is_not_default():
    assert NetworkConfig(rows=64, columns=64, channels=3, classes=4).to_dict() == {}
    config = NetworkConfig(truncate=6, mirror=True, dropout=0.2)
    assert config.to_dict() == {"dropout": 0.2, "truncate": 6, "mirror": True}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"rows": 0}, "1 or 3 channels"),
        ({"channels": 2}, "1 or 3 channels"),
        ({"classes": 1}, "two classes"),
        ({"dropout": 1.0}, "dropout in"),
        ({"width": 0.0}, "width must lie"),
        ({"freeze_stages": -1}, "from 0"),
    ],
)
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(ConfigurationError, match=message):
        NetworkConfig(**wrong)


def test_no_more_stages_than_there_are_can_be_frozen():
    with pytest.raises(ConfigurationError, match="5 stages to freeze"):
        build("edge-cnn", NetworkConfig(freeze_stages=6), seed=1)


def test_peaks_are_refused_where_a_method_has_none():
    with pytest.raises(ConfigurationError, match="peaks must be 0"):
        build("five-layer-cnn", NetworkConfig(peaks=4), seed=1)
