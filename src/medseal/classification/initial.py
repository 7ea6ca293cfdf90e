"""The weights a network starts from: drawn, foreign, or of one of our own models."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal import weights
from medseal.classification.config import TrainConfig
from medseal.classification.foreign import (
    EFFICIENTNET_LITE0_SHA256,
    efficientnet_lite0,
    read_foreign,
)
from medseal.classification.networks import Network, NetworkConfig, build
from medseal.classification.storage import unpack
from medseal.errors import ConfigurationError, WeightsError
from medseal.weights.store import CARD_NAME

__all__ = ["HEADS", "Start", "first_network", "model_folder"]

_EFFICIENTNET_LITE0 = "efficientnet-lite0"
# Of batch normalisation; it decides nothing here, and files differ in whether they have it.
_COUNTER = "num_batches_tracked"
# Layers that belong to the classes of the foreign data, not to ours.
HEADS = ("output.", "fc.", "classifier.", "dense1.", "dense2.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Tensors to start from, with what the card says about them.

    Attributes
    ----------
    tensors
        By the names of the network.
    origin
        ``weights`` and ``sha256``; empty for drawn weights.
    """

    tensors: Mapping[str, NDArray[Any]]
    origin: Mapping[str, str]


def first_network(
    config: TrainConfig, settings: NetworkConfig, *, config_dir: Path, output_dir: Path
) -> tuple[Network, Mapping[str, str]]:
    """Return the network before training, and the origin of its weights.

    Parameters
    ----------
    config
        Its method, seed and [initial].
    settings
        Size, channels and classes.
    config_dir
        What a path in [initial] is relative to.
    output_dir
        Where models of earlier runs are looked for.

    Raises
    ------
    ConfigurationError
        The weights are not installed, or are those of another network.
    DigestMismatchError, WeightsError
        The file is another one or damaged.
    """
    network = build(config.method, settings, seed=config.train.seed)
    start = _start(config, config_dir=config_dir, output_dir=output_dir)
    if start.tensors:
        _load(network, start, name=config.initial.weights)
    return network, start.origin


def model_folder(model_id: str, output_dir: Path) -> Path | None:
    """Return the folder of a model in the output folder; None if it is not there."""
    folder = output_dir / model_id
    return folder if (folder / CARD_NAME).is_file() else None


def _start(config: TrainConfig, *, config_dir: Path, output_dir: Path) -> Start:
    name = config.initial.weights
    if not name:
        return Start(tensors={}, origin={})
    if name == _EFFICIENTNET_LITE0:
        origin = {"weights": name, "sha256": EFFICIENTNET_LITE0_SHA256}
        return Start(tensors=efficientnet_lite0(), origin=origin)
    if config.initial.is_path:
        tensors = read_foreign(config_dir / name, sha256=config.initial.sha256)
        origin = {"weights": Path(name).name, "sha256": config.initial.sha256}
        return Start(tensors=tensors, origin=origin)
    folder = model_folder(name, output_dir)
    card, stored = weights.load(name) if folder is None else weights.load_folder(folder)
    origin = {"weights": card.id, "sha256": card.sha256.value.hex()}
    return Start(tensors=unpack(stored), origin=origin)


def _load(network: Network, start: Start, *, name: str) -> None:
    """Bring the tensors of all stages into the network; its own head stays as drawn."""
    own = network.state_dict()
    stages = {key for key in own if not key.startswith(HEADS) and not key.endswith(_COUNTER)}
    missing = sorted(stages - set(start.tensors))
    if missing:
        raise ConfigurationError(f"{name} holds weights of another network: it has no {missing[0]}")
    for key in sorted(stages):
        tensor = torch.tensor(np.asarray(start.tensors[key]))
        if tensor.shape != own[key].shape:
            raise WeightsError(
                f"{name}: {key} has the shape {tuple(tensor.shape)}, not {tuple(own[key].shape)}"
            )
        own[key] = tensor.to(own[key].dtype)
    network.load_state_dict(own)
