import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from medseal.errors import WatermarkKeyError
from medseal.protection.watermark.pattern import SYNC_WAVES, TILE, fold, pattern, repeated
from medseal.protection.watermark.payload import CODED_BITS
from tests.protection.pictures import KEY

CODEWORDS = hnp.arrays(np.uint8, CODED_BITS, elements=st.integers(0, 1))
KEYS = st.binary(min_size=32, max_size=32)


def drawn(seed):
    return np.random.default_rng(seed).integers(0, 2, CODED_BITS).astype(np.uint8)


@given(coded=CODEWORDS, key=KEYS)
@settings(max_examples=15, deadline=None)
def test_every_bit_is_heard_by_itself(coded, key):
    keyed = pattern(key)
    tile = keyed.tile(coded)
    assert tile.shape == (TILE, TILE)
    assert float(tile.var()) == pytest.approx(1, abs=1e-4)
    assert abs(float(tile.mean())) < 1e-5
    sums = keyed.sums(tile)
    slots = np.bincount(keyed.bit_of, minlength=CODED_BITS)
    amplitude = np.sqrt(0.8 / (4 * len(keyed.waves)))
    assert np.allclose(sums, (coded * 2.0 - 1) * slots * amplitude, atol=1e-6)


def test_weights_change_the_amplitude_of_their_bit_alone():
    keyed, coded = pattern(KEY), drawn(1)
    weights = np.ones(CODED_BITS)
    weights[7] = 3
    before, after = (keyed.sums(keyed.tile(coded, each)) for each in (None, weights))
    assert after[7] == pytest.approx(3 * before[7], rel=1e-4)
    assert np.allclose(np.delete(after, 7), np.delete(before, 7), atol=1e-6)


def test_another_key_hears_next_to_nothing():
    coded = drawn(2)
    tile = pattern(KEY).tile(coded)
    own = np.abs(pattern(KEY).sums(tile)).mean()
    for number in range(5):
        heard = pattern(bytes([number]) * 32).sums(tile) * (coded * 2.0 - 1)
        # The mean of 808 that are as often positive as negative.
        assert abs(heard.mean()) < 5 * heard.std() / np.sqrt(CODED_BITS)
        assert abs(heard.mean()) < 0.2 * own


def test_waves_of_the_synchronisation_bear_no_bits():
    keyed = pattern(KEY)
    assert keyed.sync_waves.shape == (SYNC_WAVES, 2)
    both = np.concatenate([keyed.waves, keyed.sync_waves])
    assert len(np.unique(both, axis=0)) == len(both)
    radius = np.hypot(*np.fft.fftfreq(TILE)[keyed.sync_waves].T)
    assert 0.06 <= radius.min() <= radius.max() < 0.20
    assert np.count_nonzero(keyed.sync_spectrum) == 2 * SYNC_WAVES
    sync = np.fft.ifft2(keyed.sync_spectrum) * TILE**2
    assert np.abs(sync.imag).max() < 1e-10
    assert float(sync.real.var()) == pytest.approx(0.2)
    # Whatever the message, the synchronisation is the same.
    for seed in range(3):
        spectrum = np.fft.fft2(keyed.tile(drawn(seed))) / TILE**2
        row, column = keyed.sync_waves.T
        assert np.allclose(spectrum[row, column], keyed.sync_spectrum[row, column], atol=1e-6)


def test_a_pattern_is_read_only_and_that_of_its_key():
    keyed = pattern(KEY)
    with pytest.raises(ValueError, match="read-only"):
        keyed.signs[0] = 0
    other = pattern(bytes(32))
    assert not np.array_equal(keyed.bit_of, other.bit_of)
    assert not np.array_equal(keyed.sync_waves, other.sync_waves)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "k" * 32])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(WatermarkKeyError, match="a watermark key has 32 bytes"):
        pattern(key)


@given(rows=st.integers(1, 200), columns=st.integers(1, 200))
@settings(max_examples=25, deadline=None)
def test_tiles_that_are_repeated_add_up_again(rows, columns):
    tile = np.random.default_rng(4).normal(size=(TILE, TILE)).astype(np.float32)
    plane = repeated(tile, (rows, columns))
    assert plane.shape == (rows, columns)
    assert plane[rows - 1, columns - 1] == tile[(rows - 1) % TILE, (columns - 1) % TILE]
    counts = fold(np.ones((rows, columns)))
    assert counts.sum() == rows * columns
    assert np.allclose(fold(plane), tile * counts, rtol=1e-5, atol=1e-6)


def test_several_estimates_count_alike_however_loud():
    keyed, coded = pattern(KEY), drawn(3)
    clear = repeated(keyed.tile(coded), (128, 128))
    noise = np.random.default_rng(5).normal(size=(128, 128)).astype(np.float32)
    both = keyed.heard([clear, noise])
    assert np.allclose(both, keyed.heard([clear * 100, noise * 1e-3]), rtol=1e-4, atol=1e-4)
    assert np.allclose(both, keyed.heard([clear]) + keyed.heard([noise]))
    assert np.array_equal(keyed.heard([clear]) > 0, coded == 1)
    assert not keyed.heard([clear * 0]).any()
