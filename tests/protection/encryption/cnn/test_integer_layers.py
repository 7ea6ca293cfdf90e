import numpy as np
import pytest

from medseal.errors import InexactArithmeticError
from medseal.protection.encryption.cnn import integer_layers as layers
from medseal.protection.encryption.cnn.backends import int64_product
from medseal.protection.encryption.keystream import Stream


def maps(rows: int, columns: int, channels: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, channels), dtype=np.uint8)


def slowly(source: np.ndarray, layer: layers.Layer, row: int, column: int) -> np.ndarray:
    """Return the sums of one place by the definition of a convolution on a torus."""
    rows, columns, channels = source.shape
    weights = layer.matrix.astype(int).reshape(3, 3, channels, -1)
    total = layer.bias.astype(int)
    for down in range(3):
        for right in range(3):
            seen = source[(row + down - 1) % rows, (column + right - 1) % columns].astype(int)
            total = total + seen @ weights[down, right]
    return total


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", [(4, 4, 3), (8, 12, 5), (4, 2100, 2), (100, 40, 2)])
def test_a_convolution_is_the_sum_over_neighbours_on_the_torus(
    stride: int, shape: tuple[int, int, int]
) -> None:
    source = maps(*shape)
    layer = layers.draw_layer(Stream(bytes(32)), 9 * shape[2], 6)
    result = layers.convolve(int64_product, source, layer, stride=stride)
    assert result.shape == (shape[0] // stride, shape[1] // stride, 6)
    for row, column in [(0, 0), (1, 1), (result.shape[0] - 1, result.shape[1] - 1)]:
        sums = slowly(source, layer, row * stride, column * stride)
        assert np.array_equal(result[row, column], (sums ^ (sums >> 8)) & 255)


def test_mixing_is_a_product_at_every_place() -> None:
    source = maps(50, 60, 7)
    layer = layers.draw_layer(Stream(bytes(32)), 7, 4)
    sums = source.astype(int) @ layer.matrix.astype(int) + layer.bias
    assert np.array_equal(layers.mix(int64_product, source, layer), (sums ^ (sums >> 8)) & 255)


def test_weights_use_their_whole_range_and_no_more() -> None:
    layer = layers.draw_layer(Stream(bytes(32)), 288, 64)
    assert set(np.unique(layer.matrix)) == set(range(-64, 64))
    assert layer.bias.min() >= 0
    assert layer.bias.max() < 1 << 16


def test_weights_whose_sums_float32_cannot_hold_are_refused() -> None:
    just_below = np.full((514, 1), 127, np.int8)
    layers.check_bound(just_below)
    with pytest.raises(InexactArithmeticError, match="may reach"):
        layers.check_bound(np.full((519, 1), -127, np.int8))


def test_words_are_folded_from_two_sums() -> None:
    sums = np.random.default_rng(0).integers(-(2**21), 2**21, (10, 6), dtype=np.int32)
    factors = np.array([1, 3, 65535], np.uint16)
    joined = sums[:, :3].astype(int) + 32 * sums[:, 3:].astype(int)
    words = ((joined ^ (joined >> 11)) & 0xFFFF) * factors.astype(int) & 0xFFFF
    expected = words ^ (words >> 8)
    assert np.array_equal(layers.fold_words(sums, factors), expected)


def test_pooling_keeps_the_last_bit_of_every_place() -> None:
    source = maps(4, 6, 2)
    expected = source.astype(int).reshape(2, 2, 3, 2, 2).sum(axis=(1, 3)) & 255
    assert np.array_equal(layers.pool(source), expected)
    assert np.array_equal(layers.upsample(source)[::2, 1::2], source)


def test_depth_becomes_space_block_by_block() -> None:
    source = maps(2, 3, 8)
    result = layers.to_space(source)
    assert result.shape == (4, 6, 2)
    assert np.array_equal(result[2, 4], source[1, 2, :2])
    assert np.array_equal(result[3, 4], source[1, 2, 4:6])
