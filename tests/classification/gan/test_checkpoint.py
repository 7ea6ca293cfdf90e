import pytest
import torch

from medseal.classification.gan.checkpoint import (
    CHECKPOINT_NAME,
    GanState,
    StepRow,
    load_checkpoint,
    save_checkpoint,
)
from medseal.classification.gan.networks import build_networks
from medseal.errors import ConfigurationError, WeightsError


def fresh(seed, run_digest="a"):
    settings = {"side": 32, "channels": 1, "classes": 2, "latent": 4, "width": 2}
    generator, discriminator = build_networks(**settings, seed=seed)
    average, _ = build_networks(**settings, seed=seed + 1)
    optimisers = tuple(torch.optim.Adam(n.parameters()) for n in (generator, discriminator))
    return GanState(
        run_digest=run_digest,
        generator=generator,
        discriminator=discriminator,
        average=average,
        optimisers=optimisers,
    )


def stepped():
    state = fresh(1)
    for network, optimiser in zip(
        (state.generator, state.discriminator), state.optimisers, strict=True
    ):
        for parameter in network.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimiser.step()
    row = StepRow(
        step=7,
        discriminator_loss=1.0,
        generator_loss=2.0,
        real_score=0.5,
        generated_score=-0.5,
        seconds=3.0,
    )
    state.rows.append(row)
    return state


def test_everything_comes_back(tmp_path):
    saved = stepped()
    save_checkpoint(tmp_path, saved)
    state = fresh(9)
    assert state.step == 0
    load_checkpoint(tmp_path, state)
    assert state.step == 7
    assert state.rows == saved.rows
    for part, network in state.networks.items():
        for name, tensor in network.state_dict().items():
            assert torch.equal(tensor, saved.networks[part].state_dict()[name]), (part, name)
    for mine, theirs in zip(state.optimisers, saved.optimisers, strict=True):
        moments = [opt.state_dict()["state"][0]["exp_avg"] for opt in (mine, theirs)]
        assert torch.equal(*moments)


def test_without_a_file_nothing_changes(tmp_path):
    state = fresh(3)
    before = state.generator.start.weight.clone()
    load_checkpoint(tmp_path, state)
    assert torch.equal(state.generator.start.weight, before)
    assert state.step == 0


def test_another_run_is_refused(tmp_path):
    save_checkpoint(tmp_path, stepped())
    with pytest.raises(ConfigurationError, match="belongs to other settings or data"):
        load_checkpoint(tmp_path, fresh(1, run_digest="b"))


def test_a_damaged_file_is_refused(tmp_path):
    save_checkpoint(tmp_path, stepped())
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="is damaged: remove it"):
        load_checkpoint(tmp_path, fresh(1))
