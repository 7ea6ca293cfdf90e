"""The training loop of the five-layer network, written out: resumable, same seed same result."""

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medseal.classification.augment import AugmentConfig, augment
from medseal.classification.checkpoint import EpochRow, RunState, load_checkpoint, save_checkpoint
from medseal.classification.examples import Examples
from medseal.classification.networks import FiveLayerCNN, NetworkConfig
from medseal.errors import ConfigurationError

__all__ = ["LOG_NAME", "FitConfig", "build_network", "fit", "logits_of", "to_batch"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
# Images at a time when only logits are wanted; small batches are the fastest on a CPU.
_EVALUATION_BATCH = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """Settings of the loop; the defaults are the paper's.

    Attributes
    ----------
    seed
        Of the first weights, the order, the augmentation and the dropout.
    learning_rate, batch_size
        Of Adam.
    max_epochs
        Upper limit.
    patience
        Epochs without a lower validation loss after which the run ends.
    threads
        Of torch; part of the settings because sums depend on it in the last bit.
    bfloat16
        Whether the forward pass of training runs in bfloat16 (autocast).

    Raises
    ------
    ConfigurationError
        A value is not positive.
    """

    seed: int = 1
    learning_rate: float = 0.001
    batch_size: int = 32
    max_epochs: int = 50
    patience: int = 10
    threads: int = 2
    bfloat16: bool = True

    def __post_init__(self) -> None:
        numbers = (self.batch_size, self.max_epochs, self.patience, self.threads)
        if min(numbers) < 1 or self.learning_rate <= 0 or self.seed < 0:
            raise ConfigurationError("the settings in [train] must be positive")


def to_batch(images: NDArray[np.uint8]) -> Tensor:
    """Return standardised images as network input.

    Parameters
    ----------
    images
        uint8, (n, rows, columns).

    Returns
    -------
    Tensor
        float32 in [0, 1], (n, 1, rows, columns); equal to `preprocess` to the last bit.
    """
    return torch.tensor(images, dtype=torch.float32).div_(255).unsqueeze(1)  # (n, 1, H, W)


def build_network(config: NetworkConfig, *, seed: int) -> FiveLayerCNN:
    """Return the network with its first weights, without touching torch's global generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return FiveLayerCNN(config)


def logits_of(network: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    """Return the logits of standardised images in evaluation mode, in float32.

    Parameters
    ----------
    network
        Left in evaluation mode.
    images
        uint8, (n, rows, columns).

    Returns
    -------
    Tensor
        float32, (n, classes).
    """
    network.eval()
    with torch.inference_mode():
        parts = [
            network(to_batch(images[start : start + _EVALUATION_BATCH]))
            for start in range(0, len(images), _EVALUATION_BATCH)
        ]
    return torch.cat(parts)


def train_epoch(
    network: nn.Module,
    optimiser: torch.optim.Optimizer,
    train: Examples,
    *,
    config: FitConfig,
    augmentation: AugmentConfig,
    epoch: int,
) -> float:
    """Go through the training images once; return the mean loss.

    All randomness comes from seed and epoch, so a resumed run equals an uninterrupted one.
    """
    network.train()
    generator = np.random.default_rng([config.seed, epoch])
    order = generator.permutation(len(train.labels))
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**63)))  # of the dropout
        for start in range(0, len(order), config.batch_size):
            chosen = order[start : start + config.batch_size]
            images = augment(
                to_batch(train.images[chosen]), config=augmentation, generator=generator
            )
            labels = torch.from_numpy(train.labels[chosen])
            with torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16):
                logits = network(images)
            loss = nn.functional.cross_entropy(logits.float(), labels)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
            optimiser.step()
            total += loss.item() * len(chosen)
    return total / len(order)


def fit(  # noqa: PLR0913  # the six parts of a run
    train: Examples,
    validation: Examples,
    *,
    network: FiveLayerCNN,
    config: FitConfig,
    augmentation: AugmentConfig,
    folder: Path,
    run_digest: str,
) -> RunState:
    """Train until the validation loss has not fallen for `patience` epochs.

    A run that was stopped goes on after its last whole epoch; one that had ended is returned as
    it is. Afterwards the network holds the weights with the lowest validation loss.

    Parameters
    ----------
    train, validation
        Never from the same group.
    network
        With its first weights; changed in place.
    config, augmentation
        Settings.
    folder
        Exists; takes the checkpoint and `LOG_NAME` with one JSON object an epoch.
    run_digest
        Of everything that decides the result; a checkpoint of another run is refused.

    Returns
    -------
    RunState
        All rows and the best tensors.

    Raises
    ------
    ConfigurationError
        The folder holds a checkpoint of other settings or data.
    """
    torch.set_num_threads(config.threads)
    optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
    state = load_checkpoint(folder, run_digest=run_digest, network=network, optimiser=optimiser)
    _write_log(folder, state)
    labels = torch.tensor(validation.labels)
    while not _ended(state, config):
        epoch, start = len(state.rows) + 1, time.perf_counter()
        train_loss = train_epoch(
            network, optimiser, train, config=config, augmentation=augmentation, epoch=epoch
        )
        logits = logits_of(network, validation.images)
        row = EpochRow(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=nn.functional.cross_entropy(logits, labels).item(),
            validation_accuracy=(logits.argmax(dim=1) == labels).double().mean().item(),
            seconds=time.perf_counter() - start,
        )
        state.rows.append(row)
        if state.best_row is row:
            state.best = {k: v.detach().clone() for k, v in network.state_dict().items()}
        save_checkpoint(folder, state=state, network=network, optimiser=optimiser)
        _write_log(folder, state)
        _LOGGER.info(
            "epoch %d of at most %d: training loss %.4f, validation loss %.4f (best %.4f in epoch "
            "%d), validation accuracy %.3f, %.0f s",
            epoch,
            config.max_epochs,
            row.train_loss,
            row.validation_loss,
            state.best_row.validation_loss,
            state.best_row.epoch,
            row.validation_accuracy,
            row.seconds,
        )
    network.load_state_dict(state.best)
    return state


def _ended(state: RunState, config: FitConfig) -> bool:
    if len(state.rows) >= config.max_epochs:
        return True
    return bool(state.rows) and len(state.rows) - state.best_row.epoch >= config.patience


def _write_log(folder: Path, state: RunState) -> None:
    lines = "".join(json.dumps(asdict(row)) + "\n" for row in state.rows)
    (folder / LOG_NAME).write_text(lines)
