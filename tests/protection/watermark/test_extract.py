import secrets
import sys
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.datasets.phantom import ct_phantom, mr_phantom
from medseal.errors import UnsupportedImageError, WatermarkKeyError
from medseal.metrics.watermark import bit_accuracy
from medseal.protection.attacks import distortions
from medseal.protection.watermark import embed, extract, spread
from medseal.protection.watermark.cover import Cover
from medseal.protection.watermark.extract import MAX_HYPOTHESES
from medseal.protection.watermark.frame import FRAME_SIDE, SMALL_FRAME_SIDE
from medseal.protection.watermark.levels import Levels
from medseal.protection.watermark.quantisation import CANDIDATES
from tests.protection.pictures import KEY, PAYLOAD, grey, loud, picture, texture

RNG_SEED = 3
# Hypotheses of one frame before the quantised mark is looked for.
UPRIGHT = (MAX_HYPOTHESES - 2 * (CANDIDATES + 20)) // 8
# The package offers the function under the name of the module.
module = sys.modules[extract.__module__]


@pytest.fixture(scope="module")
def marked():
    cover = ct_phantom(generator=np.random.default_rng(1), rows=512, columns=448)
    return embed(cover, PAYLOAD, KEY)


@pytest.fixture(scope="module")
def marked_8_bit():
    cover = mr_phantom(generator=np.random.default_rng(1), rows=512, columns=480)
    values = (cover.stored_values >> 4).astype(np.uint8)
    return embed(picture(values), PAYLOAD, KEY)


def noisy(image, sigma):
    return distortions.gaussian_noise(image, sigma=sigma, rng=np.random.default_rng(RNG_SEED))


def part(image, *, top=37, left=51, rows=380, columns=340):
    return distortions.crop(image, top=top, left=left, rows=rows, columns=columns)


ATTACKS = {
    "none": lambda i: i,
    "JPEG 90": lambda i: distortions.jpeg(i, quality=90),
    "JPEG 70": lambda i: distortions.jpeg(i, quality=70),
    "noise": lambda i: noisy(i, 4),
    "blur": lambda i: distortions.blur(i, sigma=0.8),
    "brighter": lambda i: distortions.brightness(i, share=0.1),
    "more contrast": lambda i: distortions.contrast(i, factor=1.2),
    "gamma": lambda i: distortions.gamma(i, exponent=0.8),
    "window": lambda i: distortions.window_to_8_bit(i, low=0.05, high=0.95),
    "to 8 bits": distortions.window_to_8_bit,
    "inverted": distortions.invert,
    "quarter turn and JPEG": lambda i: distortions.jpeg(
        distortions.quarter_turn(i, turns=3), quality=90
    ),
    "half the size": lambda i: distortions.resize(i, factor=0.5),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_mark_outlives(attack, marked, marked_8_bit):
    for image in (marked, marked_8_bit):
        found = extract(ATTACKS[attack](image), KEY)
        assert found.detected
        assert found.payload == PAYLOAD


MOVED = {
    "crop": part,
    "crop and mirror": lambda i: distortions.flip(part(i), axis="rows"),
    "crop, turn and JPEG": lambda i: distortions.jpeg(
        distortions.quarter_turn(part(i), turns=1), quality=90
    ),
    "crop and resize": lambda i: distortions.crop_resized(i, keep=0.75),
    "rotation by 5": lambda i: distortions.rotate(i, degrees=5),
    "rotation by -15": lambda i: distortions.rotate(i, degrees=-15),
    "rotation and scale": lambda i: distortions.rotate(i, degrees=7, scale=1.1),
}


@pytest.mark.parametrize("move", MOVED)
def test_moved_copies_are_found(move, marked):
    assert extract(MOVED[move](marked), KEY).payload == PAYLOAD


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_all_eight_orientations(turns, mirrored, marked):
    copy = distortions.quarter_turn(marked, turns=turns)
    if mirrored:
        copy = distortions.flip(copy, axis="columns")
    assert extract(copy, KEY).payload == PAYLOAD


@given(
    shift=st.tuples(st.integers(0, 511), st.integers(0, 447)),
    turns=st.integers(0, 3),
    inverted=st.booleans(),
)
@settings(max_examples=8, deadline=None)
def test_rolled_copies(shift, turns, inverted):
    """Copies in which the pattern begins anywhere, at the scale of the image."""
    image = rolled_source()
    values = np.roll(image.stored_values, shift, axis=(1, 2))
    values = np.rot90(values, turns, axes=(1, 2))
    copy = picture(np.ascontiguousarray(2047 - values if inverted else values))
    assert extract(copy, KEY).payload == PAYLOAD


@lru_cache(maxsize=1)
def rolled_source():
    cover = ct_phantom(generator=np.random.default_rng(3), rows=512, columns=512)
    return embed(cover, PAYLOAD, KEY)


def test_probabilities_say_the_payload(marked):
    found = extract(marked, KEY)
    assert bit_accuracy(PAYLOAD, found.bit_probabilities) == 1.0
    assert np.all(np.abs(found.bit_probabilities - 0.5) > 0.45)
    assert found.bit_probabilities.shape == (64,)
    with pytest.raises(ValueError, match="read-only"):
        found.bit_probabilities[0] = 0.5


def test_nothing_is_found_where_nothing_is():
    for seed in range(3):
        cover = grey(256, 256, seed=seed)
        found = extract(cover, KEY)
        assert not found.detected
        assert found.payload is None
        assert found.evidence is None
        assert 0 < found.false_positive_rate <= MAX_HYPOTHESES * 2**-32
        assert np.abs(found.bit_probabilities - 0.5).mean() < 0.2
        assert abs(found.sync_strength) < 5.5


@pytest.mark.parametrize("frames", [1, 2, 11])
def test_all_hypotheses_are_counted(frames):
    values = np.stack([texture(64, 64, seed=s) * 255 for s in range(frames)]).astype(np.uint8)
    found = extract(picture(values[..., None]), KEY)
    assert not found.detected
    # Upright places of at most 8 frames; quantised and turned ones of at most 2.
    most = UPRIGHT * min(frames, 8) + (CANDIDATES + 20) * min(frames, 2)
    assert most <= MAX_HYPOTHESES
    count = found.false_positive_rate * 2**32
    assert most - 10 * min(frames, 2) <= count <= most


def test_the_order_of_reading(monkeypatch):
    """Spread marks of all frames, quantised ones of two, then turned copies."""
    read = []

    class Reader(module._Reader):
        def decode(self, places):
            read.append("spread" if len(places) == 6 else "turned")
            return super().decode(places)

        def decode_quantised(self, heard, plane):
            read.append("quantised")
            return super().decode_quantised(heard, plane)

    monkeypatch.setattr(module, "_Reader", Reader)
    values = np.stack([texture(128, 128, seed=s) * 255 for s in range(3)]).astype(np.uint8)
    assert not extract(picture(values[..., None]), KEY).detected
    first = 3 * UPRIGHT // 6
    assert read[: first + 2] == ["spread"] * first + ["quantised"] * 2
    assert 1 <= len(read[first + 2 :]) <= 8
    assert set(read[first + 2 :]) == {"turned"}


def test_the_wrong_key_finds_nothing(marked):
    for _ in range(4):
        found = extract(marked, secrets.token_bytes(32))
        assert not found.detected
        assert found.payload is None


def test_what_was_seen_at_once_was_tried_seldom(marked):
    assert extract(marked, KEY).false_positive_rate <= UPRIGHT * 2**-32


def test_a_copy_too_far_gone_gives_no_payload_rather_than_a_wrong_one(marked):
    for sigma in (20, 40):
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
        np.arange(40, dtype=np.uint8).reshape(40, 1),
    ],
    ids=["constant", "constant float", "not a number", "one value", "a row", "a column"],
)
def test_constant_tiny_and_empty_copies_are_unmarked(values):
    found = extract(picture(values), KEY)
    assert not found.detected
    assert found.payload is None
    assert found.bit_probabilities.shape == (64,)


def test_two_marks_of_two_keys_are_both_found(marked):
    other = secrets.token_bytes(32)
    twice = embed(marked, b"release2", other)
    assert extract(twice, KEY).payload == PAYLOAD
    assert extract(twice, other).payload == b"release2"


def test_one_good_frame_of_many_is_enough(marked):
    frames = np.concatenate([np.zeros_like(marked.stored_values)] * 2 + [marked.stored_values])
    assert extract(picture(frames, bits=16), KEY).payload == PAYLOAD


def cells_of(evidence, shape):
    """Return row and column in the copy of the centre of each cell, and which lie inside."""
    rows, columns = np.indices(evidence.cells.shape) * 8 + 3.5
    places = np.stack([columns, rows, np.ones_like(rows)])
    column, row = np.einsum("ij,jkl->ikl", evidence.placement, places)
    inside = (row >= 0) & (row < shape[0]) & (column >= 0) & (column < shape[1])
    return row, column, inside


def test_evidence_falls_where_a_part_was_replaced(marked):
    values = marked.stored_values.copy()
    other = ct_phantom(generator=np.random.default_rng(9), rows=512, columns=448)
    values[:, 180:330, 60:210] = other.stored_values[:, 180:330, 60:210]
    whole, edited = (extract(image, KEY) for image in (marked, marked.with_stored_values(values)))
    assert edited.payload == PAYLOAD
    row, column, inside = cells_of(edited.evidence, (512, 448))
    assert inside.all()
    replaced = (row > 190) & (row < 320) & (column > 70) & (column < 200)
    far = (row < 165) | (row > 345) | (column < 45) | (column > 225)
    assert edited.evidence.cells[replaced].mean() < 0.3 * whole.evidence.cells[replaced].mean()
    assert edited.evidence.cells[far].mean() == pytest.approx(
        whole.evidence.cells[far].mean(), rel=0.2
    )


@pytest.mark.parametrize("turns", [0, 1])
def test_evidence_of_an_inverted_copy_is_for_the_mark(turns, marked):
    inverted = distortions.quarter_turn(distortions.invert(marked), turns=turns)
    found = extract(inverted, KEY)
    assert found.payload == PAYLOAD
    cells = found.evidence.cells
    assert cells.sum() > 0
    assert cells.sum() > 5 * np.abs(cells[cells < 0]).sum()


@pytest.mark.parametrize("move", ["crop", "rotation by 5", "crop, turn and JPEG"])
def test_evidence_lies_where_the_copy_has_it(move, marked):
    copy = MOVED[move](marked)
    shape = (copy.rows, copy.columns)
    values = copy.stored_values.copy()
    flat = (slice(None), slice(shape[0] // 2, None), slice(shape[1] // 2, None))
    values[flat] = np.median(values[flat])
    found = extract(copy.with_stored_values(values), KEY)
    assert found.payload == PAYLOAD
    row, column, inside = cells_of(found.evidence, shape)
    cells = found.evidence.cells
    gone = inside & (row > shape[0] / 2 + 20) & (column > shape[1] / 2 + 20)
    kept = inside & ((row < shape[0] / 2 - 20) | (column < shape[1] / 2 - 20))
    assert gone.sum() > 20
    assert abs(cells[gone]).mean() < 0.2 * cells[kept].mean()


def test_the_quantised_mark_of_a_later_frame_is_read():
    cover = loud(320, 320)
    marked = embed(cover, PAYLOAD, KEY)
    frames = np.concatenate([cover.stored_values, marked.stored_values])
    found = extract(picture(frames), KEY)
    assert found.payload == PAYLOAD
    count = found.false_positive_rate * 2**32
    assert 2 * UPRIGHT + CANDIDATES < count <= 2 * (UPRIGHT + CANDIDATES)


@pytest.mark.parametrize("side", [FRAME_SIDE, SMALL_FRAME_SIDE])
def test_a_small_image_is_read_in_either_working_frame(side):
    cover = grey(300, 256)
    levels, frame = Levels.of(cover), cover.stored_values[0]
    coded = spread.codeword(levels.plane(frame), PAYLOAD, KEY, side=side)
    residual = spread.residual(levels.plane(frame), coded, KEY, side=side)
    marked = Cover.of(frame, levels, residual).marked(0.5)
    found = extract(cover.with_stored_values(marked[None]), KEY)
    assert found.payload == PAYLOAD
    # That of its size comes first.
    is_second = found.false_positive_rate * 2**32 > 6
    assert is_second == (side == FRAME_SIDE)
    row, column, inside = cells_of(found.evidence, (300, 256))
    assert inside.all()
    assert found.evidence.cells.sum() > 0
    assert row.max() > 285
    assert column.max() > 240


def test_empty_slices_do_not_take_the_place_of_a_loud_one():
    marked = embed(loud(320, 320), PAYLOAD, KEY).stored_values
    frames = np.concatenate([np.zeros_like(marked)] * 6 + [marked])
    assert extract(picture(frames), KEY).payload == PAYLOAD


def test_a_long_strip_that_is_too_loud():
    cover = picture(np.random.default_rng(1).integers(0, 256, (70, 1500), dtype=np.uint8))
    assert extract(embed(cover, PAYLOAD, KEY), KEY).payload == PAYLOAD


def test_a_key_of_the_wrong_length_and_a_palette_are_refused(marked):
    with pytest.raises(WatermarkKeyError, match="key has 32 bytes"):
        extract(marked, b"short")
    with pytest.raises(UnsupportedImageError, match="palette indices"):
        extract(picture(np.zeros((64, 64), np.uint8), photometric="PALETTE COLOR"), KEY)
