"""Hinge loss of the two networks, and what the discriminator's images go through before."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["change_both", "discriminator_loss", "generator_loss"]

_BRIGHTNESS = 0.3
_SATURATION = 0.5
_CONTRAST = 0.3
_SHIFT = 1 / 8
_CUTOUT = 1 / 4


def discriminator_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Return the mean hinge loss of scores, (B,) each: real above 1, generated below -1.

    References
    ----------
    Lim and Ye 2017, arXiv 1705.02894.
    """
    return functional.relu(1 - real).mean() + functional.relu(1 + generated).mean()


def generator_loss(generated: Tensor) -> Tensor:
    """Return how little the generated images pass for real."""
    return -generated.mean()


def change_both(images: Tensor, generator: np.random.Generator) -> Tensor:
    """Return images changed in colour, place and by a cut-out, differentiably.

    Real and generated images go through changes of one distribution, so the discriminator cannot
    learn the training images by heart and the generator does not learn the changes.

    Parameters
    ----------
    images
        (B, channels, H, W), values in [-1, 1].
    generator
        Source of the draws, one an image.

    Returns
    -------
    Tensor
        Same shape; -1 (black) where there was no image, 0 in the cut-out.

    References
    ----------
    Zhao et al. 2020, Differentiable augmentation, arXiv 2006.10738.
    """
    count, _, rows, columns = images.shape

    def draw(low: float, high: float) -> Tensor:
        drawn = generator.uniform(low, high, count).astype(np.float32)
        return torch.from_numpy(drawn).reshape(count, 1, 1, 1)

    images = images + draw(-_BRIGHTNESS, _BRIGHTNESS)
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * draw(1 - _SATURATION, 1 + _SATURATION)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    images = mean + (images - mean) * draw(1 - _CONTRAST, 1 + _CONTRAST)
    y, x = _shifted(rows, count, generator), _shifted(columns, count, generator)
    padded = functional.pad(images, (1, 1, 1, 1), value=-1)
    each = torch.arange(count)[:, None, None]
    # One ring of black round the image: indices outside are clipped to it.
    images = padded[each, :, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)
    return images * _cutout_mask(count, rows, columns, generator)


def _shifted(size: int, count: int, generator: np.random.Generator) -> Tensor:
    limit = round(size * _SHIFT)
    shift = generator.integers(-limit, limit + 1, count)
    places = np.arange(size)[None] + shift[:, None] + 1
    return torch.from_numpy(np.clip(places, 0, size + 1))


def _cutout_mask(count: int, rows: int, columns: int, generator: np.random.Generator) -> Tensor:
    height, width = round(rows * _CUTOUT), round(columns * _CUTOUT)
    top = generator.integers(0, rows - height + 1, (count, 1))
    left = generator.integers(0, columns - width + 1, (count, 1))
    y, x = np.arange(rows)[None], np.arange(columns)[None]
    in_rows = (y >= top) & (y < top + height)
    in_columns = (x >= left) & (x < left + width)
    kept = ~(in_rows[:, :, None] & in_columns[:, None, :])
    return torch.from_numpy(kept.astype(np.float32))[:, None]
