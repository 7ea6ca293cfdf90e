from dataclasses import dataclass

import pytest
import torch

from medseal.errors import ConfigurationError, WeightsError
from medseal.weights.run_file import (
    CHECKPOINT_NAME,
    above,
    below,
    optimiser_tensors,
    read_run,
    restore_optimiser,
    write_run,
)


@dataclass(frozen=True)
class Row:
    step: int
    loss: float


def test_what_was_written_is_read(tmp_path):
    write_run(tmp_path, {"a": torch.arange(3)}, run_digest="x", rows=[Row(1, 0.5)])
    tensors, rows = read_run(tmp_path, run_digest="x")
    assert torch.equal(tensors["a"], torch.arange(3))
    assert rows == [{"step": 1, "loss": 0.5}]
    assert [path.name for path in tmp_path.iterdir()] == [CHECKPOINT_NAME]


def test_a_run_that_has_not_begun(tmp_path):
    assert read_run(tmp_path, run_digest="x") is None


def test_another_run_is_refused(tmp_path):
    write_run(tmp_path, {}, run_digest="x", rows=[])
    with pytest.raises(ConfigurationError, match="other settings or data"):
        read_run(tmp_path, run_digest="y")


def test_a_damaged_file_is_refused(tmp_path):
    write_run(tmp_path, {"a": torch.ones(50)}, run_digest="x", rows=[])
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(WeightsError, match="is damaged: remove it to start anew"):
        read_run(tmp_path, run_digest="x")


def test_names_behind_a_prefix_come_back():
    network = torch.nn.Linear(2, 1)
    stored = above("one.", network) | above("other.", torch.nn.Linear(3, 1))
    assert below("one.", stored).keys() == network.state_dict().keys()


def test_an_optimiser_goes_on_as_if_it_had_not_stopped():
    weights = []
    for stop in (False, True):
        torch.manual_seed(1)
        network = torch.nn.Linear(2, 1)
        optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
        for _ in range(3):
            optimiser.zero_grad()
            network(torch.ones(4, 2)).square().sum().backward()
            optimiser.step()
            if stop:
                stored = optimiser_tensors("o.", optimiser)
                optimiser = torch.optim.Adam(network.parameters(), lr=0.1)
                restore_optimiser(optimiser, below("o.", stored))
        weights.append(network.weight.detach().clone())
    assert torch.equal(*weights)
