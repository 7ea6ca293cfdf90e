import dataclasses

import pytest
import torch

from medseal.classification.networks import NETWORKS, NetworkConfig, build
from medseal.errors import ConfigurationError

SMALL = NetworkConfig(rows=64, columns=64, dropout=0.1)


@pytest.mark.parametrize("method", NETWORKS)
def test_same_seed_same_weights(method):
    state = torch.random.get_rng_state()
    config = dataclasses.replace(SMALL, truncate=4 if method == "side-comparison" else 0)
    one, same, other = (build(method, config, seed=seed).state_dict() for seed in (1, 1, 2))
    assert torch.equal(state, torch.random.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_unknown_network_is_refused():
    with pytest.raises(ConfigurationError, match="no network 'forest': there are edge-cnn"):
        build("forest", SMALL, seed=1)
