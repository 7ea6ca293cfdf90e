"""The restoration networks, run by OpenVINO on one thread, without PyTorch.

No security claim rests on a learned method: confidentiality and integrity come from the sealed
package around it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal import weights
from medseal.errors import ConfigurationError, WeightsError
from medseal.protection.encryption.cnn.analog_features import Damaged, estimate, features, gate
from medseal.protection.encryption.cnn.analog_plan import (
    MAPS,
    Convolution,
    NetworkConfig,
    Step,
    plan_of,
)
from medseal.weights import Card
from medseal.weights.engine import load_openvino

__all__ = ["SIDE_MULTIPLE", "Network", "load", "load_folder", "model_id_of", "restore"]

Floats = NDArray[np.float32]
Tensors = Mapping[str, NDArray[Any]]

SIDE_MULTIPLE = 8
# Larger planes are restored in strips of so many rows, with a margin that the networks do not see
# beyond.
_STRIP_ROWS, _MARGIN_ROWS = 512, 48


def model_id_of(backbone: str) -> str:
    """Return the id of the shipped network of a backbone."""
    return f"cipher-analog-{backbone}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    """A network, ready to run.

    Attributes
    ----------
    model_id
        Of the weights.
    """

    model_id: str
    _compiled: Any

    def answer(self, maps: Floats) -> Floats:
        """Return the answer in units of the picture's error: (5, H, W) to (H, W), any sides."""
        _, rows, columns = maps.shape
        below, beside = -rows % SIDE_MULTIPLE, -columns % SIDE_MULTIPLE
        padded = np.pad(maps, ((0, 0), (0, below), (0, beside)), mode="edge")
        request = self._compiled.create_infer_request()
        result = request.infer([np.ascontiguousarray(padded)[None]])[0][0, 0]
        return np.array(result[:rows, :columns], np.float32)


def _convolution(node: Any, tensors: Tensors, index: int, step: Convolution) -> Any:
    openvino = load_openvino().opset13
    kernel = np.asarray(tensors[f"{index}.weight"], np.float32)
    bias = np.asarray(tensors[f"{index}.bias"], np.float32).reshape(1, -1, 1, 1)
    strides, one = [step.stride] * 2, [1, 1]
    result = openvino.convolution(node, openvino.constant(kernel), strides, one, one, one)
    result = openvino.add(result, openvino.constant(bias))
    return openvino.relu(result) if step.active else result


def _model(steps: list[Step], tensors: Tensors) -> Any:
    """Return the graph; tensors are named by the number of their convolution."""
    openvino = load_openvino()
    operations = openvino.opset13
    maps = operations.parameter([1, MAPS, -1, -1], np.float32)
    # PyTorch's pixel_unshuffle orders channels as depth_first does.
    node = operations.space_to_depth(maps, "depth_first", 2)
    aside: list[Any] = []
    index = 0
    for step in steps:
        if isinstance(step, Convolution):
            node = _convolution(node, tensors, index, step)
            index += 1
        elif step == "keep":
            aside.append(node)
        elif step == "add":
            node = operations.relu(operations.add(node, aside.pop()))
        elif step == "join":
            node = operations.concat([node, aside.pop()], 1)
        elif step == "spread":
            node = operations.depth_to_space(node, "depth_first", 2)
        else:
            node = _doubled(node)
    return openvino.Model([operations.depth_to_space(node, "depth_first", 2)], [maps])


def _doubled(node: Any) -> Any:
    operations = load_openvino().opset13
    scales = operations.constant(np.array([1, 1, 2, 2], np.float32))
    axes = operations.constant(np.arange(4, dtype=np.int64))
    return operations.interpolate(
        node, scales, "nearest", "scales", coordinate_transformation_mode="asymmetric", axes=axes
    )


def _compiled(card: Card, tensors: Tensors) -> Network:
    openvino = load_openvino()
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        config = NetworkConfig(**card.network)  # type: ignore[arg-type]  # checked by the class
        model = _model(plan_of(config), tensors)
    except (KeyError, RuntimeError, TypeError, ConfigurationError) as error:
        raise WeightsError(f"{card.id}: these are not the tensors of a restoration") from error
    return Network(
        model_id=card.id, _compiled=openvino.Core().compile_model(model, "CPU", settings)
    )


@lru_cache(maxsize=3)
def load(backbone: str) -> Network:
    """Return the installed network of a backbone, its digest checked.

    Raises
    ------
    WeightsError
        It is missing, or no restoration.
    DigestMismatchError
        It is not what its card names.
    """
    return _compiled(*weights.load(model_id_of(backbone)))


@lru_cache(maxsize=3)
def load_folder(folder: Path) -> Network:
    """Return the network in a folder that `medseal train` has written; errors as for `load`."""
    return _compiled(*weights.load_folder(folder))


def restore(damaged: Damaged, network: Network) -> Floats:
    """Return the restored plane: (rows, columns), on the scale of the picture.

    Where everything was heard it is what was heard, whatever the network says.
    """
    linear = estimate(damaged)
    left = gate(damaged)
    if not left.any():
        return linear
    maps = features(damaged)
    rows = maps.shape[1]
    answer = np.empty(linear.shape, np.float32)
    for start in range(0, rows, _STRIP_ROWS):
        end = min(start + _STRIP_ROWS, rows)
        top = max(start - _MARGIN_ROWS, 0)
        strip = network.answer(maps[:, top : min(end + _MARGIN_ROWS, rows)])
        answer[start:end] = strip[start - top : end - top]
    return np.asarray(linear + np.float32(damaged.error) * left * answer, np.float32)
