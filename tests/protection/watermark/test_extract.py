import secrets

import numpy as np
import pytest

from medseal.errors import UnsupportedImageError, WatermarkKeyError
from medseal.metrics.watermark import bit_accuracy
from medseal.protection.attacks import distortions
from medseal.protection.watermark import embed, extract
from medseal.protection.watermark.synchronise import MAX_CANDIDATES
from tests.protection.pictures import KEY, PAYLOAD, grey, picture, texture

RNG_SEED = 3


@pytest.fixture(scope="module")
def marked():
    return embed(grey(500, 420), PAYLOAD, KEY)


@pytest.fixture(scope="module")
def marked_12_bit():
    values = np.rint(texture(512, 480, seed=4) * 3000 + 500).astype(np.uint16)
    return embed(picture(values, bits=12), PAYLOAD, KEY)


def noisy(image, sigma):
    return distortions.gaussian_noise(image, sigma=sigma, rng=np.random.default_rng(RNG_SEED))


ATTACKS = {
    "JPEG 90": lambda i: distortions.jpeg(i, quality=90),
    "JPEG 70": lambda i: distortions.jpeg(i, quality=70),
    "noise": lambda i: noisy(i, 4),
    "blur": lambda i: distortions.blur(i, sigma=0.8),
    "brighter": lambda i: distortions.brightness(i, share=0.1),
    "more contrast": lambda i: distortions.contrast(i, factor=1.2),
    "gamma": lambda i: distortions.gamma(i, exponent=0.8),
    "window": lambda i: distortions.window_to_8_bit(i, low=0.05, high=0.95),
    "to 8 bits": distortions.window_to_8_bit,
    "crop": lambda i: distortions.crop(i, top=37, left=51, rows=301, columns=283),
    "crop and mirror": lambda i: distortions.flip(
        distortions.crop(i, top=37, left=51, rows=301, columns=283), axis="rows"
    ),
    "crop, turn and JPEG": lambda i: distortions.jpeg(
        distortions.quarter_turn(
            distortions.crop(i, top=11, left=5, rows=400, columns=380), turns=3
        ),
        quality=90,
    ),
    "resize and back": lambda i: distortions.resize_to(
        distortions.resize(i, factor=0.5), rows=i.rows, columns=i.columns
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_mark_outlives(attack, marked, marked_12_bit):
    for image in (marked, marked_12_bit):
        assert extract(ATTACKS[attack](image), KEY).payload == PAYLOAD


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_all_eight_orientations(turns, mirrored, marked):
    copy = distortions.quarter_turn(marked, turns=turns)
    if mirrored:
        copy = distortions.flip(copy, axis="columns")
    assert extract(copy, KEY).payload == PAYLOAD


@pytest.mark.parametrize("offset", [(1, 0), (0, 1), (7, 3), (64, 127), (100, 99)])
def test_every_offset_of_a_crop(offset, marked):
    top, left = offset
    copy = distortions.crop(
        marked, top=top, left=left, rows=marked.rows - top, columns=marked.columns - left
    )
    assert extract(copy, KEY).payload == PAYLOAD


def test_an_inverted_copy(marked):
    inverted = marked.with_stored_values(255 - marked.stored_values)
    assert extract(inverted, KEY).payload == PAYLOAD


def test_probabilities_say_the_payload(marked):
    found = extract(marked, KEY)
    assert bit_accuracy(PAYLOAD, found.bit_probabilities) == 1.0
    assert np.all(np.abs(found.bit_probabilities - 0.5) > 0.49)
    assert found.bit_probabilities.shape == (64,)
    with pytest.raises(ValueError, match="read-only"):
        found.bit_probabilities[0] = 0.5


def test_nothing_is_found_where_nothing_is():
    seen = []
    for seed in range(12):
        cover = grey(256, 256, seed=seed)
        found = extract(cover, KEY)
        assert not found.detected
        assert found.payload is None
        assert found.false_positive_rate <= MAX_CANDIDATES * 2**-32
        seen.append(np.abs(found.bit_probabilities - 0.5).mean())
    assert np.mean(seen) < 0.1


def test_the_wrong_key_finds_nothing(marked):
    for _ in range(12):
        found = extract(marked, secrets.token_bytes(32))
        assert not found.detected
        assert found.payload is None


def test_a_copy_too_far_gone_gives_no_payload_rather_than_a_wrong_one(marked):
    for sigma in (20, 40, 80):
        assert extract(noisy(marked, sigma), KEY).payload in (None, PAYLOAD)
    assert extract(noisy(marked, 120), KEY).payload is None


@pytest.mark.parametrize(
    "values",
    [
        np.full((100, 100), 9, np.uint8),
        np.full((100, 100), 1.5),
        np.full((30, 30), np.nan),
        np.zeros((1, 1), np.uint16),
        np.arange(40, dtype=np.uint8).reshape(1, 40),
    ],
)
def test_constant_tiny_and_empty_copies_are_unmarked(values):
    found = extract(picture(values), KEY)
    assert not found.detected
    assert found.payload is None


def test_two_marks_of_two_keys_are_both_found():
    other = secrets.token_bytes(32)
    twice = embed(embed(grey(512, 512), PAYLOAD, KEY), b"release2", other)
    assert extract(twice, KEY).payload == PAYLOAD
    assert extract(twice, other).payload == b"release2"


def test_evidence_of_frames_adds_up():
    values = np.stack([texture(160, 160, seed=s) * 255 for s in range(8)]).astype(np.uint8)
    volume = embed(picture(values[..., None]), PAYLOAD, KEY)
    worn = noisy(volume, 9)
    assert extract(worn, KEY).payload == PAYLOAD
    # Found by more evidence than one frame gives, so more hypotheses were tried.
    assert extract(worn, KEY).false_positive_rate >= extract(volume, KEY).false_positive_rate


def test_a_key_of_the_wrong_length_and_a_palette_are_refused(marked):
    with pytest.raises(WatermarkKeyError, match="key has 32 bytes"):
        extract(marked, b"short")
    with pytest.raises(UnsupportedImageError, match="palette indices"):
        extract(picture(np.zeros((64, 64), np.uint8), photometric="PALETTE COLOR"), KEY)
