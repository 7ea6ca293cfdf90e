"""What training minimises: bits that are not heard; and the limits a residual is held to."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from medseal.protection.watermark.pattern import TILE, Pattern
from medseal.protection.watermark.payload import CODED_BITS

__all__ = ["bit_loss", "heard_bits", "within_limits"]

_FULL_LEVEL = 255.0
_SIMILARITY_SIDE = 7
# Windows this far apart give the mean over the image as well as all do.
_SIMILARITY_STRIDE = 3
_C1, _C2 = (0.01 * _FULL_LEVEL) ** 2, (0.03 * _FULL_LEVEL) ** 2
# Brings the sums of a few tiles to the size of log-likelihood ratios; the network learns the rest.
_GAIN = 50.0
_TINY = 1e-8


def _fold(plane: Tensor) -> Tensor:
    """Return the sum over all tiles: (1, 1, rows, columns) to (64, 64)."""
    rows, columns = (-side % TILE for side in plane.shape[-2:])
    whole = functional.pad(plane[0, 0], (0, columns, 0, rows))
    tiles = whole.reshape(whole.shape[0] // TILE, TILE, whole.shape[1] // TILE, TILE)
    return tiles.sum((0, 2))


def heard_bits(estimate: Tensor, pattern: Pattern) -> Tensor:
    """Return `Pattern.sums` of the folded estimate, with its gradient: (808,)."""
    spectrum = torch.fft.fft2(_fold(estimate)) / TILE**2
    waves = spectrum[pattern.waves[:, 0].tolist(), pattern.waves[:, 1].tolist()]
    heard = torch.cat([waves.real, waves.imag]) * torch.tensor(pattern.signs, dtype=torch.float32)
    return torch.zeros(CODED_BITS).index_add(0, torch.tensor(pattern.bit_of), heard)


def bit_loss(estimate: Tensor, pattern: Pattern, coded: np.ndarray) -> tuple[Tensor, float]:
    """Return the mean cross-entropy of the coded bits, and the share that is heard right.

    Sums count as log-likelihood ratios, so that the extraction network learns how far to trust
    each place.
    """
    signed = heard_bits(estimate, pattern) * torch.tensor(coded * 2.0 - 1.0, dtype=torch.float32)
    right = float((signed.detach() > 0).float().mean())
    return functional.softplus(-_GAIN * signed).mean(), right


def _similarity(host: Tensor, marked: Tensor) -> Tensor:
    """Return the structural similarity of levels, over windows of 7 x 7."""

    def mean(values: Tensor) -> Tensor:
        return functional.avg_pool2d(values, _SIMILARITY_SIDE, _SIMILARITY_STRIDE)

    with torch.no_grad():
        first = mean(host)
        first_variance = mean(host * host) - first * first
    second = mean(marked)
    second_variance = mean(marked * marked) - second * second
    covariance = mean(host * marked) - first * second
    return (
        (2 * first * second + _C1)
        * (2 * covariance + _C2)
        / ((first * first + second * second + _C1) * (first_variance + second_variance + _C2))
    ).mean()


def within_limits(host: Tensor, residual: Tensor, *, psnr_db: float, ssim: float) -> Tensor:
    """Return the residual times the factor that meets both limits; the gradient knows the factor.

    Parameters
    ----------
    host, residual
        (1, 1, rows, columns), native levels.
    psnr_db, ssim
        Least values.
    """
    allowed = _FULL_LEVEL * 10 ** (-psnr_db / 20)
    energy = ((residual * residual).mean() + _TINY).sqrt()
    residual = residual * (allowed / energy).clamp(max=50)
    lost = (1 - _similarity(host, (host + residual).clamp(0, 255))).clamp(min=1e-5)
    return residual * ((1 - ssim) / lost).sqrt().clamp(max=1)
