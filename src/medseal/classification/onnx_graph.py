"""From a trained network to an ONNX graph: bytes in, logits out."""

import io
import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from medseal.classification.classifier import Classifier
from medseal.classification.exported import MAX_MODEL_BYTES
from medseal.errors import ConfigurationError, WeightsError

if TYPE_CHECKING:
    import onnx

__all__ = ["INPUT", "OPSET", "quiet", "serialised", "to_onnx"]

OPSET = 20
INPUT, _OUTPUT = "images", "logits"
# Traced with two images, so that the number of images stays open.
_TRACED = 2
_WHITE_LEVEL = 255.0


class _Served(nn.Module):
    """The network with the last step of `preprocess` before it: bytes in, logits out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        scaled = images.to(torch.float32) / _WHITE_LEVEL
        colour = images.dim() == 4  # noqa: PLR2004  # (B, H, W, 3)
        batch = scaled.permute(0, 3, 1, 2) if colour else scaled.unsqueeze(1)  # (B, C, H, W)
        logits: Tensor = self.network(batch)  # (B, classes)
        return logits


def to_onnx(classifier: Classifier) -> "onnx.ModelProto":
    """Return the network as an ONNX graph from standardised images to logits.

    Raises
    ------
    ConfigurationError
        The model has no network, or the exporter is not installed.
    """
    if classifier.network is None:
        raise ConfigurationError(f"{classifier.card.id} has no network that could be exported")
    config = classifier.preprocess
    shape = (_TRACED, config.rows, config.columns, *((3,) if config.colour else ()))
    example = torch.zeros(shape, dtype=torch.uint8)
    with quiet():
        try:
            program = torch.onnx.export(
                _Served(classifier.network).eval(),
                (example,),
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=[INPUT],
                output_names=[_OUTPUT],
                verbose=False,
            )
        except ImportError as error:
            raise ConfigurationError(
                "onnx and onnxscript are needed: pip install 'medseal[export]'"
            ) from error
    if program is None:
        raise ConfigurationError(f"{classifier.card.id} cannot be exported to ONNX")
    graph = program.model_proto
    _rectify_before_pooling(graph)
    return graph


def _rectify_before_pooling(graph: "onnx.ModelProto") -> None:
    """Turn each convolution, max pooling, ReLU into convolution, ReLU, max pooling.

    The ReLU of a maximum is the maximum of the ReLUs. Training is faster with the first order;
    engines fuse a ReLU into the convolution before it, and quantise what they have fused.
    """
    made_by = {node.output[0]: node for node in graph.graph.node}
    uses: Counter[str] = Counter(name for node in graph.graph.node for name in node.input)
    for relu in graph.graph.node:
        pool = made_by.get(relu.input[0]) if relu.op_type == "Relu" else None
        if pool is None or pool.op_type != "MaxPool" or uses[pool.output[0]] != 1:
            continue
        convolution = made_by.get(pool.input[0])
        if convolution is None or convolution.op_type != "Conv" or uses[pool.input[0]] != 1:
            continue
        # The nodes change places: names and attributes go with the operation.
        first, last = type(pool)(), type(relu)()
        first.CopyFrom(relu)
        last.CopyFrom(pool)
        between = pool.output[0]
        first.input[:], first.output[:] = [pool.input[0]], [between]
        last.input[:], last.output[:] = [between], [relu.output[0]]
        pool.CopyFrom(first)
        relu.CopyFrom(last)
    # What is known of the values between nodes is of the old order.
    del graph.graph.value_info[:]


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the exporters' progress and their regret about torchvision off the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "nncf", "onnxscript")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def serialised(graph: "onnx.ModelProto", metadata: dict[str, str], *, name: str) -> bytes:
    """Return the bytes of the ONNX file with its metadata.

    Raises
    ------
    WeightsError
        More than `MAX_MODEL_BYTES`.
    """
    import onnx  # noqa: PLC0415  # optional; `to_onnx` has said if it is missing

    onnx.helper.set_model_props(graph, metadata)
    data = bytes(graph.SerializeToString())
    if len(data) > MAX_MODEL_BYTES:
        raise WeightsError(f"{name}: the exported network exceeds {MAX_MODEL_BYTES} bytes")
    return data
