"""Train encoder and decoder together on images: the loop written out.

A baseline for measuring; no security claim rests on a learned method.
"""

import logging
import math

import numpy as np
import torch
from numpy.typing import NDArray

from medseal.errors import InputError
from medseal.protection.encryption.baselines.learned.losses import pair_loss
from medseal.protection.encryption.baselines.learned.networks import LearnedConfig, Pair, build

__all__ = ["as_tensor", "train_pair"]

_LOGGER = logging.getLogger("medseal.train")
_LOG_STEPS = 100
_LAST_SHARE = 0.03
_FOLD = 2
# Shares of the steps: restoration alone at first, then noise counts more and more.
_ALONE, _WHOLE = 0.2, 0.7


def as_tensor(images: NDArray[np.uint8]) -> torch.Tensor:
    """Return (n, rows, columns) of uint8 as (n, 1, rows, columns) in [0, 1]."""
    return torch.from_numpy(images.astype(np.float32) / 255)[:, None]


def train_pair(images: NDArray[np.uint8], config: LearnedConfig) -> Pair:
    """Return a trained pair.

    Parameters
    ----------
    images
        Training images, (n, rows, columns), uint8, even sides.
    config
        Same configuration and images, same weights on one machine.

    Raises
    ------
    InputError
        No images, or odd sides.
    """
    if images.ndim != 3 or not len(images) or any(side % _FOLD for side in images.shape[1:]):  # noqa: PLR2004  axes
        raise InputError("training takes (images, rows, columns) of even sides")
    pair = build(config)
    rng = np.random.default_rng(config.seed)
    optimiser = torch.optim.Adam(pair.parameters(), lr=config.learning_rate)
    pair.train()
    for step in range(config.steps):
        cosine = (1 + math.cos(math.pi * step / config.steps)) / 2
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * (_LAST_SHARE + (1 - _LAST_SHARE) * cosine)
        chosen = rng.integers(0, len(images), config.batch_size)
        batch = as_tensor(images[chosen])
        if rng.random() < 1 / 2:
            batch = batch.flip(-1)
        cipher = pair.hidden(batch)
        counted = min(max((step / config.steps - _ALONE) / (_WHOLE - _ALONE), 0.0), 1.0)
        loss = pair_loss(
            batch, cipher, pair.restored(cipher), noise_weight=counted * config.noise_weight
        )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if (step + 1) % _LOG_STEPS == 0:
            _LOGGER.info("step %d: loss %.5f", step + 1, float(loss.detach()))
    return pair.eval()
