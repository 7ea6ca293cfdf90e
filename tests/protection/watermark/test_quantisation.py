from functools import lru_cache

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.errors import WatermarkKeyError
from medseal.protection.watermark import quantisation
from medseal.protection.watermark.frame import working_shape
from medseal.protection.watermark.pattern import TILE, fold, repeated
from medseal.protection.watermark.payload import (
    PLAIN_BITS,
    bit_log_likelihoods,
    encode_plain,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.quantisation import (
    CANDIDATES,
    STEPS,
    candidates,
    certainties,
    listen,
    log_likelihoods,
    orientation,
    quantiser,
    smoothed,
)
from tests.protection.pictures import KEY, PAYLOAD, grey, loud

RINGS = 16
KEYS = st.binary(min_size=32, max_size=32)
SEEDS = st.integers(0, 2**32 - 1)
PLACES = st.integers(0, len(STEPS) - 1)
ORIENTATIONS = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]
STEP = STEPS[len(STEPS) // 2]


def noise(seed, *, side=TILE):
    return np.random.default_rng(seed).normal(0, 10, (side, side)).astype(np.float32)


def steps_of(keyed, step):
    return step * quantisation._PROFILE[keyed.ring_of]


def signed(rows, coded):
    return rows * (coded * 2.0 - 1.0)


def plane_of(image):
    return image.stored_values[0, :, :, 0].astype(np.float32)


@lru_cache(maxsize=2)
def marked(levels=(0, 180)):
    """Return a loud plane of 512 x 512 whose values lie near the lattice of a codeword.

    Parameters
    ----------
    levels
        What the host is made of; nothing is added to black.
    """
    keyed, coded = quantiser(KEY), encode_plain(PAYLOAD, KEY)
    small = np.random.default_rng(7).choice(levels, (256, 256)).astype(np.float32)
    bears = small > 0

    def heard():
        return listen(smoothed(np.kron(small, np.ones((2, 2), np.float32))))

    gain = float(fold(heard()[1]).mean()) * bears.mean()
    wanted = keyed.nearest(keyed.values(fold(heard()[0]))[0], coded, STEP)
    for _ in range(6):
        values, spread = keyed.values(fold(heard()[0]))
        small = small + bears * repeated(keyed.tile((wanted - values) / gain, spread), small.shape)
    plane = np.kron(small, np.ones((2, 2), np.float32))
    plane.flags.writeable = False
    return plane


def read(rows, key=KEY):
    """Return the candidates, by number, whose message opens."""
    messages = most_likely_messages(rows)
    opened = [number for number, each in enumerate(messages) if open_message(each, key)]
    assert all(open_message(messages[number], key) == PAYLOAD for number in opened)
    return opened


# --- Layout -----------------------------------------------------------------------------------


@given(key=KEYS)
@settings(max_examples=20, deadline=None)
def test_the_slots_of_a_bit_lie_in_one_ring(key):
    keyed = quantiser(key)
    rings = np.concatenate([quantisation._RING, quantisation._RING])
    assert np.array_equal(keyed.ring_of[keyed.bit_of], rings)
    slots = np.bincount(keyed.bit_of, minlength=PLAIN_BITS)
    assert set(slots) == {2, 3}
    assert set(np.bincount(keyed.ring_of, minlength=RINGS)) == {26, 27}
    assert set(keyed.signs) == {-1.0, 1.0}
    assert 0 <= keyed.dither.min() <= keyed.dither.max() <= 1


def test_rings_are_of_rising_frequency_and_their_steps_with_them():
    radius, ring = quantisation._RADIUS, quantisation._RING
    least, most = (
        np.array([choice(radius[ring == each]) for each in range(RINGS)]) for choice in (min, max)
    )
    assert least[0] >= 0.03
    assert most[-1] < 0.30
    assert np.all(least[1:] >= most[:-1])
    assert np.ptp(np.bincount(ring)) <= 1
    assert np.all(np.diff(quantisation._PROFILE) > 0)


@given(one=KEYS, two=KEYS)
@settings(max_examples=10, deadline=None)
def test_two_keys_share_no_layout(one, two):
    if one == two:
        return
    first, second = quantiser(one), quantiser(two)
    # One in 424 lies in the same place by chance, and every second sign.
    assert (first.bit_of == second.bit_of).mean() < 0.02
    assert 0.4 < (first.signs == second.signs).mean() < 0.6
    assert np.abs(first.dither - second.dither).mean() > 0.2


def test_a_key_always_has_the_same_layout_and_nobody_changes_it():
    one = quantiser(KEY)
    quantiser.cache_clear()
    two = quantiser(KEY)
    assert one is not two
    for name in ("bit_of", "signs", "ring_of", "dither"):
        assert np.array_equal(getattr(one, name), getattr(two, name))
        with pytest.raises(ValueError, match="read-only"):
            getattr(two, name)[0] = 0


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "k" * 32])
def test_a_key_of_another_length_is_refused(key):
    with pytest.raises(WatermarkKeyError, match="a watermark key has 32 bytes"):
        quantiser(key)


# --- Values -----------------------------------------------------------------------------------


@given(seed=SEEDS, factor=st.floats(0.01, 100))
@settings(max_examples=20, deadline=None)
def test_contrast_and_brightness_leave_the_values(seed, factor):
    keyed, tile = quantiser(KEY), noise(seed)
    values, levels = keyed.values(tile)
    assert 0.9 < float(values.std()) < 1.1
    for other in (tile * factor, tile * factor + 40):
        again, louder = keyed.values(other)
        assert np.allclose(again, values, atol=1e-3)
        assert np.allclose(louder, levels * factor, rtol=1e-3)


@given(seed=SEEDS, gains=st.lists(st.floats(0.05, 5), min_size=RINGS, max_size=RINGS))
@settings(max_examples=20, deadline=None)
def test_what_changes_a_ring_alike_leaves_the_values(seed, gains):
    keyed, tile = quantiser(KEY), noise(seed).astype(np.float64)
    spectrum = np.fft.fft2(tile)
    row, column = quantisation._WAVES.T
    spectrum[row, column] *= np.array(gains)[quantisation._RING]
    spectrum[-row, -column] = spectrum[row, column].conj()
    changed = np.fft.ifft2(spectrum).real
    assert np.allclose(keyed.values(changed)[0], keyed.values(tile)[0], atol=1e-6)


def test_a_blur_hardly_changes_the_values():
    keyed, tile = quantiser(KEY), noise(1)
    around = np.tile(tile, (3, 3))
    soft = cv2.GaussianBlur(around, (0, 0), 1.0)[TILE : 2 * TILE, TILE : 2 * TILE]
    assert float(soft.std()) < 0.4 * float(tile.std())
    change = np.abs(keyed.values(soft)[0] - keyed.values(tile)[0])
    assert (change / steps_of(keyed, STEP)).max() < 0.25
    # Values that are not divided by the level of their ring would change by a step and more.
    raw = np.abs(keyed.values(soft)[1] / keyed.values(tile)[1] - 1)
    assert raw.max() > 0.5


def test_silence_has_values_of_zero():
    values, levels = quantiser(KEY).values(np.zeros((TILE, TILE)))
    assert not values.any()
    assert levels.max() < 1e-9


@given(seed=SEEDS)
@settings(max_examples=20, deadline=None)
def test_a_tile_changes_each_sum_by_what_was_asked(seed):
    keyed, tile = quantiser(KEY), noise(seed)
    changes = np.random.default_rng(seed).normal(0, 0.5, PLAIN_BITS)
    values, levels = keyed.values(tile)
    after, louder = keyed.values(tile + keyed.tile(changes, levels))
    # Exactly, but for the levels of the rings, which the tile changes as well.
    wanted = (values + changes) * levels[keyed.ring_of]
    assert np.allclose(after * louder[keyed.ring_of], wanted, atol=1e-5)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_no_other_tile_changes_as_much_with_less_energy(seed):
    keyed, tile = quantiser(KEY), noise(seed)
    least = keyed.tile(*keyed.values(tile))
    assert np.allclose(keyed.values(least)[1] > 0, 1)
    # What is left bears nothing, and is at right angles to it.
    rest = tile - least
    assert abs(float((rest * least).sum())) < 1e-4 * float((tile * tile).sum())
    assert float((least * least).sum()) < float((tile * tile).sum())
    levels = keyed.values(rest)[1]
    sums = keyed.values(rest)[0] * levels[keyed.ring_of]
    assert np.abs(sums).max() < 1e-5


# --- Lattice ----------------------------------------------------------------------------------


@given(seed=SEEDS, place=PLACES, key=KEYS)
@settings(max_examples=25, deadline=None)
def test_the_nearest_values_stand_for_the_codeword(seed, place, key):
    keyed, step = quantiser(key), STEPS[place]
    rng = np.random.default_rng(seed)
    coded = rng.integers(0, 2, PLAIN_BITS).astype(np.uint8)
    values = rng.normal(0, 1, PLAIN_BITS)
    nearest = keyed.nearest(values, coded, step)
    steps = steps_of(keyed, step)
    assert np.abs(nearest - values).max() <= steps.max() / 2 + 1e-9
    assert np.all(np.abs(nearest - values) <= steps / 2 + 1e-9)
    assert np.allclose(signed(log_likelihoods(keyed, nearest, step), coded), 1)
    # Moved by less than a quarter of a step, every bit is still right; by half a step, none.
    moved = nearest + rng.uniform(-0.249, 0.249, PLAIN_BITS) * steps
    assert np.all(signed(log_likelihoods(keyed, moved, step), coded) > 0)
    assert np.allclose(signed(log_likelihoods(keyed, nearest + steps / 2, step), coded), -1)


def test_every_second_value_of_the_lattice_stands_for_the_other_bit():
    keyed, values = quantiser(KEY), np.random.default_rng(2).normal(0, 1, PLAIN_BITS)
    zeros, ones = (np.full(PLAIN_BITS, bit, np.uint8) for bit in (0, 1))
    apart = np.abs(keyed.nearest(values, zeros, STEP) - keyed.nearest(values, ones, STEP))
    assert np.allclose(apart, steps_of(keyed, STEP) / 2)


@given(seed=SEEDS)
@settings(max_examples=10, deadline=None)
def test_certainty_falls_with_what_the_values_miss_their_lattice_by(seed):
    keyed, rng = quantiser(KEY), np.random.default_rng(seed)
    coded = encode_plain(PAYLOAD, KEY)
    nearest = keyed.nearest(rng.normal(0, 1, PLAIN_BITS), coded, STEP)
    missed = rng.normal(0, 1, PLAIN_BITS) * steps_of(keyed, STEP)
    means = []
    for share in (0.04, 0.08, 0.12):
        candidate = log_likelihoods(keyed, nearest + share * missed, STEP)
        certain = certainties(candidate, coded)
        assert np.array_equal(np.sign(certain), np.sign(candidate))
        means.append(float(signed(certain, coded).mean()))
        bits = bit_log_likelihoods(certain.astype(np.float32))
        assert np.array_equal(bits > 0, np.unpackbits(np.frombuffer(PAYLOAD, np.uint8)) == 1)
    assert means[0] > means[1] > means[2] > 0
    exact = certainties(log_likelihoods(keyed, nearest, STEP), coded)
    assert np.isfinite(exact).all()
    assert signed(exact, coded).min() > means[0]


# --- Listening --------------------------------------------------------------------------------


def test_quiet_places_count_less_and_loud_ones_little_more():
    frame = noise(3, side=192)
    frame[:64] *= 0.01
    frame[128:] *= 3
    heard, weight = listen(frame)
    quiet, middle, louder = (weight[rows, 16:-16].mean() for rows in np.r_[30, 96, 160][:, None])
    assert quiet < 1e-3 * middle
    # Nine times the energy, from the share that is called quiet on.
    assert middle < louder < 1.5 * middle
    assert heard.shape == weight.shape == frame.shape
    # Only detail is heard, whatever the brightness.
    assert np.allclose(listen(frame + 90)[0], heard, atol=0.01)
    assert not listen(np.full((64, 64), 7, np.float32))[0].any()


@pytest.mark.parametrize("shape", [(256, 256), (600, 500), (90, 400), (1300, 80)])
def test_a_smoothed_plane_has_the_size_of_the_working_frame(shape):
    plane = np.full(shape, 60, np.float32)
    assert smoothed(plane).shape == working_shape(*shape)
    assert np.allclose(smoothed(plane), 60, atol=1e-3)


def reference_without_specks(plane):
    result = plane.copy()
    padded = np.pad(plane, 1, mode="edge")
    for row in range(plane.shape[0]):
        for column in range(plane.shape[1]):
            window = padded[row : row + 3, column : column + 3].ravel()
            around, here = np.delete(window, 4), window[4]
            if around.max() - around.min() < 48 and (
                here > around.max() + 48 or here < around.min() - 48
            ):
                result[row, column] = (around.max() + around.min()) / 2
    return result


@given(seed=SEEDS, share=st.floats(0, 0.5))
@settings(max_examples=10, deadline=None)
def test_single_odd_places_in_even_surroundings_are_levelled_and_nothing_else(seed, share):
    rng = np.random.default_rng(seed)
    plane = rng.uniform(100, 140, (24, 20)).astype(np.float32)
    odd = rng.random(plane.shape) < share
    plane[odd] = rng.choice([0, 60, 180, 255], int(odd.sum()))
    assert np.array_equal(quantisation._without_specks(plane), reference_without_specks(plane))


def test_salt_and_pepper_goes_and_edges_stay():
    even = np.where(np.indices((40, 40))[1] < 20, 60, 160).astype(np.float32)
    assert np.array_equal(quantisation._without_specks(even), even)
    specks = even.copy()
    specks[10, 8], specks[10, 30], specks[30, 10] = 255, 0, 0
    assert np.array_equal(quantisation._without_specks(specks), even)
    # Two places side by side are no speck.
    specks[20:22, 8] = 255
    assert np.array_equal(quantisation._without_specks(specks)[20:22, 8], [255, 255])


# --- Candidates -------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(8))
def test_the_codeword_is_found_in_every_orientation(number):
    turns, mirrored = ORIENTATIONS[number]
    plane = marked()
    # The way there is the way back in reverse.
    copy = np.ascontiguousarray(np.rot90(plane[:, ::-1] if mirrored else plane, -turns))
    opened = read(candidates(copy, KEY))
    assert len(STEPS) * number + len(STEPS) // 2 in opened
    for index in opened:
        back = np.rot90(copy, orientation(index)[0])
        assert np.array_equal(back[:, ::-1] if orientation(index)[1] else back, plane)


def test_each_candidate_has_its_orientation():
    count = len(STEPS)
    assert CANDIDATES == len(candidates(marked(), KEY)) == 11 * count
    places = [orientation(index) for index in range(CANDIDATES)]
    assert places == [each for each in ORIENTATIONS for _ in range(count)] + [(0, False)] * (
        3 * count
    )


@pytest.mark.parametrize(("taken", "block"), [(22, 8), (48, 9)])
def test_levels_that_were_taken_from_all_but_black_are_lifted_again(taken, block):
    plane, coded, place = marked((0, 80, 180)), encode_plain(PAYLOAD, KEY), len(STEPS) // 2
    upright = signed(candidates(plane, KEY)[place], coded).mean()
    rows = candidates(np.clip(plane - taken, 0, None), KEY)
    agreement = signed(rows, coded).mean(axis=1)[place :: len(STEPS)]
    assert agreement[0] < agreement[block]
    assert agreement[block] > 0.8 * upright
    assert block * len(STEPS) + place in read(rows)


@pytest.mark.parametrize("seed", range(3))
def test_unmarked_planes_and_wrong_keys_are_never_accepted(seed):
    for plane in (plane_of(loud(256, 256, seed=seed)), plane_of(grey(256, 240, seed=seed))):
        assert read(candidates(plane, KEY)) == []
    assert read(candidates(marked(), bytes([seed]) * 32), bytes([seed]) * 32) == []
    # Nor do the right values open with the MAC of another key.
    assert read(candidates(marked(), KEY), bytes([seed]) * 32) == []
