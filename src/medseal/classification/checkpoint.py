"""State of a training run between epochs: one safetensors file, replaced atomically."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from medseal.classification.learner import Learner
from medseal.errors import ConfigurationError, WeightsError

__all__ = [
    "CHECKPOINT_NAME",
    "LOG_NAME",
    "EpochRow",
    "RunState",
    "load_checkpoint",
    "save_checkpoint",
    "write_log",
]

CHECKPOINT_NAME = "checkpoint.safetensors"
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


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    state: Mapping[int, Mapping[str, Tensor]] = optimiser.state_dict()["state"]
    return {
        f"optimiser.{index}.{name}": tensor.contiguous()
        for index, tensors in state.items()
        for name, tensor in tensors.items()
    }


def save_checkpoint(folder: Path, *, state: RunState, learner: Learner) -> None:
    """Write the state; after a crash the file holds either the old state or the new.

    Parameters
    ----------
    folder
        Of the run; must exist.
    state, learner
        As they stand after an epoch.
    """
    tensors = _above("network.", learner.network) | _optimiser_tensors(learner.optimiser)
    tensors |= {f"best.{k}": v.contiguous() for k, v in state.best.items()}
    if learner.average is not None:
        tensors |= _above("average.", learner.average)
    rows = json.dumps([asdict(row) for row in state.rows])
    data = save(tensors, metadata={"run_digest": state.run_digest, "rows": rows})
    temporary = folder / f"{CHECKPOINT_NAME}.tmp"
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / CHECKPOINT_NAME)


def _above(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    return {f"{prefix}{k}": v.contiguous() for k, v in network.state_dict().items()}


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
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return RunState(run_digest=run_digest)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no iterator
        rows = [EpochRow(**row) for row in json.loads(metadata["rows"])]
        found = metadata["run_digest"]
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise WeightsError(f"{path} is damaged: remove it to start anew") from error
    if found != run_digest:
        raise ConfigurationError(
            f"{path} belongs to other settings or data: choose another output folder"
        )
    learner.network.load_state_dict(_below("network.", tensors))
    _restore_optimiser(learner.optimiser, _below("optimiser.", tensors))
    if learner.average is not None:
        learner.average.load_state_dict(_below("average.", tensors))
    return RunState(run_digest=found, rows=rows, best=_below("best.", tensors))


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    layout = optimiser.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": layout["param_groups"]})


def write_log(folder: Path, state: RunState) -> None:
    """Write `LOG_NAME` with one JSON object an epoch."""
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in state.rows)
    (folder / LOG_NAME).write_text(lines)
