"""Run an exported model on OpenVINO or ONNX Runtime, or a trained one on PyTorch, the reference."""

import logging
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from medseal.classification.classifier import Classifier
from medseal.classification.exported import (
    Engine,
    ExportedModel,
    Precision,
    is_exported,
    read_exported,
)
from medseal.errors import ConfigurationError, ModelMismatchError, WeightsError
from medseal.imaging.preprocess import PreprocessConfig
from medseal.weights import is_model_id
from medseal.weights.engine import load_openvino

__all__ = [
    "Runtime",
    "engine_version",
    "installed_engines",
    "logits_of_network",
    "open_model",
    "serve",
]

Runtime = Literal["auto", "openvino", "onnx", "torch"]
Logits = Callable[[NDArray[np.uint8]], NDArray[np.float64]]

_LOGGER = logging.getLogger("medseal.runtime")
# In this order of preference: OpenVINO has the kernels for bfloat16.
_MODULES: dict[Engine, str] = {"openvino": "openvino", "onnx": "onnxruntime"}
# Weights of a large network do not stay in the cache from one image to the next: several images
# share one reading of them. In 8 bits sums are exact, so that a result does not depend on its
# company.
_LARGE_BYTES, _TOGETHER = 8 * 2**20, 4
# OpenVINO keeps float32 where it is told so, and would choose bfloat16 by itself elsewhere.
_HINTS: dict[Precision, str] = {"f32": "f32", "bf16": "bf16", "int8": "f32"}


def open_model(model: str | Path, *, runtime: str = "auto", threads: int = 1) -> Classifier:
    """Return a model ready to classify.

    Parameters
    ----------
    model
        Id of an installed model, a folder that `train` has written, or one that `export` has.
    runtime
        ``auto``: an exported model on OpenVINO, else on ONNX Runtime, which is said in the log; a
        trained one on PyTorch. A named runtime is taken or refused, never replaced.
    threads
        Of the engine; several processes of one thread are faster than one of several.

    Raises
    ------
    ConfigurationError
        An unknown runtime, one that is not installed or was not gated, or one that does not run
        this kind of model.
    VerificationError
        The model is not what it should be.
    """
    if runtime not in get_args(Runtime):
        raise ConfigurationError(f"runtime must be one of {', '.join(get_args(Runtime))}")
    folder = Path(model)
    if not (isinstance(model, str) and is_model_id(model)) and is_exported(folder):
        if runtime == "torch":
            raise ConfigurationError(
                f"{folder.name} is an exported model: name the trained one to run it on torch"
            )
        served = serve(read_exported(folder), runtime=runtime, threads=threads)
        return replace(served, folder=folder)
    if runtime not in ("auto", "torch"):
        raise ConfigurationError(
            f"{model} is not an exported model: export it first, with medseal export"
        )
    # Imported when used: an exported model is served where torch is not installed.
    from medseal.classification.predict import load, load_folder  # noqa: PLC0415

    if isinstance(model, str) and is_model_id(model):
        return load(model)
    return replace(load_folder(folder), folder=folder)


def installed_engines() -> tuple[Engine, ...]:
    """Return the engines that are installed, the preferred one first."""
    return tuple(engine for engine, module in _MODULES.items() if find_spec(module) is not None)


def engine_version(engine: Engine) -> str:
    """Return name and version of an installed engine."""
    return f"{_MODULES[engine]} {version(_MODULES[engine])}"


def serve(exported: ExportedModel, *, runtime: str = "auto", threads: int = 1) -> Classifier:
    """Return the classifier of a verified exported model; arguments as `open_model`.

    Raises
    ------
    ConfigurationError
        The engine is not installed, or the export gate did not measure it.
    WeightsError
        The engine cannot read the network.
    """
    engine = _engine(exported, runtime)
    precision = exported.record.precision
    shown = "f32" if engine == "onnx" and precision == "bf16" else precision
    logits = logits_of_network(
        exported.network,
        exported.preprocess,
        engine=engine,
        precision=precision,
        threads=threads,
        name=exported.card.id,
    )
    reduced = exported.record.reduced
    return Classifier(
        card=exported.card,
        preprocess=exported.preprocess,
        logits=logits,
        runtime=f"{engine} {shown}",
        executed=exported.record.model_sha256,
        reduces=reduced is not None and reduced.get("allowed") is True,
    )


def _engine(exported: ExportedModel, runtime: str) -> Engine:
    """Return the engine to take; say so aloud where it is not the preferred one."""
    installed, gated = installed_engines(), exported.record.gates
    wanted = [engine for engine in _MODULES if runtime in ("auto", engine)]
    for engine in wanted:
        if engine in installed and engine in gated:
            if engine != next(iter(_MODULES)) and runtime == "auto":
                _LOGGER.warning(
                    "%s runs on ONNX Runtime, which is slower: OpenVINO is not installed or was "
                    "not gated",
                    exported.card.id,
                )
            return engine
    names = " or ".join(_MODULES[engine] for engine in wanted)
    if any(engine in installed for engine in wanted):
        raise ConfigurationError(
            f"{exported.card.id} was not gated on {names}: export it again where that is installed"
        )
    raise ConfigurationError(f"{names} is not installed: pip install 'medseal[runtime]'")


def logits_of_network(
    network: bytes,
    config: PreprocessConfig,
    *,
    engine: Engine,
    precision: Precision,
    threads: int = 1,
    name: str,
) -> Logits:
    """Return the function from standardised images to logits that an engine computes.

    Images go through one at a time: on one thread that is the fastest, and a result does not
    depend on its company. Those of a large network in 8 bits go through OpenVINO four at a time,
    where there are as many, with the same results.

    Parameters
    ----------
    network
        Bytes of an ONNX file whose digest was checked.
    config
        States the shape of the input.
    engine
        Installed.
    precision
        What it runs in where the processor has it; ONNX Runtime takes float32 for ``bf16``.
    threads
        Of the engine.
    name
        Of the model, for messages.

    Raises
    ------
    WeightsError
        The engine cannot read the network.
    """
    shape = (config.rows, config.columns, *((3,) if config.colour else ()))

    def runner(count: int) -> Logits:
        try:
            if engine == "openvino":
                sizes, hint = (count, *shape), _HINTS[precision]
                return _openvino(network, sizes, hint=hint, threads=threads)
            return _onnxruntime(network, threads=threads)
        # The engines raise bare RuntimeError and classes of their own.
        except Exception as error:
            raise WeightsError(f"{name}: {_MODULES[engine]} cannot read the network") from error

    large = engine == "openvino" and precision == "int8" and len(network) >= _LARGE_BYTES
    together = _TOGETHER if large else 1
    runners = {1: runner(1)}

    def logits(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        if images.dtype != np.uint8 or images.shape[1:] != shape or len(images) == 0:
            raise ModelMismatchError(
                f"{name} takes 8-bit images of shape {('n', *shape)}, not {images.dtype} of "
                f"{images.shape}: standardise them with its settings"
            )
        found, start = [], 0
        while start < len(images):
            count = together if len(images) - start >= together else 1
            if count not in runners:
                runners[count] = runner(count)
            found.append(runners[count](images[start : start + count]))
            start += count
        return np.concatenate(found)

    return logits


def _openvino(network: bytes, shape: tuple[int, ...], *, hint: str, threads: int) -> Logits:
    openvino = load_openvino()
    core = openvino.Core()
    model = core.read_model(network, b"")
    model.reshape(list(shape))
    settings = {
        "INFERENCE_PRECISION_HINT": hint,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        # Several workers on one machine would be pinned to the same core.
        "ENABLE_CPU_PINNING": False,
    }
    request: Any = core.compile_model(model, "CPU", settings).create_infer_request()
    # Filled in place: a call with arrays costs 0.05 ms more.
    place = request.get_input_tensor().data
    found = request.get_output_tensor()

    def run(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        np.copyto(place, images)
        request.infer()
        return np.array(found.data, dtype=np.float64)

    return run


def _onnxruntime(network: bytes, *, threads: int) -> Logits:
    import onnxruntime  # noqa: PLC0415  # only where it is wanted

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(image: NDArray[np.uint8]) -> NDArray[np.float64]:
        return np.asarray(session.run(None, {name: image})[0], dtype=np.float64)

    return run
