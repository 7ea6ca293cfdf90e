"""State of a training run between epochs: network, optimiser, average, best weights, log."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from torch import Tensor

from medseal.classification.learner import Learner
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

__all__ = [
    "CHECKPOINT_NAME",
    "LOG_NAME",
    "EpochRow",
    "RunState",
    "load_checkpoint",
    "save_checkpoint",
    "write_log",
]

LOG_NAME = "log.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRow:
    """One line of the training log.

    Attributes
    ----------
    epoch
        From 1.
    train_loss, validation_loss
        Mean cross-entropy, nats; the first with dropout and augmentation.
    validation_accuracy
        In [0, 1], at the most probable class.
    criterion
        What the best epoch is chosen by; less is better.
    seconds
        Wall time of the epoch.
    """

    epoch: int
    train_loss: float
    validation_loss: float
    validation_accuracy: float
    criterion: float
    seconds: float


@dataclass(slots=True, kw_only=True)
class RunState:
    """What a run knows after an epoch, beside the network and the optimiser.

    Attributes
    ----------
    run_digest
        Of everything that decides the result: settings, split, preprocessing.
    rows
        One an epoch so far.
    best
        Tensors of the network after the best epoch.
    """

    run_digest: str
    rows: list[EpochRow] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def best_row(self) -> EpochRow:
        """The row with the lowest criterion, the first of equals."""
        return min(self.rows, key=lambda row: row.criterion)


def save_checkpoint(folder: Path, *, state: RunState, learner: Learner) -> None:
    """Write the state; after a crash the file holds either the old state or the new.

    Parameters
    ----------
    folder
        Of the run; must exist.
    state, learner
        As they stand after an epoch.
    """
    tensors = above("network.", learner.network)
    tensors |= optimiser_tensors("optimiser.", learner.optimiser)
    tensors |= {f"best.{k}": v.contiguous() for k, v in state.best.items()}
    if learner.average is not None:
        tensors |= above("average.", learner.average)
    write_run(folder, tensors, run_digest=state.run_digest, rows=state.rows)


def load_checkpoint(folder: Path, *, run_digest: str, learner: Learner) -> RunState:
    """Bring the learner to the saved state; without a file leave it and start anew.

    Parameters
    ----------
    folder
        Of the run.
    run_digest
        Of the run that is about to go on.
    learner
        Built as for a new run; changed in place.

    Raises
    ------
    ConfigurationError
        The checkpoint belongs to a run with other settings or data.
    WeightsError
        The file is damaged.
    """
    found = read_run(folder, run_digest=run_digest)
    if found is None:
        return RunState(run_digest=run_digest)
    tensors, lines = found
    try:
        rows = [EpochRow(**line) for line in lines]
    except TypeError as error:
        raise damaged(folder) from error
    learner.network.load_state_dict(below("network.", tensors))
    restore_optimiser(learner.optimiser, below("optimiser.", tensors))
    if learner.average is not None:
        learner.average.load_state_dict(below("average.", tensors))
    return RunState(run_digest=run_digest, rows=rows, best=below("best.", tensors))


def write_log(folder: Path, state: RunState) -> None:
    """Write `LOG_NAME` with one JSON object an epoch."""
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in state.rows)
    (folder / LOG_NAME).write_text(lines)
