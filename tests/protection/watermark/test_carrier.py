import numpy as np

from medseal.protection.watermark.carrier import TILE, block_dct, carrier, inverse_block_dct
from medseal.protection.watermark.payload import CODED_BITS
from tests.protection.pictures import KEY


def test_the_block_dct_is_orthonormal():
    tile = np.random.default_rng(1).normal(size=(TILE, TILE)).astype(np.float32)
    coefficients = block_dct(tile)
    assert np.allclose(inverse_block_dct(coefficients), tile, atol=1e-5)
    assert np.isclose(np.sum(coefficients**2), np.sum(tile**2), rtol=1e-5)


def test_every_window_of_eight_blocks_holds_every_bit_twice():
    bit_of = carrier(KEY).bit_of
    wrapped = np.concatenate([bit_of, bit_of[:8]], axis=0)
    for start in range(0, 9):
        window = wrapped[start : start + 8, :8]
        counts = np.bincount(window.ravel() + 1, minlength=CODED_BITS + 1)[1:]
        assert counts.min() >= 2


def test_what_is_written_is_read():
    pattern = carrier(KEY)
    amplitudes = np.random.default_rng(2).normal(size=pattern.bit_of.shape).astype(np.float32)
    assert np.allclose(pattern.read(pattern.write(amplitudes)), amplitudes, atol=1e-5)


def test_the_sums_count_every_carrier_once():
    pattern = carrier(KEY)
    sums, sync = pattern.sum_by_bit(np.ones(pattern.bit_of.shape, np.float32))
    assert sums.sum() + sync == pattern.bit_of.size
    assert sums.min() >= 8


def test_another_key_gives_an_unrelated_tile():
    one, other = carrier(KEY), carrier(bytes(32))
    assert abs(np.mean(one.signs * other.signs)) < 0.1
    assert np.mean(one.bit_of == other.bit_of) < 0.1


def test_a_key_gives_the_same_tile_for_ever():
    # A mark must stay readable: these change only with the version of the format.
    pattern = carrier(KEY)
    assert pattern.bit_of[0, 0, :6].tolist() == [186, 169, 84, 97, 48, -1]
    assert pattern.signs[0, 0, :6].tolist() == [1.0, -1.0, 1.0, 1.0, -1.0, -1.0]
