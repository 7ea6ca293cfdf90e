import itertools

import pytest
import torch

from medseal.classification.learner import (
    average_of,
    make_optimiser,
    rate_factor,
    set_rates,
    update_average,
)
from medseal.classification.networks import NetworkConfig, build

SMALL = NetworkConfig(rows=32, columns=32)


def optimiser(network, **changes):
    settings = {
        "learning_rate": 0.1,
        "head_learning_rate": 0.0,
        "layer_decay": 1.0,
        "weight_decay": 0.0,
    }
    return make_optimiser(network, **{**settings, **changes})


def rate_of(made, parameter):
    [rate] = [g["lr"] for g in made.param_groups if any(p is parameter for p in g["params"])]
    return rate


def test_rates_fall_with_depth_and_the_head_has_its_own():
    network = build("five-layer-cnn", SMALL, seed=1)
    made = optimiser(network, head_learning_rate=0.5, layer_decay=0.5)
    rates = [rate_of(made, getattr(network, f"block{n}")[0].weight) for n in range(1, 6)]
    assert rates == pytest.approx([0.1 / 16, 0.1 / 8, 0.1 / 4, 0.1 / 2, 0.1])
    assert rate_of(made, network.dense1.weight) == 0.5
    assert sum(len(g["params"]) for g in made.param_groups) == len(list(network.parameters()))


def test_frozen_parameters_are_left_out():
    network = build("edge-cnn", NetworkConfig(rows=32, columns=32, freeze_stages=1), seed=1)
    inside = {id(p) for g in optimiser(network).param_groups for p in g["params"]}
    assert not inside & {id(p) for p in network.stem.parameters()}


def test_decay_is_for_weights_only():
    network = build("edge-cnn", SMALL, seed=1)
    for group in optimiser(network, weight_decay=0.3).param_groups:
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.3 if parameter.ndim > 1 else 0)


def test_without_decay_it_is_adam():
    still = NetworkConfig(rows=32, columns=32, dropout=0)
    networks = [build("edge-cnn", still, seed=1) for _ in range(2)]
    adam = torch.optim.Adam(networks[1].parameters(), lr=0.1)
    images = torch.rand(4, 1, 32, 32)
    for network, made in zip(networks, (optimiser(networks[0]), adam), strict=True):
        for _ in range(3):
            made.zero_grad()
            network(images).square().sum().backward()
            made.step()
    for one, other in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_schedule():
    def factors(schedule):
        return [rate_factor(s, steps=12, warmup=2, schedule=schedule) for s in range(12)]

    assert factors("constant") == [0.5] + [1.0] * 11
    cosine = factors("cosine")
    assert cosine[:3] == [0.5, 1.0, 1.0]
    assert cosine[7] == pytest.approx(0.5)
    assert all(a > b for a, b in itertools.pairwise(cosine[2:]))
    assert 0 < cosine[-1] < 0.05


def test_factor_applies_to_the_rate_of_each_group():
    network = build("edge-cnn", SMALL, seed=1)
    made = optimiser(network, head_learning_rate=0.4)
    set_rates(made, 0.5)
    set_rates(made, 0.25)
    assert rate_of(made, network.output.weight) == pytest.approx(0.1)
    assert rate_of(made, network.stem[0].weight) == pytest.approx(0.025)


def test_average_follows_the_weights():
    network = build("edge-cnn", SMALL, seed=1)
    average = average_of(network)
    first = network.output.bias.detach().clone()
    with torch.no_grad():
        network.output.bias += 1
    update_average(average, network, decay=0.75, step=1000)
    torch.testing.assert_close(average.output.bias, first + 0.25)
    update_average(average, network, decay=0.99, step=0)  # at first it moves fast
    torch.testing.assert_close(average.output.bias, first + 0.25 + 0.75 * 0.9)
    assert not any(p.requires_grad for p in average.parameters())
