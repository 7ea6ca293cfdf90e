import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medseal.protection.tamper.reference.codes import (
    BACK_GAIN,
    COARSE_LEVELS,
    MIXTURES,
    MODULUS,
    Readout,
    coarse_picture,
    from_bits,
    saturated,
    to_bits,
    wrapped,
)
from tests.protection.pictures import KEY

FEATURES, DOWN, ACROSS = 12, 6, 7
TILES = DOWN * ACROSS


def readout(key=KEY):
    return Readout.of(key, tiles=TILES, features=FEATURES)


def features_of(seed=0, size=2.5):
    return np.random.default_rng(seed).normal(0, size, (FEATURES, DOWN, ACROSS))


def test_a_difference_is_the_nearest_one():
    values = np.array([0, 1.9, 2.1, 4, -1.9, -2.1, 7])
    assert wrapped(values) == pytest.approx([0, 1.9, -1.9, 0, -1.9, 1.9, -1])
    assert (np.abs(wrapped(np.linspace(-30, 30, 999))) <= MODULUS / 2).all()


def test_no_difference_weighs_more_than_one():
    assert saturated(np.array([0, 0.5, 0.5**0.5, 99])) == pytest.approx(
        [0, 1 / 3, 0.5, 1], abs=1e-4
    )


def test_a_readout_is_drawn_from_its_key():
    one, again, other = readout(), readout(), readout(bytes(32))
    assert one.signs.shape == (TILES, MIXTURES, FEATURES)
    assert np.array_equal(one.signs, again.signs)
    assert np.array_equal(one.offsets, again.offsets)
    assert set(np.unique(one.signs)) == {-1, 1}
    assert (one.offsets >= 0).all()
    assert (one.offsets < MODULUS).all()
    assert np.mean(one.signs == other.signs) == pytest.approx(0.5, abs=0.03)


def test_another_key_reads_something_else():
    same = readout().codes(features_of()) == readout(bytes(32)).codes(features_of())
    assert same.mean() == pytest.approx(1 / MODULUS, abs=0.1)


def test_equal_features_lie_within_half_a_step():
    read = readout()
    codes = read.codes(features_of())
    assert set(np.unique(codes)) == {0, 1, 2, 3}
    back, energy = read.residual(features_of(), codes)
    assert back.shape == (FEATURES, DOWN, ACROSS)
    assert energy.shape == (DOWN, ACROSS)
    assert energy.max() <= 1 / 3
    # On average what quantisation leaves: 1 - sqrt(2) atan(1 / sqrt(2)).
    assert energy.mean() == pytest.approx(0.1296, abs=0.02)


def test_a_change_shows_in_its_tile_and_nowhere_else():
    read, features = readout(), features_of()
    codes = read.codes(features)
    changed = features.copy()
    changed[:, 2, 3] += np.random.default_rng(1).normal(0, 1.5, FEATURES)
    before, _ = read.residual(features, codes)
    after, energy = read.residual(changed, codes)
    elsewhere = np.ones((DOWN, ACROSS), np.bool_)
    elsewhere[2, 3] = False
    assert np.array_equal(before[:, elsewhere], after[:, elsewhere])
    assert np.unravel_index(energy.argmax(), energy.shape) == (2, 3)
    assert energy[2, 3] > 1.5 * energy[elsewhere].max()


def test_a_small_difference_is_estimated_without_bias():
    """Over many keys the estimate of a change is that change; see the gain."""
    features, change = features_of(), np.linspace(-0.3, 0.3, FEATURES)
    found = []
    for number in range(60):
        read = readout(bytes([number]) * 32)
        codes = read.codes(features)
        found.append(read.residual(features + change[:, None, None], codes)[0])
    mean = np.mean(found, axis=(0, 2, 3))
    assert BACK_GAIN == FEATURES / MIXTURES
    assert mean == pytest.approx(change, abs=0.06)


def test_a_constant_offset_of_the_features_changes_no_difference():
    read = readout()
    lifted = read.residual(features_of() + 4, read.codes(features_of() + 4))[1]
    assert lifted.mean() == pytest.approx(0.1296, abs=0.02)


@settings(max_examples=50)
@given(data=st.data(), bits=st.integers(1, 8))
def test_numbers_of_few_bits_come_back(data, bits):
    numbers = data.draw(
        arrays.arrays(np.uint8, st.integers(1, 40), elements=st.integers(0, 2**bits - 1))
    )
    packed = to_bits(numbers, bits)
    assert len(packed) == -(-bits * len(numbers) // 8)
    assert np.array_equal(from_bits(packed, bits, len(numbers)), numbers)
    spare = 8 * len(packed) - bits * len(numbers)
    assert packed[-1] & ((1 << spare) - 1) == 0


def test_the_highest_bit_comes_first():
    assert to_bits(np.array([5, 1, 7], np.uint8), 3) == bytes([0b10100111, 0b10000000])
    assert to_bits(np.array([3, 0, 1, 2], np.uint8), 2) == bytes([0b11000110])


def test_a_coarse_picture_keeps_eight_levels_exactly():
    values = np.arange(0, 256, 36, dtype=np.float32)
    means = np.random.default_rng(0).permutation(np.repeat(values, 8)).reshape(8, 8)
    book, places = coarse_picture(means)
    assert book.tolist() == values.tolist()
    assert np.array_equal(book[places], means)


def test_a_coarse_picture_is_as_good_as_eight_levels_can_be():
    means = np.random.default_rng(0).uniform(0, 255, (32, 32)).astype(np.float32)
    book, places = coarse_picture(means)
    error = float(np.sqrt(np.mean((book[places] - means) ** 2)))
    # Eight equal cells over the range: the best for a uniform distribution.
    assert error == pytest.approx(255 / 8 / 12**0.5, rel=0.04)
    assert (np.diff(book.astype(int)) > 0).all()


def test_black_margins_do_not_use_up_the_levels():
    means = np.zeros((32, 32), np.float32)
    means[8:16] = np.random.default_rng(0).uniform(40, 240, (8, 32))
    book, places = coarse_picture(means)
    error = book[places].astype(np.float32)[8:16] - means[8:16]
    # Seven cells for what is not black.
    assert float(np.sqrt(np.mean(error**2))) < 1.3 * 200 / 7 / 12**0.5
    assert len(np.unique(places)) >= COARSE_LEVELS - 1


def test_levels_beyond_what_is_shown_are_kept_at_its_ends():
    book, places = coarse_picture(np.array([[-20, 100], [180, 279]], np.float32))
    assert book[places].tolist() == [[0, 100], [180, 255]]
