"""The trained blind network, run by OpenVINO on one thread, without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal import weights
from medseal.errors import WeightsError
from medseal.protection.tamper.blind.calibration import Calibration, calibration_of
from medseal.protection.tamper.blind.plane import Plane
from medseal.protection.tamper.blind.scan import LEAST_SIDE, TILE_SIDE, Tile
from medseal.weights.engine import load_openvino

__all__ = ["TASK", "Engine", "Model", "load", "load_folder"]

TASK = "tamper-blind"
# These stand in `networks` too, which needs PyTorch; a test holds both implementations equal.
_SCALES = (2.0, 12.0)
_MIDDLE = 128.0
_TOP_PLACES = (1, 16, 128, 512)
_EPSILON = 1e-5

openvino = load_openvino()
operations = openvino.opset13

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Engine:
    """The network, ready to run."""

    _compiled: Any

    def look(self, plane: Plane) -> Tile:
        """Return what the network finds in a tile.

        Parameters
        ----------
        plane
            (rows, columns) levels, float32; sides are multiples of 16, 64 at least.
        """
        found = self._compiled.create_infer_request().infer([plane[None, None]])
        forged, trusted, score, features = (np.array(found[place]) for place in range(4))
        return Tile(
            forged=forged[0, 0],
            trusted=trusted[0, 0],
            score=float(score[0, 0]),
            features=features[0],
        )

    @classmethod
    def of(cls, tensors: Tensors, *, name: str) -> "Engine":
        """Return the network that `networks.stored_tensors` stored.

        Raises
        ------
        WeightsError
            These are not its tensors; `name` stands in the message.
        """
        settings = {
            "INFERENCE_NUM_THREADS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            # The same scores on every machine: thresholds are fixed in this precision.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        try:
            model = _Graph(tensors).model()
        except (KeyError, RuntimeError, ValueError) as error:
            raise WeightsError(f"{name}: these are not the tensors of a blind network") from error
        return cls(_compiled=openvino.Core().compile_model(model, "CPU", settings))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """Network and calibration of one model.

    Attributes
    ----------
    model_id
        Of the weights.
    """

    model_id: str
    engine: Engine
    calibration: Calibration


class _Graph:
    """Builds the network operation by operation, as `networks.BlindNetwork` computes it."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors

    def _tensor(self, name: str) -> NDArray[np.float32]:
        return np.asarray(self._tensors[name], np.float32)

    def _count(self, prefix: str) -> int:
        """Return how many parts are numbered from 0 behind a prefix."""
        names = {
            name.removeprefix(prefix).split(".")[0]
            for name in self._tensors
            if name.startswith(prefix)
        }
        return len(names)

    def _plain(self, node: Any, kernel: Any, bias: Any, *, stride: int = 1) -> Any:
        side = kernel.shape[-1] // 2
        result = operations.convolution(
            node, operations.constant(kernel), [stride] * 2, [side] * 2, [side] * 2, [1, 1]
        )
        return operations.add(result, operations.constant(bias.reshape(1, -1, 1, 1)))

    def _convolution(self, node: Any, name: str, *, stride: int = 1, bent: bool = True) -> Any:
        """Return convolution and normalisation in one, then ReLU where asked for."""
        variance = self._tensor(f"{name}.norm.running_var")
        gain = self._tensor(f"{name}.norm.weight") / np.sqrt(variance + np.float32(_EPSILON))
        kernel = self._tensor(f"{name}.weights.weight") * gain[:, None, None, None]
        bias = self._tensor(f"{name}.norm.bias") - self._tensor(f"{name}.norm.running_mean") * gain
        result = self._plain(node, kernel, bias, stride=stride)
        return operations.relu(result) if bent else result

    def _stage(self, node: Any, stage: int) -> Any:
        for block in range(self._count(f"blocks.{stage}.")):
            name = f"blocks.{stage}.{block}"
            inside = self._convolution(node, f"{name}.first")
            inside = self._convolution(inside, f"{name}.second", bent=False)
            node = operations.relu(operations.add(node, inside))
        return node

    def _seen(self, levels: Any) -> Any:
        frame = operations.constant(np.array([0, 0, 2, 2], np.int64))
        framed = operations.pad(levels, frame, frame, "edge")
        one, none = [1, 1], [0, 0]
        kernels = operations.constant(self._tensor("high_pass"))
        residuals = operations.convolution(framed, kernels, one, none, none, one)
        shown = operations.subtract(operations.divide(levels, np.float32(_MIDDLE)), np.float32(1))
        bounded = [operations.tanh(operations.divide(residuals, np.float32(s))) for s in _SCALES]
        # PyTorch's pixel_unshuffle orders channels as depth_first does.
        return operations.space_to_depth(operations.concat([shown, *bounded], 1), "depth_first", 2)

    def _twice(self, node: Any) -> Any:
        """Return the maps with every place doubled in both directions."""
        return operations.interpolate(
            node,
            np.array([2.0, 2.0], np.float32),
            "nearest",
            "scales",
            [0, 0],
            [0, 0],
            "asymmetric",
            "floor",
            False,
            -0.75,
            np.array([2, 3], np.int64),
        )

    def _map(self, node: Any, name: str) -> Any:
        quarter = self._plain(node, self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias"))
        return operations.depth_to_space(quarter, "depth_first", 2)

    def _linear(self, node: Any, name: str) -> Any:
        weight = operations.constant(self._tensor(f"{name}.weight"))
        product = operations.matmul(node, weight, False, True)
        return operations.add(product, operations.constant(self._tensor(f"{name}.bias")[None]))

    def _score(self, forged: Any, mean: Any, most: Any) -> Any:
        flat = operations.reshape(forged, np.array([1, -1], np.int64), False)
        highest = operations.topk(flat, np.int64(_TOP_PLACES[-1]), 1, "max", "value").output(0)
        tops = []
        for count in _TOP_PLACES:
            first = operations.slice(
                highest, *(np.array([number], np.int64) for number in (0, count, 1, 1))
            )
            tops.append(operations.reduce_mean(first, np.array([1], np.int64), True))
        joined = operations.concat([*tops, mean, most], 1)
        return self._linear(operations.relu(self._linear(joined, "hidden")), "score")

    def model(self) -> Any:
        # Bounded, since memory is planned for the largest.
        side = openvino.Dimension(LEAST_SIDE, TILE_SIDE)
        levels = operations.parameter(openvino.PartialShape([1, 1, side, side]), np.float32)
        maps = self._stage(self._convolution(self._seen(levels), "stem"), 0)
        kept = [maps]
        halvings = self._count("down.")
        for stage in range(halvings):
            maps = self._convolution(maps, f"down.{stage}", stride=2)
            maps = self._stage(maps, stage + 1)
            kept.append(maps)
        sides = np.array([2, 3], np.int64)
        mean = operations.reduce_mean(maps, sides, False)
        most = operations.reduce_max(maps, sides, False)
        for stage in reversed(range(halvings)):
            above = self._twice(self._convolution(maps, f"up.{stage}"))
            maps = self._convolution(operations.add(above, kept[stage]), f"joined.{stage}")
        forged, trusted = self._map(maps, "forged"), self._map(maps, "trusted")
        results = [forged, trusted, self._score(forged, mean, most), mean]
        return openvino.Model(results, [levels])


def _model(model_id: str, tensors: Tensors) -> Model:
    return Model(
        model_id=model_id,
        engine=Engine.of(tensors, name=model_id),
        calibration=calibration_of(tensors, name=model_id),
    )


@lru_cache(maxsize=1)
def load() -> Model:
    """Return the installed model, its digest checked.

    Raises
    ------
    WeightsError
        It is missing, or no blind detector.
    DigestMismatchError
        Its weights are not what the card names.
    """
    model_id = weights.default_for(TASK)
    _, tensors = weights.load(model_id)
    return _model(model_id, tensors)


@lru_cache(maxsize=1)
def load_folder(folder: Path) -> Model:
    """Return the model in a folder that `medseal train` has written; errors as `load`."""
    card, tensors = weights.load_folder(folder)
    return _model(card.id, tensors)
