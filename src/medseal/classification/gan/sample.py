"""Generated images of a class, and a training set filled up with them."""

import numpy as np
import torch
from numpy.typing import NDArray

from medseal.classification.examples import Examples
from medseal.classification.gan.networks import Generator
from medseal.errors import InputError

__all__ = ["fill_up", "sample"]

# Images at a time; small batches are the fastest on a CPU.
_BATCH = 32


def sample(
    network: Generator,
    labels: NDArray[np.int64],
    *,
    generator: np.random.Generator,
    truncation: float = 1.0,
) -> NDArray[np.uint8]:
    """Return generated images.

    Parameters
    ----------
    network
        In evaluation mode, so an image does not depend on the others of its batch.
    labels
        int64, (n,), the class of each image.
    generator
        Source of the noise.
    truncation
        Factor on the noise: below 1 the images are more typical and less varied.

    Returns
    -------
    ndarray
        uint8, (n, side, side) or (n, side, side, 3), as standardised images are.
    """
    noise = truncation * generator.standard_normal((len(labels), network.latent))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(labels), _BATCH):
            images = network(
                torch.tensor(noise[start : start + _BATCH], dtype=torch.float32),
                torch.from_numpy(labels[start : start + _BATCH].copy()),
            )
            levels = ((images + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
            parts.append(levels.permute(0, 2, 3, 1).numpy())
    result: NDArray[np.uint8] = np.concatenate(parts)
    return result[:, :, :, 0] if result.shape[3] == 1 else result


def fill_up(
    train: Examples, network: Generator, *, generator: np.random.Generator, share: float = 1.0
) -> Examples:
    """Return the examples with generated images, so that smaller classes reach the largest.

    The given ones stand first; the source of generated images is one above the largest.

    Parameters
    ----------
    train
        Of the size that the network makes.
    network
        In evaluation mode.
    generator
        Source of the noise.
    share
        Part of the gap to the largest class that is filled, in [0, 1].

    Raises
    ------
    InputError
        The network makes images of another size or number of channels.
    """
    counts = np.bincount(train.labels)
    missing = np.floor((counts.max() - counts) * share).astype(np.int64)
    labels = np.repeat(np.arange(len(counts), dtype=np.int64), missing)
    if len(labels) == 0:
        return train
    made = sample(network, labels, generator=generator)
    if made.shape[1:] != train.images.shape[1:]:
        raise InputError(
            f"the generator makes images of {made.shape[1:]}, not {train.images.shape[1:]}"
        )
    source = np.full(len(labels), train.sources.max() + 1, dtype=np.int64)
    return Examples(
        images=np.concatenate([train.images, made]),
        labels=np.concatenate([train.labels, labels]),
        sources=np.concatenate([train.sources, source]),
    )
