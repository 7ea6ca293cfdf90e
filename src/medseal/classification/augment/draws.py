"""Which images of a batch are changed and how far, drawn from one generator."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = [
    "change_chosen",
    "draw_chosen",
    "draw_factors",
    "draw_partners",
    "each_image",
    "per_image",
]

Picture = NDArray[np.float32]


def draw_chosen(count: int, probability: float, generator: np.random.Generator) -> NDArray[np.intp]:
    """Return the sorted numbers of the images that are changed, each with `probability`."""
    return np.flatnonzero(generator.random(count) < probability)


def draw_factors(
    shape: int | tuple[int, ...], strength: float, generator: np.random.Generator
) -> NDArray[np.float32]:
    """Return factors from exp(-strength) to exp(strength), as often above 1 as below."""
    return np.exp(generator.uniform(-strength, strength, shape)).astype(np.float32)


def draw_partners(
    count: int, chosen: NDArray[np.intp], generator: np.random.Generator
) -> NDArray[np.intp]:
    """Return for each chosen image another image of the batch; itself in a batch of one."""
    steps = generator.integers(1, count, len(chosen)) if count > 1 else np.zeros(len(chosen), int)
    return np.asarray((chosen + steps) % count, dtype=np.intp)


def per_image(values: NDArray[np.float32]) -> Tensor:
    """Return (n,) or (n, channels) as a tensor that multiplies (n, channels, H, W)."""
    tensor = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    channels = values.shape[1] if values.ndim > 1 else 1
    return tensor.reshape(len(values), channels, 1, 1)


def change_chosen(images: Tensor, chosen: NDArray[np.intp], changed: Tensor) -> Tensor:
    """Return a copy of `images` in which `changed`, clipped to [0, 1], replaces the chosen."""
    result = images.clone()
    result[torch.from_numpy(chosen)] = changed.clamp(0, 1)
    return result


def each_image(
    images: Tensor,
    *,
    probability: float,
    generator: np.random.Generator,
    change: Callable[[Picture], Picture],
) -> Tensor:
    """Return the images after `change`, one call an image, where chance says so.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), on the CPU.
    probability
        Of each image to be changed.
    generator
        Source of the choice; `change` may draw from it too.
    change
        Takes and returns float32, (H, W) or (H, W, channels).

    Returns
    -------
    Tensor
        Same shape, changed images clipped to [0, 1].
    """
    chosen = draw_chosen(len(images), probability, generator)
    if len(chosen) == 0:
        return images
    result = images.clone()
    for index in chosen:
        picture = images[index].permute(1, 2, 0).numpy()  # (H, W, channels)
        picture = picture[:, :, 0] if picture.shape[2] == 1 else picture
        changed = change(np.ascontiguousarray(picture)).reshape(
            images.shape[2], images.shape[3], -1
        )
        result[index] = torch.from_numpy(changed).permute(2, 0, 1).clamp(0, 1)
    return result
