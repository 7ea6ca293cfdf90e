"""One image in the style of another of its batch, and blends of two images with their labels."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseal.classification.augment.config import AugmentConfig
from medseal.classification.augment.draws import (
    change_chosen,
    draw_chosen,
    draw_partners,
    per_image,
)
from medseal.classification.augment.intensity import look_up

__all__ = ["cutmix", "fourier_mix", "histogram_match", "mix_labels", "mixup"]

_LEVELS = 256
# Darker is background: its extent must not decide how tissue is mapped.
_BACKGROUND = 4


def fourier_mix(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with a part of the amplitudes of another image, and their own phases.

    Parameters
    ----------
    images
        float32, (B, channels, H, W), values in [0, 1]; here and in the whole file.
    probability
        Of each image to be changed.
    strength
        Largest part that comes from the other, in [0, 1].
    generator
        Source of the draws.

    Returns
    -------
    Tensor
        Same shape, values in [0, 1].

    References
    ----------
    Xu et al. 2021, A Fourier-based framework for domain generalization, arXiv 2105.11120.
    """
    chosen = draw_chosen(len(images), probability, generator)
    if len(chosen) == 0:
        return images
    partners = draw_partners(len(images), chosen, generator)
    part = per_image(generator.uniform(0, strength, len(chosen)).astype(np.float32))
    own = torch.fft.rfft2(images[torch.from_numpy(chosen)])
    other = torch.fft.rfft2(images[torch.from_numpy(partners)]).abs()
    amplitude = own.abs()
    # The phase is kept by scaling the complex numbers; zero has no phase and stays.
    mixed = own * (1 + part * (other / amplitude.clamp_min(1e-6) - 1))
    after = torch.fft.irfft2(mixed, s=list(images.shape[2:]))
    return change_chosen(images, chosen, after)


def histogram_match(
    images: Tensor, *, probability: float, strength: float, generator: np.random.Generator
) -> Tensor:
    """Return the images with their histogram moved towards that of another image.

    Arguments as `fourier_mix`; `strength` is the largest part of the way, in [0, 1]. Values up to
    4 of 255 are background: they neither count nor change.
    """
    chosen = draw_chosen(len(images), probability, generator)
    partners = draw_partners(len(images), chosen, generator)
    parts = generator.uniform(0, strength, len(chosen))
    result = images.clone()
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    for index, partner, part in zip(chosen, partners, parts, strict=True):
        for channel in range(images.shape[1]):
            values = images[index, channel].numpy()
            table = _matching_table(values, images[partner, channel].numpy())
            matched = look_up(values, levels + part * (table - levels))
            result[index, channel] = torch.from_numpy(matched)
    return result.clamp(0, 1)


def _matching_table(
    values: NDArray[np.float32], target: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return what each of 256 levels of `values` becomes, in [0, 1]."""
    levels = np.arange(_LEVELS) / (_LEVELS - 1)
    shares = []
    for each in (values, target):
        counts = np.bincount((each * (_LEVELS - 1)).astype(np.intp).ravel(), minlength=_LEVELS)
        counts[: _BACKGROUND + 1] = 0
        if counts.sum() == 0:
            return levels
        # Half a count before and half after: an image is its own partner without a shift.
        shares.append((np.cumsum(counts) - counts / 2) / counts.sum())
    present = np.flatnonzero(np.diff(shares[1], prepend=-1) > 0)
    table = np.interp(shares[0], shares[1][present], levels[present])
    table[: _BACKGROUND + 1] = levels[: _BACKGROUND + 1]
    return np.asarray(table)


def mixup(
    images: Tensor, targets: Tensor, *, alpha: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return a blend of each image with another and the same blend of their targets.

    Parameters
    ----------
    images
        float32, (B, channels, H, W).
    targets
        float32, (B, classes), the share of each class.
    alpha
        Of the Beta(alpha, alpha) distribution of the shares; one draw an image.
    generator
        Source of the draws.

    References
    ----------
    Zhang et al. 2018, arXiv 1710.09412.
    """
    everyone = np.arange(len(images))
    partners = torch.from_numpy(draw_partners(len(images), everyone, generator))
    share = torch.from_numpy(generator.beta(alpha, alpha, len(images)).astype(np.float32))
    weight = share[:, None, None, None]
    blended = weight * images + (1 - weight) * images[partners]
    return blended, share[:, None] * targets + (1 - share[:, None]) * targets[partners]


def cutmix(
    images: Tensor, targets: Tensor, *, alpha: float, generator: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Return each image with a rectangle of another, targets weighted by area.

    Arguments as `mixup`; the share is the area kept.

    References
    ----------
    Yun et al. 2019, arXiv 1905.04899.
    """
    count, _, rows, columns = images.shape
    partners = draw_partners(count, np.arange(count), generator)
    sides = np.sqrt(1 - generator.beta(alpha, alpha, count))
    result, share = images.clone(), torch.ones(count)
    for index, (partner, side) in enumerate(zip(partners, sides, strict=True)):
        height, width = round(rows * side), round(columns * side)
        top = int(generator.integers(rows - height + 1))
        left = int(generator.integers(columns - width + 1))
        window = (slice(None), slice(top, top + height), slice(left, left + width))
        result[index][window] = images[partner][window]
        share[index] = 1 - height * width / (rows * columns)
    kept = share[:, None]
    return result, kept * targets + (1 - kept) * targets[torch.from_numpy(partners)]


def mix_labels(
    images: Tensor,
    targets: Tensor,
    *,
    config: AugmentConfig,
    generator: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Return a batch and its targets after at most one of `mixup` and `cutmix`.

    Parameters
    ----------
    images
        float32, (B, channels, H, W).
    targets
        float32, (B, classes), the share of each class; what cross-entropy takes.
    config
        `mixup` and `cutmix` are (probability of the batch, alpha).
    generator
        Source of the draws; untouched when both are off.
    """
    if not (config.mixup[0] or config.cutmix[0]):
        return images, targets
    draw = generator.random()
    if draw < config.mixup[0]:
        return mixup(images, targets, alpha=config.mixup[1], generator=generator)
    if draw < config.mixup[0] + config.cutmix[0]:
        return cutmix(images, targets, alpha=config.cutmix[1], generator=generator)
    return images, targets
