"""Weights as they are stored: half precision, or 8 bits with one scale a filter."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, WeightsError

__all__ = ["SCALE_SUFFIX", "Precision", "StorageConfig", "pack", "unpack"]

Precision = Literal["float16", "int8"]
SCALE_SUFFIX = ".scale"
_LARGEST = 127

Tensors = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageConfig:
    """How weights are stored.

    Attributes
    ----------
    precision
        ``float16``: 2 bytes a weight. ``int8``: 1 byte, symmetric, one float16 scale a filter.
        Offsets and batch statistics, which are few, keep float32 in both.

    Raises
    ------
    ConfigurationError
        Another precision.
    """

    precision: str = "float16"

    def __post_init__(self) -> None:
        if self.precision not in get_args(Precision):
            raise ConfigurationError(f"precision must be one of {', '.join(get_args(Precision))}")


def pack(tensors: Mapping[str, NDArray[Any]], *, config: StorageConfig) -> Tensors:
    """Return the tensors as they are stored.

    Parameters
    ----------
    tensors
        By name; those with two or more axes are weights, the first axis being the filter.
    config
        How.

    Returns
    -------
    dict
        By name; an 8-bit tensor has its scales, (filters,), beside it under `SCALE_SUFFIX`.
    """
    packed: Tensors = {}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.dtype.kind != "f":  # noqa: PLR2004  # (filters, ...)
            packed[name] = tensor.copy()
        elif config.precision == "float16":
            packed[name] = tensor.astype(np.float16)
        else:
            packed[name], packed[name + SCALE_SUFFIX] = _eight_bits(tensor)
    return packed


def _eight_bits(tensor: NDArray[Any]) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    rows = tensor.reshape(len(tensor), -1).astype(np.float64)
    # The scale is rounded first, so that the weights are rounded to what will be read again.
    scale = (np.abs(rows).max(axis=1) / _LARGEST).astype(np.float16)
    scale = np.maximum(scale, np.finfo(np.float16).smallest_subnormal)
    steps = np.rint(rows / scale[:, None].astype(np.float64))
    codes = np.clip(steps, -_LARGEST, _LARGEST).astype(np.int8)
    return codes.reshape(tensor.shape), scale


def unpack(tensors: Mapping[str, NDArray[Any]]) -> Tensors:
    """Return stored tensors as they are computed with: 8-bit ones times their scales, float32.

    Raises
    ------
    WeightsError
        An 8-bit tensor has no scales that fit it.
    """
    result: Tensors = {}
    for name, tensor in tensors.items():
        if name.endswith(SCALE_SUFFIX) and name.removesuffix(SCALE_SUFFIX) in tensors:
            continue
        if tensor.dtype != np.int8:
            result[name] = tensor
            continue
        scale = tensors.get(name + SCALE_SUFFIX)
        if scale is None or tensor.ndim < 1 or scale.shape != tensor.shape[:1]:
            raise WeightsError(f"the 8-bit tensor {name} has no scales that fit it")
        shape = (-1,) + (1,) * (tensor.ndim - 1)
        result[name] = tensor.astype(np.float32) * scale.astype(np.float32).reshape(shape)
    return result
