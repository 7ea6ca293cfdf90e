from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.protection.watermark import inference, spread
from medseal.protection.watermark.frame import copy_maps, resample, working_shape
from medseal.protection.watermark.pattern import fold, pattern
from medseal.protection.watermark.payload import (
    CODED_BITS,
    encode,
    most_likely_messages,
    open_message,
)
from medseal.protection.watermark.spread import CLEAR_MARGIN, Heard
from tests.protection.pictures import KEY, PAYLOAD, texture


def signs(coded):
    return coded * 2.0 - 1.0


@lru_cache(maxsize=1)
def plane():
    made = (texture(320, 288) * 255).astype(np.float32)
    made.flags.writeable = False
    return made


@lru_cache(maxsize=1)
def coded():
    return spread.codeword(plane(), PAYLOAD, KEY)


@lru_cache(maxsize=1)
def unit():
    """Return the residual in native size, of a deviation of one level."""
    small = spread.residual(plane(), coded(), KEY)
    return resample(small / small.std(), plane().shape)


def what_the_network_hears(levels, key=KEY):
    maps = copy_maps(resample(levels, working_shape(*levels.shape)))
    return pattern(key).sums(fold(inference.load().estimate(maps)))


def test_the_codeword_is_one_of_the_payload_and_leans_to_the_cover_image():
    assert coded().shape == (CODED_BITS,)
    (message,) = most_likely_messages(signs(coded())[None])
    assert open_message(message, KEY) == PAYLOAD
    heard = what_the_network_hears(plane())
    straight = encode(PAYLOAD, KEY)
    assert signs(coded()) @ heard > signs(straight) @ heard + 0.2 * np.abs(heard).sum()


def test_the_residual_lies_where_there_is_room():
    small = spread.residual(plane(), coded(), KEY)
    assert small.shape == working_shape(320, 288)
    row, column = np.ogrid[-1 : 1 : small.shape[0] * 1j, -1 : 1 : small.shape[1] * 1j]
    radius = np.hypot(row, column)
    assert not small[radius > 0.95].any()
    assert small[radius < 0.8].std() > 0
    # One wave, one bit: another codeword moves the residual of its own waves.
    turned = spread.residual(plane(), 1 - coded(), KEY)
    assert float((small * turned).sum()) < 0.2 * float((small * small).sum())


def test_the_louder_the_mark_the_larger_the_margin():
    margins = [
        Heard.of(plane() + amplitude * unit(), coded(), KEY).margin for amplitude in (0, 0.5, 1, 2)
    ]
    assert margins == sorted(margins)
    assert margins[0] < 0.6
    assert margins[-1] > CLEAR_MARGIN
    assert Heard.of(plane() + 2 * unit(), 1 - coded(), KEY).margin < 0


def test_a_mark_that_is_clear_is_not_shown_to_the_network(monkeypatch):
    asked = []
    estimate = inference.Networks.estimate

    def counted(self, maps):
        asked.append(maps.shape)
        return estimate(self, maps)

    monkeypatch.setattr(inference.Networks, "estimate", counted)
    faint, clear = plane() + 0.3 * unit(), plane() + 8 * unit()
    codeword = coded()
    asked.clear()
    heard = Heard.of(clear, codeword, KEY)
    assert heard.margin >= CLEAR_MARGIN
    assert heard.is_read(PAYLOAD, KEY)
    assert asked == []
    heard = Heard.of(faint, codeword, KEY)
    assert asked == [(4, *working_shape(320, 288))]
    assert np.array_equal(heard.sums, what_the_network_hears(faint))


@given(mean=st.floats(0.05, 3), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=15, deadline=None)
def test_the_margin_is_the_mean_over_the_deviation(mean, seed):
    noise = np.random.default_rng(seed).normal(0, 1, CODED_BITS)
    noise = (noise - noise.mean()) / noise.std()
    for factor in (1.0, 300.0):
        heard = Heard(sums=signs(coded()) * (mean + noise) * factor, coded=coded())
        assert heard.margin == pytest.approx(mean)


def test_silence_has_no_margin_and_is_not_read():
    heard = Heard(sums=np.zeros(CODED_BITS), coded=coded())
    assert heard.margin == 0
    assert not heard.is_read(PAYLOAD, KEY)


@pytest.mark.parametrize(
    ("mean", "payload", "wanted"),
    [
        (0.95, PAYLOAD, True),
        (0.78, PAYLOAD, True),
        (0.78, b"release2", False),
        (0.5, PAYLOAD, False),
        (-2.0, PAYLOAD, False),
    ],
    ids=["sure", "decoded", "another payload", "hopeless", "inverted"],
)
def test_what_is_read(mean, payload, wanted):
    noise = np.random.default_rng(5).normal(0, 1, CODED_BITS)
    noise = (noise - noise.mean()) / noise.std()
    heard = Heard(sums=signs(coded()) * (mean + noise), coded=coded())
    assert heard.is_read(payload, KEY) is wanted
