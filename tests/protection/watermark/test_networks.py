import pytest
import torch

from medseal.protection.watermark.networks import (
    COPY_MAPS,
    HOST_MAPS,
    EmbeddingNetwork,
    ExtractionNetwork,
    NetworkConfig,
)

TINY = NetworkConfig(
    embedding_channels=4, embedding_blocks=1, extraction_channels=4, extraction_blocks=1
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(3)


@pytest.mark.parametrize("shape", [(16, 16), (12, 30), (2, 2)])
def test_both_networks_keep_the_shape(shape):
    host, copy = torch.randn(2, HOST_MAPS, *shape), torch.randn(2, COPY_MAPS, *shape)
    pattern = torch.randn(2, 1, *shape)
    assert EmbeddingNetwork(TINY)(host, pattern).shape == (2, 1, *shape)
    assert ExtractionNetwork(TINY)(copy).shape == (2, 1, *shape)


def test_nothing_is_added_where_there_is_no_room():
    host, pattern = torch.randn(1, HOST_MAPS, 16, 16), torch.randn(1, 1, 16, 16)
    host[:, -1, :8] = 0
    residual = EmbeddingNetwork(TINY)(host, pattern)
    assert not residual[:, :, :8].any()
    assert residual[:, :, 8:].all()


def test_untrained_networks_pass_on_pattern_and_detail():
    host, copy = torch.rand(1, HOST_MAPS, 64, 64), torch.randn(1, COPY_MAPS, 64, 64)
    pattern = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        residual = EmbeddingNetwork(TINY)(host, pattern) / host[:, -1:]
        estimate = ExtractionNetwork(TINY)(copy)
    for given, made in ((pattern, residual), (copy[:, -1:], estimate)):
        pair = torch.stack([given.flatten(), made.flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.9


def test_the_same_weights_at_every_place():
    # Moved by an even number of places, the estimate moves with the copy, but for the edge.
    copy = torch.randn(1, COPY_MAPS, 48, 48)
    network = ExtractionNetwork(TINY)
    with torch.no_grad():
        whole, part = network(copy), network(copy[:, :, 8:, 4:])
    assert torch.allclose(whole[:, :, 20:-12, 16:-12], part[:, :, 12:-12, 12:-12], atol=1e-5)


def test_one_step_lowers_a_loss():
    network = ExtractionNetwork(TINY)
    copy, wanted = torch.randn(1, COPY_MAPS, 16, 16), torch.randn(1, 1, 16, 16)
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3)
    losses = []
    for _ in range(2):
        optimiser.zero_grad()
        loss = (network(copy) - wanted).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[1] < losses[0]
    assert all(parameter.grad is not None for parameter in network.parameters())
