"""Exact products of small integers, the one step of the integer cipher that libraries speed up.

Everything else of the cipher is integer arithmetic of NumPy. A backend is used after its products
were compared with 64-bit integers. No security claim rests on a learned method: confidentiality
and integrity come from the sealed package around it.
"""

import importlib
from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medseal.errors import ConfigurationError, InexactArithmeticError

__all__ = [
    "BACKENDS",
    "EXACT_LIMIT",
    "MAX_INPUT",
    "MAX_WEIGHT",
    "Product",
    "available",
    "check_exact",
    "default",
    "int64_product",
    "load",
]

Bytes = NDArray[np.uint8]
Product = Callable[[Bytes, NDArray[np.int8]], NDArray[np.int32]]
"""(M, K) bytes times (K, N) weights of at most 64: (M, N), exact."""

MAX_INPUT = 255
# Two products of a byte and a weight of 64 fit 16 bits, where AVX2 code without VNNI adds them.
MAX_WEIGHT = 64
EXACT_LIMIT = 1 << 24
"""Below it float32 holds every integer, so that a sum is exact in any order."""

_SIGN = 128


def int64_product(left: Bytes, right: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return the product by 64-bit integers: the reference, without any library."""
    result: NDArray[np.int64] = np.matmul(left.astype(np.int64), right.astype(np.int64))
    return result.astype(np.int32)


def _float32_product(left: Bytes, right: NDArray[np.int8]) -> NDArray[np.int32]:
    """Return the product by the BLAS that NumPy is built with."""
    result: NDArray[np.float32] = np.matmul(left.astype(np.float32), right.astype(np.float32))
    return result.astype(np.int32)


def _torch_product() -> Product:
    """Return the product by oneDNN's 8-bit kernels."""
    torch: Any = importlib.import_module("torch")

    def product(left: Bytes, right: NDArray[np.int8]) -> NDArray[np.int32]:
        # The kernel takes signed bytes: sum (x - 128) w = sum x w - 128 sum w.
        signed = torch.from_numpy(np.bitwise_xor(left, np.uint8(_SIGN)).view(np.int8))
        result: NDArray[np.int32] = torch._int_mm(signed, torch.from_numpy(right)).numpy()
        result += _SIGN * right.sum(axis=0, dtype=np.int32)
        return result

    return product


def _cuda_product() -> Product:
    """Return the product by float64 on a GPU, where no kernel trades exactness for speed."""
    torch: Any = importlib.import_module("torch")

    def product(left: Bytes, right: NDArray[np.int8]) -> NDArray[np.int32]:
        factors = (torch.from_numpy(side).cuda().double() for side in (left, right))
        result: NDArray[np.int32] = torch.matmul(*factors).to(torch.int32).cpu().numpy()
        return result

    return product


def _onnxruntime_product() -> Product:
    """Return the product by MatMulInteger on one thread."""
    onnxruntime: Any = importlib.import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        _matmul_integer_model(), options, providers=["CPUExecutionProvider"]
    )

    def product(left: Bytes, right: NDArray[np.int8]) -> NDArray[np.int32]:
        result: NDArray[np.int32] = session.run(None, {"a": left, "b": right})[0]
        return result

    return product


def _matmul_integer_model() -> bytes:
    """Return an ONNX model of one MatMulInteger node; so small that no package is needed."""

    def field(number: int, content: bytes) -> bytes:
        return bytes((number << 3 | 2, len(content))) + content

    def number(field_number: int, value: int) -> bytes:
        return bytes((field_number << 3, value))

    def tensor(name: bytes, kind: int, axes: bytes) -> bytes:
        dimensions = b"".join(field(1, field(2, axes[i : i + 1])) for i in range(2))
        shape = number(1, kind) + field(2, dimensions)
        return field(1, name) + field(2, field(1, shape))

    # onnx.proto3: TensorProto.DataType UINT8 = 2, INT8 = 3, INT32 = 6
    node = field(1, b"a") + field(1, b"b") + field(2, b"c") + field(4, b"MatMulInteger")
    graph = (
        field(1, node)
        + field(2, b"product")
        + field(11, tensor(b"a", 2, b"mk"))
        + field(11, tensor(b"b", 3, b"kn"))
        + field(12, tensor(b"c", 6, b"mn"))
    )
    return number(1, 8) + field(7, graph) + field(8, number(2, 13))


_MAKERS: dict[str, tuple[str, Callable[[], Product]]] = {
    "onnxruntime": ("onnxruntime", _onnxruntime_product),
    "torch": ("torch", _torch_product),
    "numpy": ("numpy", lambda: _float32_product),
    "torch-cuda": ("torch", _cuda_product),
    "int64": ("numpy", lambda: int64_product),
}
BACKENDS = tuple(_MAKERS)
"""By measured speed of the whole cipher on one core; the first that is installed is the default."""


def default() -> str:
    """Return the first backend whose library is installed, without importing any."""
    return next(name for name, (module, _) in _MAKERS.items() if find_spec(module) is not None)


def available() -> tuple[str, ...]:
    """Return the backends that can run here; this imports torch where it is installed."""
    found = [name for name, (module, _) in _MAKERS.items() if find_spec(module) is not None]
    if "torch-cuda" in found and not importlib.import_module("torch").cuda.is_available():
        found.remove("torch-cuda")
    return tuple(found)


@lru_cache(maxsize=len(_MAKERS))
def load(name: str) -> Product:
    """Return the product of one backend after its self-test; tested once in a process.

    Parameters
    ----------
    name
        One of `BACKENDS`.

    Raises
    ------
    ConfigurationError
        Unknown, or its library is not installed.
    InexactArithmeticError
        Its products are not exact on this machine.
    """
    if name not in _MAKERS:
        raise ConfigurationError(f"backend is one of {', '.join(BACKENDS)}; got {name!r}")
    module, make = _MAKERS[name]
    if find_spec(module) is None:
        raise ConfigurationError(f"the backend {name} needs {module}, which is not installed")
    product = make()
    check_exact(product, name=name)
    return product


def check_exact(product: Product, *, name: str) -> None:
    """Compare products with those of 64-bit integers, largest sums and odd shapes among them.

    Parameters
    ----------
    product
        What is to be tested.
    name
        Of the backend, for the message.

    Raises
    ------
    InexactArithmeticError
        One number differs.
    """
    generator = np.random.default_rng(0)
    for count, depth, width in ((1, 64, 32), (37, 288, 32), (257, 288, 64), (19, 32, 128)):
        left = generator.integers(0, MAX_INPUT + 1, (count, depth), dtype=np.uint8)
        right = generator.integers(-MAX_WEIGHT, MAX_WEIGHT, (depth, width), dtype=np.int8)
        # Extremes: the largest sums of either sign, beside sums that cancel.
        left[0], right[:, 0], right[:, 1] = MAX_INPUT, MAX_WEIGHT - 1, -MAX_WEIGHT
        result = product(left, right)
        if result.dtype != np.int32 or not np.array_equal(result, int64_product(left, right)):
            raise InexactArithmeticError(
                f"the backend {name} does not multiply integers exactly on this machine; "
                "name another one"
            )
