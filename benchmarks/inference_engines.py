"""Engines of the inference measurement: networks, precisions, and the limit of the processor."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.classification.exported import Engine, Precision
from medseal.classification.fit import channels_last, to_batch
from medseal.classification.onnx_graph import serialised, to_onnx
from medseal.classification.quantise import quantised
from medseal.classification.runtime import logits_of_network
from medseal.weights.engine import load_openvino

__all__ = ["fastest", "limits", "measure_network", "networks_of", "operations_of"]

# Matrix products: rows as of a convolution over 28 x 28 places, and a chain of four.
_ROWS, _SIDE, _CHAIN = 256, 512, 4
_PICOSECONDS = 1e12

openvino = load_openvino()
ops = openvino.opset13


def fastest(action: Callable[[], Any], *, seconds: float) -> float:
    """Return the least processor time of `action` in seconds, over as many calls as fit.

    All threads of the process count, so that an engine that took a second core would not gain by
    it; that another process has the core meanwhile does not count.
    """
    action()
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.process_time()
        action()
        best = min(best, time.process_time() - start)
        if time.perf_counter() > end:
            return best


def _settings(hint: str) -> dict[str, Any]:
    return {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "ENABLE_CPU_PINNING": False,
    }


def _rounded(values: Any, low: float, high: float, levels: int) -> Any:
    bounds = [ops.constant(np.array(bound, np.float32)) for bound in (low, high, low, high)]
    return ops.fake_quantize(values, *bounds, levels)


def _chain(int8: bool) -> Any:
    """Return four matrix products with a ReLU after each, in 8 bits or as the hint says."""
    first = ops.parameter([_ROWS, _SIDE], np.float32)
    values: Any = first
    for seed in range(_CHAIN):
        drawn = np.random.default_rng(seed).normal(size=(_SIDE, _SIDE)) / _SIDE**0.5
        weights: Any = ops.constant(drawn.astype(np.float32))
        if int8:
            values, weights = _rounded(values, 0, 4, 256), _rounded(weights, -0.2, 0.2, 255)
        values = ops.relu(ops.matmul(values, weights, False, True))
    return openvino.Model([values], [first], "chain")


def limits(seconds: float) -> dict[str, float]:
    """Return the operations a second, in units of 10^12, that one core reaches in products.

    The best of PyTorch and OpenVINO, since neither reaches the processor's limit everywhere.
    """
    core, found = openvino.Core(), {}
    operations = 2 * _CHAIN * _ROWS * _SIDE**2
    for precision in ("f32", "bf16", "int8"):
        hint = "bf16" if precision == "bf16" else "f32"
        compiled = core.compile_model(_chain(precision == "int8"), "CPU", _settings(hint))
        request = compiled.create_infer_request()
        found[precision] = operations / fastest(request.infer, seconds=seconds)
    for precision, kind in (("f32", torch.float32), ("bf16", torch.bfloat16)):
        left, right = torch.ones(_SIDE, _SIDE, dtype=kind), torch.ones(_SIDE, _SIDE, dtype=kind)

        def product(left: torch.Tensor = left, right: torch.Tensor = right) -> torch.Tensor:
            return left @ right

        reached = 2 * _SIDE**3 / fastest(product, seconds=seconds)
        found[precision] = max(found[precision], reached)
    return {precision: value / _PICOSECONDS for precision, value in found.items()}


def operations_of(network: torch.nn.Module, inputs: torch.Tensor) -> int:
    """Return the additions and multiplications of convolutions and dense layers for `inputs`."""
    total = 0

    def count(layer: torch.nn.Module, _: Any, output: torch.Tensor) -> None:
        nonlocal total
        weight = layer.get_parameter("weight")
        # Each output is a sum over one filter; an output of a convolution has many places.
        total += 2 * output.numel() * weight[0].numel()

    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    hooks = [
        layer.register_forward_hook(count)
        for layer in network.modules()
        if isinstance(layer, kinds)
    ]
    with torch.inference_mode():
        network(inputs)
    for hook in hooks:
        hook.remove()
    return total


def networks_of(
    classifier: Classifier, calibration: NDArray[np.uint8]
) -> Mapping[Precision, bytes]:
    """Return the ONNX file of a classifier for each precision."""
    graph = to_onnx(classifier)
    plain = serialised(graph, {}, name=classifier.card.id)
    small = serialised(quantised(graph, calibration), {}, name=classifier.card.id)
    return {"f32": plain, "bf16": plain, "int8": small}


def measure_network(
    classifier: Classifier,
    networks: Mapping[Precision, bytes],
    *,
    batches: tuple[int, ...],
    seconds: float,
) -> dict[str, dict[str, float]]:
    """Return milliseconds an image by engine and precision, then by batch."""
    network = classifier.network
    if network is None:
        raise ValueError(f"{classifier.card.id} has no network")
    config = classifier.preprocess
    shape = (config.rows, config.columns, *((3,) if config.colour else ()))
    found: dict[str, dict[str, float]] = {}
    for batch in batches:
        name = f"batch_{batch}"
        images = np.random.default_rng(1).integers(0, 256, (batch, *shape), np.uint8)
        plain = to_batch(images).contiguous()
        ordered = channels_last(plain)
        rows: dict[str, Callable[[], Any]] = {
            "torch_f32": partial(_torch, network, plain, bfloat16=False),
            "torch_f32_channels_last": partial(_torch, network, ordered, bfloat16=False),
            "torch_bf16_channels_last": partial(_torch, network, ordered, bfloat16=True),
            "onnxruntime_f32": _engine(classifier, networks["f32"], "onnx", "f32", images),
            "openvino_f32": _openvino(networks["f32"], "f32", images),
            "openvino_bf16": _openvino(networks["bf16"], "bf16", images),
            "openvino_int8": _openvino(networks["int8"], "f32", images),
        }
        for row, action in rows.items():
            each = fastest(action, seconds=seconds) / batch * 1000
            found.setdefault(row, {})[name] = round(each, 4)
    return found


def _torch(network: torch.nn.Module, inputs: torch.Tensor, *, bfloat16: bool) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        network(inputs)


def _engine(
    classifier: Classifier,
    network: bytes,
    engine: Engine,
    precision: Precision,
    images: NDArray[np.uint8],
) -> Callable[[], Any]:
    """Return a call of the product's own runtime, which takes images one at a time."""
    logits = logits_of_network(
        network,
        classifier.preprocess,
        engine=engine,
        precision=precision,
        name=classifier.card.id,
    )
    return lambda: logits(images)


def _openvino(network: bytes, hint: str, images: NDArray[np.uint8]) -> Callable[[], Any]:
    """Return a call of the compiled network alone, with the whole batch at once."""
    core = openvino.Core()
    model = core.read_model(network, b"")
    model.reshape(list(images.shape))
    request: Any = core.compile_model(model, "CPU", _settings(hint)).create_infer_request()
    np.copyto(request.get_input_tensor().data, images)
    run: Callable[[], Any] = request.infer
    return run
