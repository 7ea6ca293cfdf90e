import hashlib

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.protection.watermark.residual import (
    MAP_LIMIT,
    Residual,
    differences,
    native,
    quantised,
)


def small_map(rows=32, columns=24):
    """Return a map that no random generator decides: the same on every machine."""
    row, column = np.indices((rows, columns))
    return ((row * 37 + column * column * 11 + row * column * 5) % 23 - 11).astype(np.int8)


def whole(residual, shape):
    return np.concatenate([strip for _, strip in differences(residual, shape)])


# SHA-256 over the differences as little-endian 64-bit integers: they may never change, or marks
# could no longer be taken out.
GOLDEN = {
    (32, 24): "3d3727f1611a4898a145f07e7d142c7a07aacdd26c94bc9214762aadf4520117",
    (150, 101): "c0f5256973bd96662435663dfe97f5d7ee53f065fc548418d7bf9c96bc38670e",
    (20, 31): "fad857ea418a6e95f1e86683498087432927257de62034cf1824c76d235df51a",
    (1100, 40): "0116b023908b837ee0fd5e50a29d9d090dcf9a535e44436d91ff130d0d1ba0e7",
}


@pytest.mark.parametrize("shape", GOLDEN)
def test_the_same_differences_for_ever(shape):
    residual = Residual.of(small_map(), [0.37, 1.25])
    added = whole(residual, shape)
    assert added.shape == (*shape, 2)
    digest = hashlib.sha256(added.astype("<i8").tobytes()).hexdigest()
    assert digest == GOLDEN[shape]


@pytest.mark.parametrize("shape", [(32, 24), (64, 48), (150, 101), (20, 31), (9, 8), (33, 24)])
def test_integers_agree_with_floating_point(shape):
    residual = Residual.of(small_map(), [3.7])
    wanted = native(residual.map, shape) * 3.7
    assert np.abs(whole(residual, shape)[..., 0] - wanted).max() <= 0.5 + 1e-4
    # Rounding is to the nearest, without a bias.
    assert abs((whole(residual, shape)[..., 0] - wanted).mean()) < 0.05


def test_the_native_size_of_the_map_is_the_map():
    assert np.array_equal(native(small_map(), (32, 24)), small_map())
    residual = Residual.of(small_map(), [4.0])
    assert np.array_equal(whole(residual, (32, 24))[..., 0], small_map() * 4)


def test_an_enlarged_map_is_that_of_opencv():
    small = small_map()
    wanted = cv2.resize(small.astype(np.float32), (96, 128), interpolation=cv2.INTER_CUBIC)
    # Weights are multiples of 2**-11.
    assert np.abs(native(small, (128, 96)) - wanted).max() < 0.03


def test_a_shrunken_map_keeps_its_mean_and_loses_its_detail():
    small = np.full((64, 64), 5, np.int8)
    assert np.abs(native(small, (20, 24)) - 5).max() < 0.02
    checks = (np.indices((64, 64)).sum(0) % 2 * 20 - 10).astype(np.int8)
    assert np.abs(native(checks, (16, 16))[2:-2, 2:-2]).max() < 1


@given(
    small=st.tuples(st.integers(2, 40), st.integers(2, 40)),
    shape=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_no_size_leaves_the_range_of_the_integers(small, shape, seed):
    rng = np.random.default_rng(seed)
    extreme = rng.choice(np.array([-MAP_LIMIT, MAP_LIMIT], np.int8), small)
    enlarged = native(extreme, shape)
    assert enlarged.shape == shape
    # The magnitudes of the weights of the cubic sum up to 1.375 in each direction.
    assert np.abs(enlarged).max() <= MAP_LIMIT * 1.375**2 * 1.01


@pytest.mark.parametrize("scale", [1e-9, 0.001, 0.4, 1.0, 77.7, 2.0**31 / 255, 2.0**50])
def test_scales_of_every_depth_keep_their_precision(scale):
    residual = Residual.of(small_map(), [scale, scale / 3])
    assert all(0 <= each <= 2**30 for each in residual.scales)
    assert -21 <= residual.shift <= 40
    meant = [each * 2.0**-residual.shift for each in residual.scales]
    assert meant == pytest.approx([scale, scale / 3], rel=1e-6, abs=2.0**-41)
    added = whole(residual, (64, 48))
    wanted = native(residual.map, (64, 48))[..., None] * np.array(meant)
    assert np.abs(added - wanted).max() <= 0.5 + 1e-6 * np.abs(wanted).max()


def test_nothing_is_added_at_scale_0():
    assert not whole(Residual.of(small_map(), [0.0, 0.0]), (50, 50)).any()


def test_quantised_maps_keep_the_shape_of_the_residual():
    rng = np.random.default_rng(1)
    residual = rng.normal(0, 0.02, (64, 64)).astype(np.float32)
    residual[:20] = 0
    small = quantised(residual)
    assert small.dtype == np.int8
    assert not small[:20].any()
    assert np.corrcoef(small[20:].ravel(), residual[20:].ravel())[0, 1] > 0.99
    assert float(np.sqrt(np.mean(small[20:].astype(float) ** 2))) == pytest.approx(3, rel=0.05)
    assert np.array_equal(quantised(residual * 1000), small)


def test_a_residual_of_nothing_and_one_with_an_outlier():
    assert not quantised(np.zeros((8, 8), np.float32)).any()
    spiky = np.full((400, 400), 1e-3, np.float32)
    spiky[0, 0], spiky[0, 1] = 1e3, -1e3
    assert quantised(spiky)[0, :2].tolist() == [MAP_LIMIT, -MAP_LIMIT]
