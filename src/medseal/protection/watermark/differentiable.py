"""Gradients through what NumPy and OpenCV do to an image, so that training sees the real thing."""

from collections.abc import Callable
from functools import partial
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medseal.protection.attacks import compression
from medseal.protection.attacks.draws import Drawn
from medseal.protection.attacks.levels import Change
from medseal.protection.watermark.frame import (
    LEAST_ENERGY,
    LOCAL_SIDE,
    Plane,
    box_mean,
    copy_channels,
    resample,
)

__all__ = ["copy_maps_of", "distorted", "plane_of", "resampled", "tensor_of", "whole_levels"]

Linear = Callable[[Plane], Plane]

_FULL_LEVEL = 255
_BLOCK = 8
# A coefficient of a compressed image below this has been thrown away.
_KEPT_COEFFICIENT = 0.5
# Gradient that still passes a coefficient that was thrown away: it may come back.
_LEAK = 0.1
_MEDIAN_SIGMA = 0.7


def plane_of(tensor: Tensor) -> Plane:
    """Return (1, 1, rows, columns) as an array (rows, columns)."""
    return np.asarray(tensor.detach()[0, 0].numpy(), np.float32)


def tensor_of(plane: NDArray[Any]) -> Tensor:
    """Return an array (rows, columns) as (1, 1, rows, columns)."""
    return torch.from_numpy(np.ascontiguousarray(plane, np.float32))[None, None]


class _Mapped(torch.autograd.Function):
    """One function forward, a linear one back."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, forward: Linear, backward: Linear) -> Tensor:
        ctx.mapped_back = backward
        return tensor_of(forward(plane_of(tensor)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return tensor_of(ctx.mapped_back(plane_of(gradients[0]))), None, None


def _mapped(tensor: Tensor, forward: Linear, backward: Linear) -> Tensor:
    result: Tensor = _Mapped.apply(tensor, forward, backward)  # type: ignore[no-untyped-call]
    return result


def _box_mean_of(tensor: Tensor, side: int) -> Tensor:
    """Return `frame.box_mean`; it is its own adjoint but for the edges."""
    return _mapped(tensor, lambda plane: box_mean(plane, side), lambda plane: box_mean(plane, side))


def resampled(tensor: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return `frame.resample`; back goes the opposite change of size, times the ratio of places."""
    before = (tensor.shape[-2], tensor.shape[-1])
    ratio = np.float32(shape[0] * shape[1] / (before[0] * before[1]))
    return _mapped(
        tensor,
        lambda plane: resample(plane, shape),
        lambda plane: resample(plane, before) * ratio,
    )


def whole_levels(tensor: Tensor) -> Tensor:
    """Return levels as a copy of 8 bits has them; the gradient passes what was not clipped."""
    clipped = tensor.clamp(0, _FULL_LEVEL)
    return clipped + (clipped.round() - clipped).detach()


def _given(plane: Plane, _: Plane) -> Plane:
    return plane


def distorted(tensor: Tensor, drawn: Drawn) -> Tensor:
    """Return what a drawn distortion makes of levels, with an approximate gradient."""
    for kind, change in drawn.steps:
        before = plane_of(tensor)
        after = compression.to_8_bits(change(before))
        tensor = _mapped(tensor, partial(_given, after), _adjoint(kind, change, before, after))
    return tensor


def _adjoint(kind: str, change: Change, before: Plane, after: Plane) -> Linear:
    """Return the way back of a gradient through one kind of distortion.

    Filters and resampling are their own adjoints. Of a compressed image the coefficients that were
    kept pass. Where a value was replaced nothing passes. Grey values pass as they are: what is
    read afterwards hardly depends on the gain.
    """
    if kind in ("blur", "resize and back"):
        return lambda gradient: np.asarray(change(gradient), np.float32)
    if kind == "median":
        return lambda gradient: cv2.GaussianBlur(gradient, (0, 0), _MEDIAN_SIGMA)
    if kind == "JPEG":
        return lambda gradient: _kept(gradient, after)
    if kind in ("salt and pepper", "crop black"):
        same = np.asarray((after > 0) & (after < _FULL_LEVEL) | (after == before), np.float32)
        return lambda gradient: gradient * same
    return lambda gradient: gradient


def _blocks(plane: Plane) -> Plane:
    """Return the DCT of 8 x 8 blocks: (rows / 8, 8, columns / 8, 8), edges repeated."""
    rows, columns = (-side % _BLOCK for side in plane.shape)
    whole = np.pad(plane, ((0, rows), (0, columns)), mode="edge")
    blocks = whole.reshape(whole.shape[0] // _BLOCK, _BLOCK, whole.shape[1] // _BLOCK, _BLOCK)
    return np.asarray(np.einsum("ui,aibj,vj->aubv", _DCT, blocks, _DCT, optimize=True), np.float32)


def _kept(gradient: Plane, compressed: Plane) -> Plane:
    """Return the gradient on the coefficients that a compressed image has."""
    kept = np.abs(_blocks(compressed - np.float32(127.5))) > _KEPT_COEFFICIENT
    passed = _blocks(gradient) * np.where(kept, np.float32(1), np.float32(_LEAK))
    back = np.einsum("ui,aubv,vj->aibj", _DCT, passed, _DCT, optimize=True)
    rows, columns = back.shape[0] * _BLOCK, back.shape[2] * _BLOCK
    whole = back.reshape(rows, columns)[: gradient.shape[0], : gradient.shape[1]]
    return np.ascontiguousarray(whole, np.float32)


def _dct_matrix() -> Plane:
    frequency = np.arange(_BLOCK)[:, None]
    matrix = np.cos(np.pi * (2 * np.arange(_BLOCK)[None] + 1) * frequency / (2 * _BLOCK)) / 2
    matrix[0] /= np.sqrt(2)
    return np.asarray(matrix, np.float32)


_DCT = _dct_matrix()


def copy_maps_of(frame: Tensor) -> Tensor:
    """Return `frame.copy_maps` with its gradient: (1, 1, rows, columns) to (1, 4, ...)."""
    mean = _box_mean_of(frame, LOCAL_SIDE)
    detail = frame - mean
    energy = _box_mean_of(detail * detail, LOCAL_SIDE) + LEAST_ENERGY
    maps = copy_channels(mean, detail, energy, log=torch.log, sqrt=torch.sqrt)
    return torch.cat(maps, dim=1)
