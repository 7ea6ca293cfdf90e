"""The training loop of the networks, written out: resumable, same seed same result."""

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medseal.classification.augment import AugmentConfig, augment_labelled
from medseal.classification.checkpoint import (
    LOG_NAME,
    EpochRow,
    RunState,
    load_checkpoint,
    save_checkpoint,
    write_log,
)
from medseal.classification.examples import Examples
from medseal.classification.learner import (
    Learner,
    Schedule,
    average_of,
    make_optimiser,
    rate_factor,
    set_rates,
    update_average,
)
from medseal.classification.networks import Network
from medseal.classification.places import place_loss
from medseal.classification.sampling import Balance, balanced_weights, epoch_order, label_weights
from medseal.errors import ConfigurationError

__all__ = [
    "LOG_NAME",
    "FitConfig",
    "Learner",
    "channels_last",
    "fit",
    "has_ended",
    "learner_for",
    "logits_of",
    "set_epoch_rate",
    "to_batch",
    "train_epoch",
]

SelectBy = Literal["loss", "balanced-loss", "balanced-accuracy", "last"]
_LOGGER = logging.getLogger("medseal.train")
# Images at a time when only logits are wanted; small batches are the fastest on a CPU.
_EVALUATION_BATCH = 8
_GREY_NDIM = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class FitConfig:
    """Settings of the loop; the defaults are those of paper 1.

    Attributes
    ----------
    seed
        Of the first weights, the order, the augmentation and the dropout.
    learning_rate, batch_size
        Of Adam.
    max_epochs
        Upper limit.
    patience
        Epochs without a better validation figure after which the run ends.
    threads
        Of torch; part of the settings because sums depend on it in the last bit.
    bfloat16
        Whether the forward pass of training runs in bfloat16 (autocast).
    head_learning_rate
        Of the layers after the stages; 0 takes `learning_rate`.
    layer_decay
        Factor on the rate from a stage to the one before it, in (0, 1].
    weight_decay
        Decoupled, of filters and dense weights.
    schedule, warmup_epochs
        ``constant``, or ``cosine`` down to 0 at `max_epochs`; linear growth before.
    label_smoothing
        Share of the target that is spread over all classes, in [0, 1).
    balance
        ``none``, ``label``, ``label-source`` or ``label-group``: see
        `medseal.classification.sampling`. With one of them, labels that drawn lesions have
        changed get equal weights in each batch too.
    images_per_epoch
        0 takes as many as there are.
    ema_decay
        Of the moving average of the weights, which is then what is validated and shipped; 0: none.
    place_weight
        Of `medseal.classification.places.place_loss`: that drawn lesions are found where they
        lie; needs `peaks` of the network and `lesion` of the augmentation.
    select_by
        Validation figure by which the best epoch is kept: ``loss``, ``balanced-loss`` or
        ``balanced-accuracy``, both with each class and source of equal weight. ``last`` keeps the
        last one: right where the validation images cannot show what is wanted.

    Raises
    ------
    ConfigurationError
        A value is out of range.
    """

    seed: int = 1
    learning_rate: float = 0.001
    batch_size: int = 32
    max_epochs: int = 50
    patience: int = 10
    threads: int = 2
    bfloat16: bool = True
    head_learning_rate: float = 0.0
    layer_decay: float = 1.0
    weight_decay: float = 0.0
    schedule: str = "constant"
    warmup_epochs: float = 0.0
    label_smoothing: float = 0.0
    balance: str = "none"
    images_per_epoch: int = 0
    ema_decay: float = 0.0
    select_by: str = "loss"
    place_weight: float = 0.0

    def __post_init__(self) -> None:
        counts = (self.batch_size, self.max_epochs, self.patience, self.threads)
        if min(counts) < 1 or self.learning_rate <= 0 or self.seed < 0:
            raise ConfigurationError("the settings in [train] must be positive")
        further = (
            self.head_learning_rate,
            self.weight_decay,
            self.warmup_epochs,
            self.place_weight,
        )
        if min(further) < 0 or self.images_per_epoch < 0 or not 0 < self.layer_decay <= 1:
            raise ConfigurationError("rates in [train] start at 0, layer_decay lies in (0, 1]")
        if not (0 <= self.label_smoothing < 1 and 0 <= self.ema_decay < 1):
            raise ConfigurationError("label_smoothing and ema_decay must lie in [0, 1)")
        for name, kind in (("schedule", Schedule), ("balance", Balance), ("select_by", SelectBy)):
            if getattr(self, name) not in get_args(kind):
                raise ConfigurationError(f"{name} must be one of {', '.join(get_args(kind))}")


def learner_for(network: Network, config: FitConfig) -> Learner:
    """Return the network with its optimiser and, if wanted, its average."""
    optimiser = make_optimiser(
        network,
        learning_rate=config.learning_rate,
        head_learning_rate=config.head_learning_rate,
        layer_decay=config.layer_decay,
        weight_decay=config.weight_decay,
    )
    average = average_of(network) if config.ema_decay else None
    return Learner(network=network, optimiser=optimiser, average=average)


def to_batch(images: NDArray[np.uint8]) -> Tensor:
    """Return standardised images as network input.

    Parameters
    ----------
    images
        uint8, (n, rows, columns) or (n, rows, columns, 3).

    Returns
    -------
    Tensor
        float32 in [0, 1], (n, 1 or 3, rows, columns); equal to `preprocess` to the last bit.
    """
    batch = torch.tensor(images, dtype=torch.float32).div_(255)
    return batch.unsqueeze(1) if batch.ndim == _GREY_NDIM else batch.permute(0, 3, 1, 2)


def channels_last(images: Tensor) -> Tensor:
    """Return the batch with the channels of a place side by side, (B, channels, H, W).

    One channel lies so in either order, but torch takes the usual strides of such a batch for the
    other order, and all maps of the first layers with it: half the speed of training on a CPU.
    """
    if images.shape[1] == 1:
        return images.squeeze(1).unsqueeze(3).permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)


def _device_of(network: nn.Module) -> torch.device:
    return next(network.parameters()).device


def logits_of(network: nn.Module, images: NDArray[np.uint8]) -> Tensor:
    """Return the logits of standardised images in evaluation mode, in float32.

    Parameters
    ----------
    network
        Left in evaluation mode.
    images
        uint8, (n, rows, columns) or (n, rows, columns, 3).

    Returns
    -------
    Tensor
        float32, (n, classes), on the CPU.
    """
    network.eval()
    device = _device_of(network)
    with torch.inference_mode():
        parts = [
            network(
                channels_last(to_batch(images[start : start + _EVALUATION_BATCH])).to(device)
            ).cpu()
            for start in range(0, len(images), _EVALUATION_BATCH)
        ]
    return torch.cat(parts)


def train_epoch(
    learner: Learner,
    train: Examples,
    *,
    config: FitConfig,
    augmentation: AugmentConfig,
    epoch: int,
) -> float:
    """Go through the training images once; return the mean loss.

    All randomness comes from seed and epoch, so a resumed run equals an uninterrupted one.
    """
    network, device = learner.network, _device_of(learner.network)
    network.train()
    generator = np.random.default_rng([config.seed, epoch])
    order = epoch_order(
        train.labels,
        train.groups if config.balance == "label-group" else train.sources,
        balance=config.balance,  # type: ignore[arg-type]  # checked by FitConfig
        count=config.images_per_epoch,
        generator=generator,
    )
    classes = network.config.classes
    steps = -(-len(order) // config.batch_size)
    total = 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**63)))  # of the dropout
        for start in range(0, len(order), config.batch_size):
            step = (epoch - 1) * steps + start // config.batch_size
            chosen = order[start : start + config.batch_size]
            targets = functional.one_hot(torch.from_numpy(train.labels[chosen]), classes).float()
            images, targets, masks = augment_labelled(
                to_batch(train.images[chosen]), targets, config=augmentation, generator=generator
            )
            with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
                maps = network.features(channels_last(images).to(device))
                logits = network.head(maps)
            losses = functional.cross_entropy(
                logits.float(),
                targets.to(device),
                reduction="none",
                label_smoothing=config.label_smoothing,
            )
            if masks is not None and config.balance != "none":
                losses = losses * label_weights(targets).to(device)  # drawn lesions shift labels
            loss = losses.mean()
            if masks is not None and config.place_weight:
                places = network.local_logits(maps.float())
                loss = loss + config.place_weight * place_loss(places, masks.to(device))
            learner.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
            set_epoch_rate(learner.optimiser, config, step=step, steps_an_epoch=steps)
            learner.optimiser.step()
            if learner.average is not None:
                update_average(learner.average, network, decay=config.ema_decay, step=step)
            total += loss.item() * len(chosen)
    return total / len(order)


def set_epoch_rate(
    optimiser: torch.optim.Optimizer, config: FitConfig, *, step: int, steps_an_epoch: int
) -> None:
    """Set the rates for a step, counted from the start of the run."""
    factor = rate_factor(
        step,
        steps=config.max_epochs * steps_an_epoch,
        warmup=round(config.warmup_epochs * steps_an_epoch),
        schedule=config.schedule,  # type: ignore[arg-type]  # checked by FitConfig
    )
    set_rates(optimiser, factor)


def fit(  # noqa: PLR0913  # the six parts of a run
    train: Examples,
    validation: Examples,
    *,
    network: Network,
    config: FitConfig,
    augmentation: AugmentConfig,
    folder: Path,
    run_digest: str,
) -> RunState:
    """Train until the validation figure has not improved for `patience` epochs.

    A run that was stopped goes on after its last whole epoch; one that had ended is returned as
    it is. Afterwards the network holds the weights of the best epoch.

    Parameters
    ----------
    train, validation
        Never from the same group.
    network
        With its first weights; changed in place. Trained on the GPU where torch finds one.
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
        The folder holds a checkpoint of other settings or data, or the places of lesions shall be
        found where none are drawn.
    """
    if config.place_weight and not (augmentation.lesion or any(augmentation.retinopathy)):
        raise ConfigurationError("place_weight in [train] needs lesion in [augment]")
    torch.set_num_threads(config.threads)
    network.to("cuda" if torch.cuda.is_available() else "cpu")
    learner = learner_for(network, config)
    state = load_checkpoint(folder, run_digest=run_digest, learner=learner)
    write_log(folder, state)
    while not has_ended(state, config):
        epoch, start = len(state.rows) + 1, time.perf_counter()
        train_loss = train_epoch(
            learner, train, config=config, augmentation=augmentation, epoch=epoch
        )
        loss, accuracy, criterion = _validate(learner.shipped, validation, config.select_by)
        if config.select_by == "last":
            criterion = float(-epoch)
        row = EpochRow(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=loss,
            validation_accuracy=accuracy,
            criterion=criterion,
            seconds=time.perf_counter() - start,
        )
        state.rows.append(row)
        if state.best_row is row:
            state.best = {k: v.cpu().clone() for k, v in learner.shipped.state_dict().items()}
        save_checkpoint(folder, state=state, learner=learner)
        write_log(folder, state)
        _say(state, config)
    network.load_state_dict(state.best)
    network.to("cpu")
    return state


def _validate(network: Network, validation: Examples, select_by: str) -> tuple[float, float, float]:
    """Return loss, accuracy, and the figure that selects, of which less is better."""
    logits, labels = logits_of(network, validation.images), torch.tensor(validation.labels)
    losses = functional.cross_entropy(logits, labels, reduction="none").double()
    right = (logits.argmax(dim=1) == labels).double()
    weights = torch.from_numpy(balanced_weights(validation.labels, validation.sources))
    loss, accuracy = losses.mean().item(), right.mean().item()
    if select_by == "loss":
        return loss, accuracy, loss
    if select_by == "balanced-loss":
        return loss, accuracy, (losses * weights).mean().item()
    return loss, accuracy, 1 - (right * weights).mean().item()


def _say(state: RunState, config: FitConfig) -> None:
    row = state.rows[-1]
    _LOGGER.info(
        "epoch %d of at most %d: training loss %.4f, validation loss %.4f (best %.4f in epoch "
        "%d), validation accuracy %.3f, %.0f s",
        row.epoch,
        config.max_epochs,
        row.train_loss,
        row.validation_loss,
        state.best_row.validation_loss,
        state.best_row.epoch,
        row.validation_accuracy,
        row.seconds,
    )


def has_ended(state: RunState, config: FitConfig) -> bool:
    """Return whether no epoch is left, or none was better for `patience` epochs."""
    if len(state.rows) >= config.max_epochs:
        return True
    return bool(state.rows) and len(state.rows) - state.best_row.epoch >= config.patience
