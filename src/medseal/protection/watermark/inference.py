"""The trained networks of the mark, run by OpenVINO on one thread, without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal import weights
from medseal.errors import WeightsError
from medseal.protection.watermark.frame import Plane
from medseal.weights.engine import load_openvino

__all__ = ["TASK", "Networks", "load", "load_folder"]

TASK = "watermark"
# Softplus of it is 1; the same number stands in `networks`.
_UNIT_GAIN = 0.5413
_FIRST, _LAST = "first", "last"
_COPY_MAPS, _HOST_MAPS = 4, 6

openvino = load_openvino()
operations = openvino.opset13

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Both networks, ready to run.

    Attributes
    ----------
    model_id
        Of the weights.
    """

    model_id: str
    _embedding: Any
    _extraction: Any

    def residual(self, host: NDArray[np.float32], pattern: Plane) -> Plane:
        """Return the residual up to one factor.

        Parameters
        ----------
        host
            (6, rows, columns), from `frame.host_maps`; even sides.
        pattern
            (rows, columns).
        """
        request = self._embedding.create_infer_request()
        result = request.infer([host[None], np.ascontiguousarray(pattern)[None, None]])
        return np.array(result[0][0, 0], np.float32)

    def estimate(self, copy: NDArray[np.float32]) -> Plane:
        """Return how the pattern is heard at each place of a copy: (rows, columns).

        Parameters
        ----------
        copy
            (4, rows, columns), from `frame.copy_maps`; even sides.
        """
        request = self._extraction.create_infer_request()
        return np.array(request.infer([copy[None]])[0][0, 0], np.float32)


def _convolution(node: Any, tensors: Tensors, name: str) -> Any:
    kernel = np.asarray(tensors[f"{name}.weight"], np.float32)
    bias = np.asarray(tensors[f"{name}.bias"], np.float32)
    one = [1, 1]
    result = operations.convolution(node, operations.constant(kernel), one, one, one, one)
    return operations.add(result, operations.constant(bias.reshape(1, -1, 1, 1)))


def _blocks(tensors: Tensors, prefix: str) -> int:
    count = sum(name.startswith(f"{prefix}.inner.") for name in tensors)
    return count // 4


def _trunk(node: Any, tensors: Tensors, prefix: str) -> tuple[Any, Any]:
    """Return gain and offset, as `networks._Trunk` computes them."""
    # PyTorch's pixel_unshuffle orders channels as depth_first does.
    halves = operations.space_to_depth(node, "depth_first", 2)
    hidden = operations.relu(_convolution(halves, tensors, f"{prefix}.{_FIRST}"))
    for block in range(_blocks(tensors, prefix)):
        first, second = (f"{prefix}.inner.{2 * block + place}" for place in (0, 1))
        inside = operations.relu(_convolution(hidden, tensors, first))
        hidden = operations.relu(operations.add(hidden, _convolution(inside, tensors, second)))
    last = _convolution(hidden, tensors, f"{prefix}.{_LAST}")
    both = operations.split(operations.depth_to_space(last, "depth_first", 2), 1, 2)
    twice = operations.multiply(both.output(0), np.float32(2))
    gain = operations.softplus(operations.add(twice, np.float32(_UNIT_GAIN)))
    return gain, both.output(1)


def _channels(node: Any, count: int) -> tuple[Any, Any]:
    """Return all channels but the last, and the last."""
    lengths = operations.constant(np.array([count - 1, 1], np.int64))
    parts = operations.variadic_split(node, np.int64(1), lengths)
    return parts.output(0), parts.output(1)


def _embedding_model(tensors: Tensors) -> Any:
    host = operations.parameter([1, _HOST_MAPS, -1, -1], np.float32)
    pattern = operations.parameter([1, 1, -1, -1], np.float32)
    shown, room = _channels(host, _HOST_MAPS)
    gain, offset = _trunk(operations.concat([shown, pattern], 1), tensors, "embedding.trunk")
    loud = operations.add(operations.multiply(pattern, gain), offset)
    return openvino.Model([operations.multiply(room, loud)], [host, pattern])


def _extraction_model(tensors: Tensors) -> Any:
    copy = operations.parameter([1, _COPY_MAPS, -1, -1], np.float32)
    shown, detail = _channels(copy, _COPY_MAPS)
    gain, offset = _trunk(shown, tensors, "extraction.trunk")
    heard = operations.add(operations.multiply(detail, gain), offset)
    scale = np.asarray(tensors["extraction.scale"], np.float32)
    return openvino.Model([operations.multiply(heard, scale)], [copy])


def _compiled(model_id: str, tensors: Tensors) -> Networks:
    settings = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    core = openvino.Core()
    try:
        models = [_embedding_model(tensors), _extraction_model(tensors)]
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"{model_id}: these are not the tensors of a watermark") from error
    embedding, extraction = (core.compile_model(model, "CPU", settings) for model in models)
    return Networks(model_id=model_id, _embedding=embedding, _extraction=extraction)


@lru_cache(maxsize=1)
def load() -> Networks:
    """Return the installed networks, their digest checked.

    Raises
    ------
    WeightsError
        They are missing, or no watermark.
    DigestMismatchError
        They are not what their card names.
    """
    model_id = weights.default_for(TASK)
    _, tensors = weights.load(model_id)
    return _compiled(model_id, tensors)


@lru_cache(maxsize=1)
def load_folder(folder: Path) -> Networks:
    """Return the networks in a folder that `medseal train` has written, their digest checked.

    Raises
    ------
    WeightsError
        They are missing, or no watermark.
    DigestMismatchError
        They are not what their card names.
    """
    card, tensors = weights.load_folder(folder)
    return _compiled(card.id, tensors)
