"""The training loop of generator and discriminator: resumable, same seed same result."""

import copy
import json
import logging
import time
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseal.classification.examples import Examples
from medseal.classification.gan.checkpoint import (
    GanState,
    StepRow,
    load_checkpoint,
    save_checkpoint,
)
from medseal.classification.gan.config import GanConfig, check_side
from medseal.classification.gan.losses import change_both, discriminator_loss, generator_loss
from medseal.classification.gan.networks import Generator, build_networks

__all__ = ["LOG_NAME", "fit_gan", "to_signed"]

LOG_NAME = "log.jsonl"
_LOGGER = logging.getLogger("medseal.train")
# Adam as in Brock et al. 2019, arXiv 1809.11096: no momentum.
_BETAS = (0.0, 0.99)
# The average follows faster at first: after t steps over about t / 9 of them.
_LATER = 9
_GREY_NDIM = 3
_COIN = 0.5
# What a step returns, by name.
_MEANS = ("discriminator_loss", "generator_loss", "real_score", "generated_score")

Scores = list[tuple[float, float, float, float]]


def to_signed(images: NDArray[np.uint8]) -> Tensor:
    """Return standardised images, (n, H, W) or (n, H, W, 3), as (n, channels, H, W) in [-1, 1]."""
    batch = torch.tensor(images, dtype=torch.float32).div_(127.5).sub_(1)
    return batch.unsqueeze(1) if batch.ndim == _GREY_NDIM else batch.permute(0, 3, 1, 2)


def fit_gan(
    train: Examples,
    *,
    classes: int,
    config: GanConfig,
    folder: Path,
    run_digest: str,
) -> Generator:
    """Train both networks and return the averaged generator in evaluation mode.

    A run that was stopped goes on after its last checkpoint and ends as if it had not been; one
    that had ended is returned as it is.

    Parameters
    ----------
    train
        Standardised images of 32x32 or 64x64.
    classes
        Number of classes; each has an image.
    config
        Settings.
    folder
        Exists; takes the checkpoint and `LOG_NAME` with one JSON object a checkpoint.
    run_digest
        Of everything that decides the result; a checkpoint of another run is refused.

    Raises
    ------
    ConfigurationError
        Images of another size, or a checkpoint of other settings or data.
    """
    rows, columns = train.images.shape[1:3]
    check_side(rows, columns)
    torch.set_num_threads(config.threads)
    state = _fresh(train, classes, config, run_digest)
    load_checkpoint(folder, state)
    weights = _draw_weights(train.labels, config)
    scores: Scores = []
    start = time.perf_counter()
    for step in range(state.step + 1, config.steps + 1):
        scores.append(_step(state, train, weights, config=config, step=step))
        if step % config.save_every == 0 or step == config.steps:
            means = np.mean(scores, axis=0).tolist()
            seconds = time.perf_counter() - start
            state.rows.append(
                StepRow(**dict(zip(_MEANS, means, strict=True)), step=step, seconds=seconds)
            )
            save_checkpoint(folder, state)
            lines = "".join(json.dumps(asdict(row)) + "\n" for row in state.rows)
            (folder / LOG_NAME).write_text(lines)
            _LOGGER.info(
                "step %d of %d: discriminator %.3f, generator %.3f, %.0f s",
                step,
                config.steps,
                means[0],
                means[1],
                seconds,
            )
            scores, start = [], time.perf_counter()
    return state.average


def _fresh(train: Examples, classes: int, config: GanConfig, run_digest: str) -> GanState:
    generator, discriminator = build_networks(
        side=train.images.shape[1],
        channels=train.channels,
        classes=classes,
        latent=config.latent,
        width=config.width,
        seed=config.seed,
    )
    average = copy.deepcopy(generator).requires_grad_(False).eval()
    return GanState(
        run_digest=run_digest,
        generator=generator,
        discriminator=discriminator,
        average=average,
        optimisers=(
            torch.optim.Adam(generator.parameters(), lr=config.generator_rate, betas=_BETAS),
            torch.optim.Adam(
                discriminator.parameters(), lr=config.discriminator_rate, betas=_BETAS
            ),
        ),
    )


def _draw_weights(labels: NDArray[np.int64], config: GanConfig) -> NDArray[np.float64]:
    """Return the probability of each image to be drawn."""
    counts = np.bincount(labels)
    weights = 1 / counts[labels] if config.balance else np.ones(len(labels))
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _step(
    state: GanState,
    train: Examples,
    weights: NDArray[np.float64],
    *,
    config: GanConfig,
    step: int,
) -> tuple[float, float, float, float]:
    """Train the discriminator once and the generator once; return losses and scores.

    All randomness comes from seed and step, so a resumed run equals an uninterrupted one.
    """
    drawn = np.random.default_rng([config.seed, step])
    count = config.batch_size

    def changed(images: Tensor) -> Tensor:
        return change_both(images, drawn) if config.differentiable_augmentation else images

    def noise() -> Tensor:
        return torch.from_numpy(drawn.standard_normal((count, config.latent), dtype=np.float32))

    # 1. The discriminator tells real from generated images of the same classes.
    chosen = drawn.choice(len(weights), count, p=weights)
    labels = torch.from_numpy(train.labels[chosen])
    real = to_signed(train.images[chosen])
    mirrored = torch.from_numpy(drawn.random(count) < _COIN)[:, None, None, None]
    real = torch.where(mirrored, real.flip(3), real)
    with torch.no_grad(), _autocast(config):
        generated = state.generator(noise(), labels)
    both = torch.cat([changed(real), changed(generated.float())])
    with _autocast(config):
        scores = state.discriminator(both, labels.repeat(2))
    real_scores, generated_scores = scores.float().split(count)
    first = discriminator_loss(real_scores, generated_scores)
    _descend(state.optimisers[1], first)
    # 2. The generator makes images that pass for real; classes as they are drawn above.
    state.discriminator.requires_grad_(False)
    with _autocast(config):
        generated = state.generator(noise(), labels)
    changed_images = changed(generated.float())
    with _autocast(config):
        passed = state.discriminator(changed_images, labels)
    second = generator_loss(passed.float())
    _descend(state.optimisers[0], second)
    state.discriminator.requires_grad_(True)
    _follow(state.average, state.generator, decay=config.ema_decay, step=step)
    return (
        first.item(),
        second.item(),
        real_scores.mean().item(),
        generated_scores.mean().item(),
    )


def _autocast(config: GanConfig) -> torch.autocast:
    return torch.autocast("cpu", torch.bfloat16, enabled=config.bfloat16)


def _descend(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]  # torch has no types there
    optimiser.step()


@torch.no_grad()
def _follow(average: Generator, generator: Generator, *, decay: float, step: int) -> None:
    """Move the average towards the generator, batch statistics as well."""
    share = 1 - min(decay, step / (_LATER + step))
    targets = average.state_dict().values()
    for target, value in zip(targets, generator.state_dict().values(), strict=True):
        if target.is_floating_point():
            target.lerp_(value, share)
        else:
            target.copy_(value)
