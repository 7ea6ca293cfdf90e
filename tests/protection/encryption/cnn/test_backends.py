import numpy as np
import pytest
import torch

from medseal.errors import ConfigurationError, InexactArithmeticError
from medseal.protection.encryption.cnn import backends


@pytest.mark.parametrize("name", backends.available())
def test_products_are_exact_at_the_size_of_a_band(name: str) -> None:
    generator = np.random.default_rng(1)
    product = backends.load(name)
    for count, depth, width in [(2048, 288, 32), (300, 64, 128), (1, 32, 64)]:
        left = generator.integers(0, 256, (count, depth), dtype=np.uint8)
        right = generator.integers(-64, 64, (depth, width), dtype=np.int8)
        expected = left.astype(np.int64) @ right.astype(np.int64)
        assert np.array_equal(product(left, right), expected)


def test_the_fastest_that_is_installed_comes_first_and_the_reference_last() -> None:
    assert backends.default() == backends.available()[0]
    assert backends.available()[-1] == "int64"
    assert {"numpy", "int64"} <= set(backends.available()) <= set(backends.BACKENDS)


def half_precision(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    sums = left.astype(np.float32) @ right.astype(np.float32)
    return sums.astype(np.float16).astype(np.float32).astype(np.int32)


def saturating(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.clip(backends.int64_product(left, right), -32768, 32767).astype(np.int32)


def wrong_in_one_row(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    result = backends.int64_product(left, right)
    result[-1, -1] += 1
    return result


def of_another_type(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return backends.int64_product(left, right).astype(np.int64)


@pytest.mark.parametrize("product", [half_precision, saturating, wrong_in_one_row, of_another_type])
@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
def test_a_product_that_is_not_exact_is_refused(product: backends.Product) -> None:
    with pytest.raises(InexactArithmeticError, match="this one does not multiply"):
        backends.check_exact(product, name="this one")


def test_bfloat16_as_autocast_uses_it_is_refused() -> None:
    def product(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        factors = [torch.from_numpy(side).float() for side in (left, right)]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return (factors[0] @ factors[1]).to(torch.int32).numpy()

    with pytest.raises(InexactArithmeticError, match="autocast does not multiply"):
        backends.check_exact(product, name="autocast")


def test_an_unknown_backend_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="backend is one of"):
        backends.load("winograd")


def test_a_backend_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    backends.load.cache_clear()
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="needs onnxruntime"):
        backends.load("onnxruntime")
