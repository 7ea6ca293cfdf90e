import pytest
import torch

from medseal.protection.tamper.blind.losses import blind_loss
from medseal.protection.tamper.blind.networks import BlindNetwork, Found, NetworkConfig

SIDE = 64


def masks(*sides):
    result = torch.zeros(len(sides), 1, SIDE, SIDE)
    for mask, side in zip(result, sides, strict=True):
        mask[0, :side, :side] = 1
    return result


def found(forged, *, score=0.0, trusted=0.0):
    """Return what a network might have found: a map, one score for each half."""
    count = len(forged) // 2
    scores = torch.tensor([score] * count + [-score] * count)
    return Found(
        forged=forged,
        trusted=torch.full_like(forged, trusted),
        score=scores,
        features=torch.zeros(2 * count, 3),
    )


def loss_of(one, truth, weight=0.2):
    return float(blind_loss(one, truth, positive_weight=weight))


def test_the_truth_costs_less_than_its_opposite_or_nothing():
    truth = masks(20, 10)
    right = torch.cat([truth, torch.zeros_like(truth)]) * 12 - 6
    losses = [
        loss_of(found(right, score=4.0, trusted=3.0), truth),
        loss_of(found(torch.full_like(right, -6.0)), truth),
        loss_of(found(-right, score=-4.0), truth),
    ]
    assert losses == sorted(losses)
    assert losses[0] < losses[1] < losses[2]


def test_a_small_edit_that_is_missed_costs_as_much_as_a_large_one():
    missed = torch.full((2, 1, SIDE, SIDE), -8.0)
    small, large = (loss_of(found(missed), masks(side)) for side in (2, 32))
    assert small == pytest.approx(large, rel=0.1)


def test_a_tile_without_a_change_is_a_clean_one():
    quiet = found(torch.full((2, 1, SIDE, SIDE), -9.0), score=0.0)
    sure = Found(
        forged=quiet.forged,
        trusted=quiet.trusted,
        score=torch.tensor([-5.0, -5.0]),
        features=quiet.features,
    )
    empty = masks(0)
    assert loss_of(sure, empty) < loss_of(quiet, empty)
    assert loss_of(sure, empty) < 0.2


def test_steps_lower_the_loss():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    network = BlindNetwork(NetworkConfig(channels=(4, 4, 4, 4), blocks=(0, 0, 0, 0)))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    truth = masks(16, 16)
    clean = torch.randint(0, 60, (2, 1, SIDE, SIDE)).float()
    levels = torch.cat([clean + 150 * truth, clean])
    losses = []
    for _ in range(12):
        loss = blind_loss(network(levels), truth, positive_weight=0.2)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
