"""The trained networks, run by OpenVINO on one thread, without PyTorch."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal import weights
from medseal.errors import WeightsError
from medseal.protection.tamper.canonical import TILE, Plane
from medseal.protection.tamper.narrowing import Narrowing
from medseal.protection.tamper.reference.fusion import Fusion
from medseal.protection.tamper.reference.sizes import (
    BANDS,
    CELLS,
    DETAIL_CELLS,
    DETAIL_FLOOR,
    LOCAL_FLOOR,
    LOCAL_SIDE,
    MIDDLE_LEVEL,
    SPREAD_FLOOR,
    UNIT_LEVELS,
)
from medseal.weights import Card
from medseal.weights.engine import load_openvino

__all__ = [
    "CALIBRATION",
    "MODEL_TAG_BYTES",
    "TASK",
    "Networks",
    "Reading",
    "compiled",
    "load",
    "load_folder",
]

TASK = "tamper"
CALIBRATION = "calibration"
"""Tensor (3,): scale and offset of the logit of an image, threshold of the mask."""

MODEL_TAG_BYTES = 4
"""Bytes of the weights' SHA-256 that stand in a record: what one model wrote no other can read."""

_SCALES = 4
# PyTorch's, of batch normalisation.
_VARIANCE_FLOOR = 1e-5

openvino = load_openvino()
operations = openvino.opset13

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """What the trunk sees of a plane.

    Attributes
    ----------
    features
        (features, down, across).
    """

    features: NDArray[np.float32]
    _maps: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Networks:
    """Trunk, features and comparison, ready to run.

    Attributes
    ----------
    model_id
        Of the weights.
    tag
        `MODEL_TAG_BYTES` of their digest.
    features
        Of a tile.
    fusion
        Of what is known of a copy; the surest tile alone before calibration.
    scale, offset
        Of what it gives, fixed after training so that the threshold lies at 0.
    place_threshold
        Chance from which a place belongs to the mask.
    narrowing
        Guesses which places of proven tiles changed; None before calibration.
    """

    model_id: str
    tag: bytes
    features: int
    fusion: Fusion
    scale: float
    offset: float
    place_threshold: float
    narrowing: Narrowing | None
    _read: Any
    _judge: Any

    def read(self, plane: Plane) -> Reading:
        """Return what the trunk sees of a canonical plane of levels."""
        request = self._read.create_infer_request()
        maps = request.infer(
            [((plane - MIDDLE_LEVEL) / UNIT_LEVELS).astype(np.float32)[None, None]]
        )
        found = tuple(np.array(maps[place]) for place in range(_SCALES + 1))
        return Reading(features=found[-1][0], _maps=found[:-1])

    def calibrated(self, found: NDArray[np.float64]) -> float:
        """Return the logit of an image from its `fusion.clues`; its threshold is 0."""
        return self.scale * self.fusion.logit(found) + self.offset

    def judge(
        self, reading: Reading, residual: NDArray[np.floating], tiles: NDArray[np.floating]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return logits of tiles (down, across) and of places (8 down, 8 across).

        Parameters
        ----------
        reading
            Of the copy.
        residual
            (features, down, across).
        tiles
            (TILE_MAPS, down, across).
        """
        given = [*reading._maps, *(np.asarray(one[None], np.float32) for one in (residual, tiles))]
        found = self._judge.create_infer_request().infer(given)
        return np.array(found[0][0, 0]), np.array(found[1][0, 0])


class _Graph:
    """Builds layers from tensors by name, as `networks` computes them."""

    def __init__(self, tensors: Tensors) -> None:
        self._tensors = tensors

    def constant(self, name: str) -> Any:
        return np.asarray(self._tensors[name], np.float32)

    def convolution(self, node: Any, name: str, *, stride: int = 1) -> Any:
        kernel = self.constant(f"{name}.weight")
        steps, pad = [stride, stride], [kernel.shape[2] // 2] * 2
        found = operations.convolution(node, operations.constant(kernel), steps, pad, pad, [1, 1])
        bias = self.constant(f"{name}.bias").reshape(1, -1, 1, 1)
        return operations.add(found, operations.constant(bias))

    def residual(self, node: Any, name: str) -> Any:
        inner = operations.relu(self.convolution(node, f"{name}.first"))
        return operations.relu(operations.add(node, self.convolution(inner, f"{name}.second")))

    def up(self, node: Any, skip: Any, name: str) -> Any:
        narrow = self.convolution(node, f"{name}.narrow")
        larger = operations.interpolate(
            narrow,
            operations.constant(np.array([2.0, 2.0], np.float32)),
            "nearest",
            "scales",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
            axes=operations.constant(np.array([2, 3], np.int64)),
        )
        both = operations.relu(operations.add(larger, self.convolution(skip, f"{name}.skip")))
        return operations.relu(self.convolution(both, f"{name}.join"))

    def blocks(self) -> int:
        return sum(
            name.startswith("inner.") and name.endswith("first.bias") for name in self._tensors
        )


def _means(plane: Any, side: int) -> Any:
    """Return the means of cells of so many places a side."""
    none = [0, 0]
    return operations.avg_pool(plane, [side, side], none, none, [side, side], True)


def _smooth(plane: Any, side: int) -> Any:
    for size in ([side, 1], [1, side]):
        pad = [size[0] // 2, size[1] // 2]
        plane = operations.avg_pool(plane, [1, 1], pad, pad, size, True)
    return plane


def _relative(plane: Any) -> Any:
    """Return the plane in units of its local deviation, as `networks` computes it."""
    apart = operations.subtract(plane, _smooth(plane, LOCAL_SIDE))
    spread = _smooth(operations.multiply(apart, apart), LOCAL_SIDE)
    deviation = operations.sqrt(operations.add(spread, np.float32(SPREAD_FLOOR)))
    return operations.divide(apart, operations.add(deviation, np.float32(LOCAL_FLOOR)))


def _detail(plane: Any) -> Any:
    """Return how strong each band of detail is, as `networks` computes it."""
    bands = [
        operations.subtract(_smooth(plane, fine), _smooth(plane, coarse)) for fine, coarse in BANDS
    ]
    both = operations.concat(bands, 1)
    squares = _means(operations.multiply(both, both), TILE // DETAIL_CELLS)
    strength = operations.log(operations.add(squares, np.float32(DETAIL_FLOOR)))
    return operations.multiply(strength, np.float32(0.5))


def _features(graph: _Graph, plane: Any, tile: Any) -> Any:
    """Return the features of tiles, their scale as it was at the end of training."""
    side = TILE // CELLS
    # PyTorch's pixel_unshuffle orders channels as depth_first does for one map.
    coarse = operations.space_to_depth(_means(plane, side), "depth_first", CELLS)
    fine = operations.space_to_depth(_detail(plane), "depth_first", DETAIL_CELLS)
    known = operations.concat([tile, coarse, fine], 1)
    deviation = np.sqrt(graph.constant("scaled.running_var") + _VARIANCE_FLOOR)
    gain = graph.constant("scaled.weight") / deviation
    offset = graph.constant("scaled.bias") - graph.constant("scaled.running_mean") * gain
    shape = (1, -1, 1, 1)
    scaled = operations.multiply(
        graph.convolution(known, "features"), operations.constant(gain.reshape(shape))
    )
    return operations.add(scaled, operations.constant(offset.reshape(shape)))


def _reading_model(graph: _Graph) -> Any:
    plane = operations.parameter([1, 1, -1, -1], np.float32)
    node, maps = operations.concat([plane, _relative(plane)], 1), []
    for name in ("halves", "quarters", "eighths", "tile"):
        node = operations.relu(graph.convolution(node, f"trunk.{name}", stride=2))
        if name in ("eighths", "tile"):
            node = graph.residual(node, f"trunk.{name}_inner")
        maps.append(node)
    return openvino.Model([*maps, _features(graph, plane, node)], [plane])


def _overall(graph: _Graph, hidden: Any) -> Any:
    """Return what the whole image adds to each tile."""
    axes = operations.constant(np.array([2, 3], np.int64))
    flat = operations.relu(hidden)
    means = operations.reduce_mean(flat, axes, keep_dims=True)
    squares = operations.reduce_mean(operations.multiply(flat, flat), axes, keep_dims=True)
    joined = operations.concat([means, squares], 1)
    kernel = graph.constant("overall.weight")[:, :, None, None]
    bias = graph.constant("overall.bias").reshape(1, -1, 1, 1)
    one, none = [1, 1], [0, 0]
    linear = operations.convolution(joined, operations.constant(kernel), one, none, none, one)
    return operations.add(linear, operations.constant(bias))


def _judging_model(graph: _Graph) -> Any:
    sizes = [
        len(graph.constant(f"trunk.{name}.bias"))
        for name in ("halves", "quarters", "eighths", "tile")
    ]
    maps = [operations.parameter([1, size, -1, -1], np.float32) for size in sizes]
    features = len(graph.constant("features.bias"))
    known = graph.constant("compare.weight").shape[1]
    residual = operations.parameter([1, features, -1, -1], np.float32)
    tiles = operations.parameter([1, known - 2 * features - sizes[-1], -1, -1], np.float32)
    squares = operations.multiply(residual, residual)
    given = operations.concat([maps[-1], residual, squares, tiles], 1)
    hidden = graph.convolution(given, "compare")
    hidden = operations.relu(operations.add(hidden, _overall(graph, hidden)))
    for block in range(graph.blocks()):
        hidden = graph.residual(hidden, f"inner.{block}")
    larger = hidden
    for name, skip in (("eighths", maps[2]), ("quarters", maps[1]), ("halves", maps[0])):
        larger = graph.up(larger, skip, f"up_{name}")
    logits = [graph.convolution(hidden, "tile_logit"), graph.convolution(larger, "mask_logit")]
    return openvino.Model(logits, [*maps, residual, tiles])


def compiled(card: Card, tensors: Tensors) -> Networks:
    """Return networks ready to run.

    Raises
    ------
    WeightsError
        The tensors are not those of a comparison.
    """
    # What one machine writes another one reads: no bfloat16, which only some processors have.
    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    core, graph = openvino.Core(), _Graph(tensors)
    try:
        models = [_reading_model(graph), _judging_model(graph)]
        features = len(graph.constant("features.bias"))
        scale, offset, place_threshold = map(float, graph.constant(CALIBRATION))
    except (KeyError, RuntimeError, ValueError, IndexError) as error:
        raise WeightsError(f"{card.id}: these are not the tensors of a comparison") from error
    reading, judging = (core.compile_model(model, "CPU", settings) for model in models)
    return Networks(
        model_id=card.id,
        tag=card.sha256.value[:MODEL_TAG_BYTES],
        features=features,
        fusion=Fusion.of(tensors, name=card.id),
        scale=scale,
        offset=offset,
        place_threshold=place_threshold,
        narrowing=Narrowing.of(tensors),
        _read=reading,
        _judge=judging,
    )


@lru_cache(maxsize=1)
def load() -> Networks:
    """Return the installed networks, their digest checked.

    Raises
    ------
    WeightsError
        They are missing, or no comparison.
    DigestMismatchError
        They are not what their card names.
    """
    return compiled(*weights.load(weights.default_for(TASK)))


@lru_cache(maxsize=1)
def load_folder(folder: Path) -> Networks:
    """Return the networks in a folder that `medseal train` has written, their digest checked.

    Raises
    ------
    WeightsError
        They are missing, or no comparison.
    DigestMismatchError
        They are not what their card names.
    """
    return compiled(*weights.load_folder(folder))
