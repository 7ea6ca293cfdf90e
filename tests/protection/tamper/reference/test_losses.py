import pytest
import torch
from torch.nn import functional

from medseal.protection.tamper.reference.losses import (
    image_logit,
    place_loss,
    tile_loss,
    total_loss,
)

SIDE, TILES = 32, 4


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def mask_of(*sides):
    """Return masks with a forged square in the corner of each."""
    mask = torch.zeros(len(sides), 1, SIDE, SIDE)
    for one, side in zip(mask, sides, strict=True):
        one[0, :side, :side] = 1
    return mask


def flat(count, side, value=0.0):
    return torch.full((count, 1, side, side), value, requires_grad=True)


def losses_of(mask, *, outside=None, counts=None):
    """Return logits that know nothing yet, and the loss they have."""
    count = len(mask)
    outside = torch.zeros(count, 1, TILES, TILES) if outside is None else outside
    counts = torch.ones(count) if counts is None else torch.tensor(counts)
    logits = (flat(count, TILES, -1.0), flat(count, SIDE, -1.0), flat(count, TILES, -1.0))
    return logits, total_loss(logits, mask, outside, counts)


def test_the_logit_of_an_image_is_that_of_its_surest_tile():
    tiles = torch.full((2, 1, TILES, TILES), -9.0)
    tiles[0, 0, 1, 2] = 3
    seen = torch.ones_like(tiles)
    found = image_logit(tiles, seen)
    assert found[0] == pytest.approx(3, abs=1e-3)
    # Sixteen equal tiles add the logarithm of their number, in units of the sharpness.
    assert found[1] == pytest.approx(-9 + float(torch.log(torch.tensor(16.0))) / 4, abs=1e-3)
    seen[0, 0, 1, 2] = 0
    assert image_logit(tiles, seen)[0] < -8


def test_each_logit_is_pulled_towards_the_truth():
    mask = mask_of(8)
    logits, loss = losses_of(mask)
    loss.backward()
    for one, truth in zip(logits, (TILES, SIDE, TILES), strict=True):
        forged = functional.adaptive_avg_pool2d(mask, truth) > 0
        assert (one.grad[forged] < 0).all()
        assert (one.grad[~forged] > 0).all()


def test_the_truth_costs_less_than_its_opposite():
    mask = mask_of(16)
    tiles = functional.adaptive_avg_pool2d(mask, TILES) * 16 - 8
    right = (tiles, mask * 16 - 8, tiles)
    wrong = tuple(-one for one in right)
    outside, counts = torch.zeros(1, 1, TILES, TILES), torch.ones(1)
    assert total_loss(right, mask, outside, counts) < 0.1
    assert total_loss(wrong, mask, outside, counts) > 10


def test_a_pair_that_does_not_count_teaches_nothing():
    logits, loss = losses_of(mask_of(8, 12), counts=[1.0, 0.0])
    loss.backward()
    for one in logits:
        assert one.grad[0].abs().sum() > 0
        assert not one.grad[1].any()


def test_a_tile_outside_the_copy_teaches_nothing():
    outside = torch.zeros(1, 1, TILES, TILES)
    outside[0, 0, 3, 3] = 1
    logits, loss = losses_of(mask_of(8), outside=outside)
    loss.backward()
    tiles, places, residual = (one.grad[0, 0] for one in logits)
    assert tiles[3, 3] == residual[3, 3] == 0
    assert not places[-8:, -8:].any()
    assert tiles[3, 2] != 0
    assert places[-1, -9] != 0


def test_a_trace_of_a_forgery_in_a_tile_is_left_out():
    logits, share = torch.zeros(1, 1, 1, 3, requires_grad=True), torch.tensor([[[[0, 0.01, 0.5]]]])
    tile_loss(logits, share, torch.ones_like(share)).backward()
    clean, trace, forged = logits.grad[0, 0, 0]
    assert trace == 0
    assert clean > 0 > forged


def test_a_mask_that_overlaps_costs_less():
    mask = mask_of(16)
    lies = torch.roll(mask, 16, dims=3)
    half = torch.roll(mask, 8, dims=3)
    weights = torch.ones_like(mask)
    costs = [float(place_loss(one * 8 - 4, mask, weights)) for one in (mask, half, lies)]
    assert costs == sorted(costs)
    assert costs[2] > 2 * costs[0]


def test_each_part_of_a_larger_pair_counts_as_a_copy():
    """Tiles of 32 x 32: four copies of 16 x 16 that lie side by side."""
    generator = torch.Generator().manual_seed(3)
    tiles, residual = (4 * torch.randn(1, 1, 32, 32, generator=generator) for _ in range(2))
    places = 4 * torch.randn(1, 1, 256, 256, generator=generator)
    mask = torch.zeros(1, 1, 256, 256)
    mask[..., 20:70, 150:190] = 1
    mask[..., 120:150, 30:60] = 0.7
    outside = (torch.rand(1, 1, 32, 32, generator=generator) > 0.9).float()
    whole = total_loss((tiles, places, residual), mask, outside, torch.ones(1))

    def quarters(maps):
        return torch.cat([half for rows in maps.chunk(2, 2) for half in rows.chunk(2, 3)])

    parts = tuple(quarters(one) for one in (tiles, places, residual))
    loss = total_loss(parts, quarters(mask), quarters(outside), torch.ones(4))
    assert float(whole) == pytest.approx(float(loss), rel=1e-6)


def test_parts_of_a_pair_that_does_not_count_teach_nothing():
    logits = tuple(flat(2, side, -1.0) for side in (32, 256, 32))
    mask = torch.zeros(2, 1, 256, 256)
    mask[:, :, 100:160, 100:160] = 1
    total_loss(logits, mask, torch.zeros(2, 1, 32, 32), torch.tensor([0.0, 1.0])).backward()
    for one in logits:
        assert not one.grad[0].any()
        assert one.grad[1].abs().sum() > 0
