"""State of a GAN's training between steps: both players, their optimisers, the average, log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from medseal.classification.gan.networks import Discriminator, Generator
from medseal.weights.run_file import (
    CHECKPOINT_NAME,
    above,
    below,
    damaged,
    optimiser_tensors,
    read_run,
    restore_optimiser,
    write_run,
)

__all__ = ["CHECKPOINT_NAME", "GanState", "StepRow", "load_checkpoint", "save_checkpoint"]


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
    tensors: dict[str, Tensor] = {}
    for part, network in state.networks.items():
        tensors |= above(f"{part}.", network)
    for number, optimiser in enumerate(state.optimisers):
        tensors |= optimiser_tensors(f"optimiser{number}.", optimiser)
    write_run(folder, tensors, run_digest=state.run_digest, rows=state.rows)


def load_checkpoint(folder: Path, state: GanState) -> None:
    """Bring a fresh state to the saved one; without a file leave it.

    Raises
    ------
    ConfigurationError
        The checkpoint belongs to a run with other settings or data.
    WeightsError
        The file is damaged.
    """
    found = read_run(folder, run_digest=state.run_digest)
    if found is None:
        return
    tensors, lines = found
    try:
        rows = [StepRow(**line) for line in lines]
    except TypeError as error:
        raise damaged(folder) from error
    for part, network in state.networks.items():
        network.load_state_dict(below(f"{part}.", tensors))
    for number, optimiser in enumerate(state.optimisers):
        restore_optimiser(optimiser, below(f"optimiser{number}.", tensors))
    state.rows.extend(rows)
