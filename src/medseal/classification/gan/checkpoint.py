"""State of a GAN's training between steps: one safetensors file, replaced atomically."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from medseal.classification.gan.networks import Discriminator, Generator
from medseal.errors import ConfigurationError, WeightsError

__all__ = ["CHECKPOINT_NAME", "GanState", "StepRow", "load_checkpoint", "save_checkpoint"]

CHECKPOINT_NAME = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRow:
    """One line of the training log: means since the line before.

    Attributes
    ----------
    step
        Last step that counts.
    discriminator_loss, generator_loss
        Hinge losses.
    real_score, generated_score
        Of the discriminator.
    seconds
        Wall time.
    """

    step: int
    discriminator_loss: float
    generator_loss: float
    real_score: float
    generated_score: float
    seconds: float


@dataclass(slots=True, kw_only=True)
class GanState:
    """Everything that training changes.

    Attributes
    ----------
    run_digest
        Of everything that decides the result.
    generator, discriminator
        The two players.
    average
        Moving average of the generator; what is sampled.
    optimisers
        Of generator and discriminator.
    rows
        Log so far.
    """

    run_digest: str
    generator: Generator
    discriminator: Discriminator
    average: Generator
    optimisers: tuple[torch.optim.Optimizer, torch.optim.Optimizer]
    rows: list[StepRow] = field(default_factory=list)

    @property
    def step(self) -> int:
        """Number of steps done."""
        return self.rows[-1].step if self.rows else 0

    @property
    def networks(self) -> Mapping[str, torch.nn.Module]:
        """Networks by the name they are stored under."""
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "average": self.average,
        }


def save_checkpoint(folder: Path, state: GanState) -> None:
    """Write the state; after a crash the file holds either the old state or the new."""
    tensors = {
        f"{part}.{name}": tensor.contiguous()
        for part, network in state.networks.items()
        for name, tensor in network.state_dict().items()
    }
    for number, optimiser in enumerate(state.optimisers):
        for index, values in optimiser.state_dict()["state"].items():
            for name, tensor in values.items():
                tensors[f"optimiser{number}.{index}.{name}"] = tensor.contiguous()
    rows = json.dumps([asdict(row) for row in state.rows])
    data = save(tensors, metadata={"run_digest": state.run_digest, "rows": rows})
    temporary = folder / f"{CHECKPOINT_NAME}.tmp"
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / CHECKPOINT_NAME)


def load_checkpoint(folder: Path, state: GanState) -> None:
    """Bring a fresh state to the saved one; without a file leave it.

    Raises
    ------
    ConfigurationError
        The checkpoint belongs to a run with other settings or data.
    WeightsError
        The file is damaged.
    """
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no iterator
        rows = [StepRow(**row) for row in json.loads(metadata["rows"])]
        found = metadata["run_digest"]
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise WeightsError(f"{path} is damaged: remove it to start anew") from error
    if found != state.run_digest:
        raise ConfigurationError(
            f"{path} belongs to other settings or data: choose another output folder"
        )
    for part, network in state.networks.items():
        network.load_state_dict(_below(f"{part}.", tensors))
    for number, optimiser in enumerate(state.optimisers):
        values: dict[int, dict[str, Tensor]] = {}
        for key, tensor in _below(f"optimiser{number}.", tensors).items():
            index, name = key.split(".", 1)
            values.setdefault(int(index), {})[name] = tensor
        groups = optimiser.state_dict()["param_groups"]
        optimiser.load_state_dict({"state": values, "param_groups": groups})
    state.rows.extend(rows)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
