import numpy as np
import pytest
import torch

from medseal.protection.tamper.canonical import TILE
from medseal.protection.tamper.reference.config import NetworkConfig
from medseal.protection.tamper.reference.networks import TILE_MAPS, ReferenceNetwork
from medseal.protection.tamper.reference.sizes import CELLS

TINY = NetworkConfig(channels=(2, 2, 2, 2), features=3, inner=4, blocks=1)
SEEING = NetworkConfig(channels=(2, 2, 2, 2), features=12, inner=4, blocks=1)
# Of a feature of the network made by hand, and the energy from which it calls a tile forged.
_GAIN, _ENERGY = 3.0, 0.45
_STEEP = 60.0


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def network_of(config=TINY, *, seed=3):
    """Return a network with random weights, also where they begin as zero."""
    torch.manual_seed(seed)
    network = ReferenceNetwork(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        network.scaled.running_mean.normal_()
        network.scaled.running_var.uniform_(0.5, 2)
    return network


def _copies(convolution, inside=0):
    """Let the first channel be the one numbered `inside`, and the others nothing."""
    convolution.weight.zero_()
    convolution.bias.zero_()
    middle = convolution.weight.shape[2] // 2
    convolution.weight[0, inside, middle, middle] = 1


def seeing_network():
    """Return a network made by hand that sees a large change of brightness.

    Features are sums of the means of the cells of a tile; how surely a tile, and each place of
    it, is forged grows with the energy of the residual alone.
    """
    torch.manual_seed(1)
    network = ReferenceNetwork(SEEING).eval()
    with torch.no_grad():
        directions = torch.linalg.qr(torch.randn(CELLS**2, CELLS**2))[0][: SEEING.features]
        network.features.weight.zero_()
        network.features.bias.zero_()
        tile = SEEING.channels[-1]
        network.features.weight[:, tile : tile + CELLS**2, 0, 0] = directions
        network.scaled.weight.fill_(_GAIN)
        _copies(network.compare, network.compare.weight.shape[1] - TILE_MAPS)
        network.compare.weight[0] *= _STEEP
        network.compare.bias[0] = 1 - _STEEP * _ENERGY
        network.overall.weight.zero_()
        network.overall.bias.zero_()
        for block in network.inner:
            _copies(block.second)
            block.second.weight.zero_()
        for up in (network.up_eighths, network.up_quarters, network.up_halves):
            _copies(up.narrow)
            _copies(up.join)
            _copies(up.skip)
            up.skip.weight.zero_()
        for last in (network.tile_logit, network.mask_logit):
            _copies(last)
            last.weight *= 4
            last.bias.fill_(-4)
    return network


def plane(rows, columns, *, seed=0):
    drawn = np.random.default_rng(seed).normal(0, 1, (1, 1, rows, columns))
    return torch.from_numpy(drawn.astype(np.float32))


def judged(network, given, *, features=TINY.features, energy=None):
    """Return tile and place logits where the residual is zero."""
    with torch.no_grad():
        maps, _ = network.read(given)
        down, across = maps[-1].shape[2:]
        tiles = torch.zeros(1, TILE_MAPS, down, across)
        if energy is not None:
            tiles[0, 0] = energy
        return network.judge(maps, torch.zeros(1, features, down, across), tiles)


def test_maps_halve_and_features_are_those_of_tiles():
    with torch.no_grad():
        maps, features = network_of().read(plane(64, 96))
    assert [tuple(one.shape) for one in maps] == [
        (1, 2, 32, 48),
        (1, 2, 16, 24),
        (1, 2, 8, 12),
        (1, 2, 4, 6),
    ]
    assert features.shape == (1, TINY.features, 4, 6)


def test_logits_are_those_of_tiles_and_of_halves():
    tiles, places = judged(network_of(), plane(64, 96))
    assert tiles.shape == (1, 1, 4, 6)
    assert places.shape == (1, 1, 32, 48)


def test_a_change_moves_the_features_where_it_lies():
    network, before = network_of(), plane(256, 256)
    after = before.clone()
    after[0, 0, 6 * TILE + 4 : 6 * TILE + 12, 9 * TILE + 4 : 9 * TILE + 12] += 2
    with torch.no_grad():
        moved = (network.read(after)[1] - network.read(before)[1])[0].abs().amax(0)
    assert divmod(int(moved.argmax()), 16) == (6, 9)
    # The trunk sees the neighbours, and nothing far away.
    assert moved[6, 9] > 0.1
    assert max(moved[:3].max(), moved[10:].max()) < 1e-4


def test_features_begin_at_a_size_that_suits_the_steps():
    torch.manual_seed(0)
    network = ReferenceNetwork(TINY).train()
    with torch.no_grad():
        features = network.read(plane(256, 256))[1]
    assert features.std().item() == pytest.approx(2.5, rel=0.05)


def test_the_whole_image_has_a_say_in_each_tile():
    network = network_of()
    energy = torch.zeros(8, 8)
    quiet = judged(network, plane(128, 128), energy=energy)[0]
    energy[0, 0] = 50
    assert not torch.allclose(
        judged(network, plane(128, 128), energy=energy)[0][..., 4:, 4:], quiet[..., 4:, 4:]
    )


def test_the_network_made_by_hand_sees_energy_and_nothing_else():
    energy = torch.full((4, 4), 0.13)
    energy[1, 2] = 0.6
    tiles, places = judged(seeing_network(), plane(64, 64), features=SEEING.features, energy=energy)
    assert (tiles[0, 0] > 0).nonzero().tolist() == [[1, 2]]
    found = (places[0, 0] > 0).nonzero()
    assert found.amin(0).tolist() == [8, 16]
    assert found.amax(0).tolist() == [15, 23]


def test_steps_lower_the_loss():
    torch.manual_seed(0)
    network = ReferenceNetwork(TINY).train()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-2)
    given, truth = plane(64, 64), torch.zeros(1, 1, 4, 4)
    truth[0, 0, 1, 1] = 1
    losses = []
    for _ in range(5):
        maps, _ = network.read(given)
        tiles, _ = network.judge(
            maps, torch.zeros(1, 3, 4, 4), torch.cat([truth, torch.zeros(1, 3, 4, 4)], 1)
        )
        loss = torch.nn.functional.binary_cross_entropy_with_logits(tiles, truth)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
