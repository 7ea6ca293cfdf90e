"""The file of an unfinished run: safetensors, replaced atomically, refused by other runs."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from medseal.errors import ConfigurationError, WeightsError

__all__ = [
    "CHECKPOINT_NAME",
    "above",
    "below",
    "damaged",
    "optimiser_tensors",
    "read_run",
    "restore_optimiser",
    "write_run",
]

CHECKPOINT_NAME = "checkpoint.safetensors"

Tensors = dict[str, Tensor]


def write_run(
    folder: Path, tensors: Mapping[str, Tensor], *, run_digest: str, rows: Sequence[Any]
) -> None:
    """Write the state; after a crash the file holds either the old state or the new.

    Parameters
    ----------
    folder
        Of the run; must exist.
    tensors
        By name; contiguous ones.
    run_digest
        Of everything that decides the result.
    rows
        Dataclasses of numbers, the log so far.
    """
    metadata = {"run_digest": run_digest, "rows": json.dumps([asdict(row) for row in rows])}
    data = save(dict(tensors), metadata=metadata)
    temporary = folder / f"{CHECKPOINT_NAME}.tmp"
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / CHECKPOINT_NAME)


def read_run(folder: Path, *, run_digest: str) -> tuple[Tensors, list[dict[str, Any]]] | None:
    """Return tensors and rows of the run in a folder; None if it has not begun.

    Raises
    ------
    ConfigurationError
        The file belongs to a run with other settings or data.
    WeightsError
        The file is damaged.
    """
    path = folder / CHECKPOINT_NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no iterator
        rows: list[dict[str, Any]] = json.loads(metadata["rows"])
        found = metadata["run_digest"]
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise damaged(folder) from error
    if found != run_digest:
        raise ConfigurationError(
            f"{path} belongs to other settings or data: choose another output folder"
        )
    return tensors, rows


def damaged(folder: Path) -> WeightsError:
    """Return the error for a file that cannot be used."""
    return WeightsError(f"{folder / CHECKPOINT_NAME} is damaged: remove it to start anew")


def above(prefix: str, network: nn.Module) -> Tensors:
    """Return the tensors of a network, their names behind a prefix."""
    return {f"{prefix}{k}": v.contiguous() for k, v in network.state_dict().items()}


def below(prefix: str, tensors: Mapping[str, Tensor]) -> Tensors:
    """Return the tensors whose names begin with a prefix, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def optimiser_tensors(prefix: str, optimiser: torch.optim.Optimizer) -> Tensors:
    """Return what an optimiser remembers, as ``PREFIX<parameter>.<name>``."""
    state: Mapping[int, Mapping[str, Tensor]] = optimiser.state_dict()["state"]
    return {
        f"{prefix}{index}.{name}": tensor.contiguous()
        for index, tensors in state.items()
        for name, tensor in tensors.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Bring an optimiser to what `optimiser_tensors` gave, the prefix taken off."""
    state: dict[int, Tensors] = {}
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = tensor
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})
