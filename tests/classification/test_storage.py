import numpy as np
import pytest

from medseal.classification.storage import SCALE_SUFFIX, StorageConfig, pack, unpack
from medseal.errors import ConfigurationError, WeightsError


def tensors():
    generator = np.random.default_rng(1)
    weights = generator.normal(0, [[0.01], [1.0], [100.0]], (3, 20)).astype(np.float32)
    return {
        "conv.weight": weights.reshape(3, 5, 2, 2),
        "conv.bias": np.array([1 / 3, 2, 3], np.float32),
        "norm.num_batches_tracked": np.array(7),
    }


def test_half_precision_is_close():
    packed = pack(tensors(), config=StorageConfig())
    assert packed["conv.weight"].dtype == np.float16
    assert set(unpack(packed)) == set(tensors())
    np.testing.assert_allclose(packed["conv.weight"], tensors()["conv.weight"], rtol=1e-3)


def test_eight_bits_have_half_a_step_of_error_in_each_filter():
    packed = pack(tensors(), config=StorageConfig(precision="int8"))
    assert packed["conv.weight"].dtype == np.int8
    assert packed["conv.weight" + SCALE_SUFFIX].dtype == np.float16
    back, exact = unpack(packed)["conv.weight"], tensors()["conv.weight"]
    assert back.dtype == np.float32
    for row, true in zip(back.reshape(3, -1), exact.reshape(3, -1), strict=True):
        # Half a step, and a little for the rounding of the scale itself.
        assert np.abs(row - true).max() <= np.abs(true).max() / 127 * 0.6


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_offsets_and_counts_stay_exact(precision):
    back = unpack(pack(tensors(), config=StorageConfig(precision=precision)))
    assert back["conv.bias"].tolist() == tensors()["conv.bias"].tolist()
    assert back["norm.num_batches_tracked"] == 7


@pytest.mark.parametrize("value", [0.0, 1e-9])
def test_empty_filters_stay_finite(value):
    packed = pack({"w": np.full((2, 3), value, np.float32)}, config=StorageConfig(precision="int8"))
    np.testing.assert_allclose(unpack(packed)["w"], value, atol=1e-8)


def test_missing_scales_are_refused():
    packed = pack(tensors(), config=StorageConfig(precision="int8"))
    for wrong in ({}, {"conv.weight" + SCALE_SUFFIX: np.ones(2, np.float16)}):
        with pytest.raises(WeightsError, match=r"8-bit tensor conv.weight has no scales"):
            unpack({"conv.weight": packed["conv.weight"], **wrong})


def test_another_precision_is_refused():
    with pytest.raises(ConfigurationError, match="float16, int8"):
        StorageConfig(precision="int4")
