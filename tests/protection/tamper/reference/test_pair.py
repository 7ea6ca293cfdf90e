import numpy as np
import pytest
import torch

from medseal.protection.tamper.reference.codes import Readout, saturated
from medseal.protection.tamper.reference.config import FitConfig, ReferenceConfig
from medseal.protection.tamper.reference.maps import tile_maps
from medseal.protection.tamper.reference.pair import Pair, batch_of, random_reading
from medseal.protection.tamper.reference.samples import PATCH, draw
from tests.protection.tamper.reference.test_networks import TINY
from tests.protection.tamper.reference.test_samples import pools

__all__ = ["pools"]

FEATURES, SIDE = 12, 16


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def pair_of(seed=2):
    torch.manual_seed(seed)
    config = ReferenceConfig(
        id="tiny",
        version="1",
        task="tamper",
        modality="any",
        method="tamper-reference",
        limits="None.",
        network=TINY,
    )
    return Pair(config)


@pytest.fixture(scope="module")
def samples(pools):
    rng = np.random.default_rng(0)
    return [draw(pools, FitConfig(edited_share=0.5), rng) for _ in range(2)]


def features_of(seed, size):
    return np.random.default_rng(seed).normal(0, size, (FEATURES, SIDE, SIDE))


@pytest.mark.parametrize("size", [0.0, 0.3, 3.0])
def test_a_random_reading_is_like_that_of_a_key(size):
    """Residual and energy have the distribution that codes of a random key give."""
    record, change = features_of(0, 2.5), features_of(1, size)
    read = Readout.of(bytes(range(32)), tiles=SIDE * SIDE, features=FEATURES)
    wanted, wanted_energy = read.residual(record + change, read.codes(record))
    here, there = (torch.from_numpy(one)[None].float() for one in (record + change, record))
    residual, energy = random_reading(here, there, torch.Generator().manual_seed(0))
    assert residual.shape == (1, FEATURES, SIDE, SIDE)
    assert energy.shape == (1, 1, SIDE, SIDE)
    assert float(energy.mean()) == pytest.approx(wanted_energy.mean(), rel=0.06)
    assert float(energy.std()) == pytest.approx(wanted_energy.std(), rel=0.15)
    assert float(residual.std()) == pytest.approx(wanted.std(), rel=0.06)
    if size == 0.3:
        slopes = [np.sum(one * change) / np.sum(change**2) for one in (wanted, residual[0].numpy())]
        assert slopes == pytest.approx([1, 1], abs=0.15)


def test_the_energy_is_that_of_the_codes():
    read, change = torch.zeros(1, 1, 1, 1), 0.0
    _, energy = random_reading(read, read + change, torch.Generator().manual_seed(3))
    noise = torch.Generator().manual_seed(3)
    torch.randint(0, 2, (1, 1, 6, 1), generator=noise, dtype=torch.int8)
    drawn = (torch.rand(1, 1, 6, generator=noise) - 0.5).numpy()
    assert energy.item() == pytest.approx(saturated(drawn).mean(), abs=1e-6)


def test_a_gradient_goes_through_the_reading():
    here = torch.zeros(1, FEATURES, 2, 2, requires_grad=True)
    record = torch.full_like(here, 0.4)
    _, energy = random_reading(here, record, torch.Generator().manual_seed(0))
    energy.sum().backward()
    # On average away from the record costs more.
    assert here.grad.mean() < 0


def test_a_batch_holds_what_the_samples_hold(samples):
    batch = batch_of(samples)
    tiles = PATCH // 16
    assert batch.record.shape == batch.copy.shape == (2, 1, PATCH, PATCH)
    assert batch.mask.shape == (2, 1, PATCH // 2, PATCH // 2)
    assert batch.maps.shape == (2, 3, tiles, tiles)
    assert batch.families == tuple(sample.family for sample in samples)
    assert batch.counts.tolist() == [float(sample.counts) for sample in samples]
    first = samples[0]
    assert np.allclose(batch.copy[0, 0].numpy() * 64 + 128, first.copy, atol=1e-3)
    maps = tile_maps(first.copy, first.bounds, first.clipped, first.outside)
    assert np.array_equal(batch.maps[0].numpy(), maps)


def test_a_pair_gives_logits_of_tiles_and_places(samples):
    pair, batch = pair_of().eval(), batch_of(samples)
    with torch.no_grad():
        tiles, places, by_energy = pair(batch, torch.Generator().manual_seed(0))
        again = pair(batch, torch.Generator().manual_seed(0))
        other = pair(batch, torch.Generator().manual_seed(1))
    side = PATCH // 16
    assert tiles.shape == by_energy.shape == (2, 1, side, side)
    assert places.shape == (2, 1, PATCH // 2, PATCH // 2)
    assert torch.equal(tiles, again[0])
    assert not torch.equal(by_energy, other[2])
