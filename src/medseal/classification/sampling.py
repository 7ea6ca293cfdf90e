"""The order of the training images in an epoch: each once, or classes and sources in balance."""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Balance", "balanced_weights", "epoch_order", "label_weights"]

Balance = Literal["none", "label", "label-source", "label-group"]
Numbers = NDArray[np.int64]


def epoch_order(
    labels: Numbers,
    sources: Numbers,
    *,
    balance: Balance,
    count: int,
    generator: np.random.Generator,
) -> Numbers:
    """Return which image comes when.

    Parameters
    ----------
    labels, sources
        (n,), of the training images; with ``label-group`` the groups take the place of sources.
    balance
        ``none``: a permutation. ``label``: each class equally often in any stretch of the order.
        ``label-source``: besides, each source of a class as often as its other sources;
        ``label-group``: each group, so that many copies of one image count as one.
    count
        Images of the epoch; 0 takes n. Beyond n, or in balance, images come again.
    generator
        Source of the draws.

    Returns
    -------
    ndarray
        int64, (count,), places in `labels`.
    """
    count = count or len(labels)
    if balance == "none":
        rounds = -(-count // len(labels))
        return np.concatenate([generator.permutation(len(labels)) for _ in range(rounds)])[:count]
    streams = []
    for label in np.unique(labels):
        inside = np.flatnonzero(labels == label)
        if balance == "label":
            streams.append(_endless(inside, generator))
            continue
        cells = [inside[sources[inside] == source] for source in np.unique(sources[inside])]
        streams.append(_in_turn([_endless(cell, generator) for cell in cells], generator))
    order = _in_turn(streams, generator)
    return np.array([next(order) for _ in range(count)], dtype=np.int64)


def _endless(places: Numbers, generator: np.random.Generator) -> Iterator[int]:
    """Yield all places in a new order each time."""
    while True:
        yield from generator.permutation(places).tolist()


def _in_turn(streams: list[Iterator[int]], generator: np.random.Generator) -> Iterator[int]:
    """Yield one of each stream, the streams in a new order each time."""
    while True:
        for index in generator.permutation(len(streams)):
            yield next(streams[index])


def balanced_weights(labels: Numbers, sources: Numbers) -> NDArray[np.float64]:
    """Return weights that give each class the same sum, and so each source inside a class.

    Parameters
    ----------
    labels, sources
        (n,).

    Returns
    -------
    ndarray
        float64, (n,), mean 1.
    """
    weights = np.zeros(len(labels))
    for label in np.unique(labels):
        inside = labels == label
        present, counts = np.unique(sources[inside], return_counts=True)
        for source, count in zip(present, counts, strict=True):
            weights[inside & (sources == source)] = 1 / (len(present) * count)
    result: NDArray[np.float64] = weights * (len(labels) / weights.sum())
    return result


def label_weights(targets: Tensor) -> Tensor:
    """Return weights that give each label of a batch the same sum.

    Parameters
    ----------
    targets
        float32, (B, classes), the share of each class.

    Returns
    -------
    Tensor
        float32, (B,), mean 1.
    """
    totals = targets.sum(dim=0)
    inverse = torch.where(totals > 0, 1 / totals.clamp(min=1e-6), torch.zeros_like(totals))
    weights: Tensor = targets @ inverse
    return weights * (len(targets) / weights.sum())
