"""Pre-training without labels: two views of an image shall look alike to the network (SimSiam)."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from medseal.classification.augment import AugmentConfig, augment
from medseal.classification.checkpoint import (
    EpochRow,
    RunState,
    load_checkpoint,
    save_checkpoint,
    write_log,
)
from medseal.classification.examples import Examples
from medseal.classification.fit import (
    FitConfig,
    channels_last,
    has_ended,
    learner_for,
    set_epoch_rate,
    to_batch,
)
from medseal.classification.learner import Learner, update_average
from medseal.classification.networks import Network
from medseal.classification.sampling import epoch_order
from medseal.errors import ConfigurationError

__all__ = ["PretrainConfig", "SimSiam", "pretrain"]

_LOGGER = logging.getLogger("medseal.train")
_EVALUATION_BATCH = 32
# Of the predictor's inner layer, as in the paper.
_NARROWING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainConfig:
    """What a network is pre-trained on.

    Attributes
    ----------
    datasets
        Names of data sets whose training parts are pooled; empty for ordinary training.
    projection
        Size of the vectors that are compared; a multiple of 4.

    Raises
    ------
    ConfigurationError
        A name stands twice, or the size is out of range.
    """

    datasets: tuple[str, ...] = ()
    projection: int = 512

    def __post_init__(self) -> None:
        if len(set(self.datasets)) != len(self.datasets):
            raise ConfigurationError("[pretrain] datasets stand once each")
        if self.projection < _NARROWING or self.projection % _NARROWING:
            raise ConfigurationError("[pretrain] projection must be a multiple of 4")


class SimSiam(Network):
    """A network without its head, a projector and a predictor.

    Parameters
    ----------
    encoder
        The network that is pre-trained.
    projection
        Size of the vectors.

    References
    ----------
    Chen and He 2021, arXiv 2011.10566: no negative pairs, so small batches do.
    """

    def __init__(self, encoder: Network, *, projection: int) -> None:
        super().__init__(encoder.config)
        self.encoder = encoder
        config = encoder.config
        with torch.inference_mode():
            blank = torch.zeros(1, config.channels, config.rows, config.columns)
            filters = encoder.eval().features(blank).shape[1]
        self.projector = nn.Sequential(
            nn.Linear(filters, projection, bias=False),
            nn.BatchNorm1d(projection),
            nn.ReLU(),
            nn.Linear(projection, projection, bias=False),
            nn.BatchNorm1d(projection, affine=False),
        )
        self.predictor = nn.Sequential(
            nn.Linear(projection, projection // _NARROWING, bias=False),
            nn.BatchNorm1d(projection // _NARROWING),
            nn.ReLU(),
            nn.Linear(projection // _NARROWING, projection),
        )
        self.finish()

    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """Return the stages of the network that is pre-trained."""
        return self.encoder.stages()

    def features(self, images: Tensor) -> Tensor:
        """Return the maps of the network that is pre-trained."""
        return self.encoder.features(images)

    def head(self, maps: Tensor) -> Tensor:
        """Return the vectors that are compared, (B, projection)."""
        vectors: Tensor = self.projector(maps.float().mean(dim=(2, 3)))
        return vectors


def _loss(model: SimSiam, first: Tensor, second: Tensor) -> Tensor:
    """Return the mean negative cosine between one view's prediction and the other's vector.

    Parameters
    ----------
    model
        Its predictor is applied here.
    first, second
        Vectors of two views of the same images, (B, projection).
    """
    pairs = ((model.predictor(first), second), (model.predictor(second), first))
    parts = [-functional.cosine_similarity(guess, true.detach()) for guess, true in pairs]
    return torch.stack(parts).mean()


def _views(
    images: NDArray[np.uint8], *, config: AugmentConfig, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    batch = to_batch(images)
    first, second = (augment(batch, config=config, generator=generator) for _ in range(2))
    return channels_last(first), channels_last(second)


def _train_epoch(
    learner: Learner,
    model: SimSiam,
    train: Examples,
    *,
    config: FitConfig,
    augmentation: AugmentConfig,
    epoch: int,
) -> float:
    """Go through the training images once; return the mean loss."""
    device = next(model.parameters()).device
    model.train()
    generator = np.random.default_rng([config.seed, epoch])
    order = epoch_order(
        train.labels,
        train.sources,
        balance=config.balance,  # type: ignore[arg-type]  # checked by FitConfig
        count=config.images_per_epoch,
        generator=generator,
    )
    # Batch statistics need more than one image.
    starts = [s for s in range(0, len(order), config.batch_size) if s + 1 < len(order)]
    total = 0.0
    for number, start in enumerate(starts):
        chosen = order[start : start + config.batch_size]
        views = _views(train.images[chosen], config=augmentation, generator=generator)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.bfloat16):
            maps = [model.features(view.to(device)) for view in views]
        loss = _loss(model, *(model.head(part) for part in maps))
        learner.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
        step = (epoch - 1) * len(starts) + number
        set_epoch_rate(learner.optimiser, config, step=step, steps_an_epoch=len(starts))
        learner.optimiser.step()
        if learner.average is not None:
            update_average(learner.average, model, decay=config.ema_decay, step=step)
        total += loss.item() * len(chosen)
    return total / len(order)


def _validate(
    model: SimSiam, validation: Examples, *, augmentation: AugmentConfig, seed: int
) -> tuple[float, float]:
    """Return the loss, and the share of images whose second view is nearest to their first.

    A network that has collapsed, to which all images look alike, has the share of chance.
    """
    model.eval()
    device = next(model.parameters()).device
    generator = np.random.default_rng([seed, 0])
    vectors: list[tuple[Tensor, Tensor]] = []
    with torch.inference_mode():
        for start in range(0, len(validation.labels), _EVALUATION_BATCH):
            images = validation.images[start : start + _EVALUATION_BATCH]
            first, second = _views(images, config=augmentation, generator=generator)
            vectors.append((model(first.to(device)), model(second.to(device))))
        first, second = (torch.cat(parts) for parts in zip(*vectors, strict=True))
        loss = _loss(model, first, second).item()
        nearest = (functional.normalize(first) @ functional.normalize(second).T).argmax(dim=1)
    found = nearest.cpu() == torch.arange(len(nearest))
    return loss, float(found.double().mean())


def pretrain(  # noqa: PLR0913  # the seven parts of a run
    train: Examples,
    validation: Examples,
    *,
    network: Network,
    settings: PretrainConfig,
    config: FitConfig,
    augmentation: AugmentConfig,
    folder: Path,
    run_digest: str,
) -> RunState:
    """Pre-train until the validation loss has not fallen for `patience` epochs.

    Stopping, going on and the files in `folder` are those of `medseal.classification.fit.fit`;
    the accuracy in the log is the share of validation images whose two views find each other.

    Parameters
    ----------
    train, validation
        Never from the same group; labels and sources count for the balance alone.
    network
        With its first weights; changed in place, its head stays as it is.
    settings, config, augmentation
        Settings; the augmentation makes the views.
    folder, run_digest
        As of `fit`.

    Returns
    -------
    RunState
        All rows, and the best tensors of the network.

    Raises
    ------
    ConfigurationError
        The folder holds a checkpoint of other settings or data.
    """
    torch.set_num_threads(config.threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = SimSiam(network, projection=settings.projection)
    model.to("cuda" if torch.cuda.is_available() else "cpu")
    learner = learner_for(model, config)
    state = load_checkpoint(folder, run_digest=run_digest, learner=learner)
    write_log(folder, state)
    while not has_ended(state, config):
        epoch, start = len(state.rows) + 1, time.perf_counter()
        train_loss = _train_epoch(
            learner, model, train, config=config, augmentation=augmentation, epoch=epoch
        )
        shipped = cast(SimSiam, learner.shipped)  # the model, or the average of its weights
        loss, found = _validate(shipped, validation, augmentation=augmentation, seed=config.seed)
        row = EpochRow(
            epoch=epoch,
            train_loss=train_loss,
            validation_loss=loss,
            validation_accuracy=found,
            criterion=loss if config.select_by != "last" else float(-epoch),
            seconds=time.perf_counter() - start,
        )
        state.rows.append(row)
        if state.best_row is row:
            state.best = {k: v.cpu().clone() for k, v in shipped.encoder.state_dict().items()}
        save_checkpoint(folder, state=state, learner=learner)
        write_log(folder, state)
        _LOGGER.info(
            "epoch %d of at most %d: loss %.4f, validation loss %.4f, two views found each other "
            "in %.3f of the validation images, %.0f s",
            epoch,
            config.max_epochs,
            train_loss,
            loss,
            found,
            row.seconds,
        )
    network.load_state_dict(state.best)
    network.to("cpu")
    return state
