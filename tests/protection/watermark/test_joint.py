from functools import lru_cache

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from medseal.metrics.image_quality import psnr, ssim
from medseal.metrics.watermark import bit_accuracy
from medseal.protection.attacks import distortions
from medseal.protection.watermark import embed, embed_removable, extract, remove, spread
from medseal.protection.watermark import joint as module
from medseal.protection.watermark.cover import Limits
from medseal.protection.watermark.extract import MAX_HYPOTHESES
from medseal.protection.watermark.frame import working_shape
from medseal.protection.watermark.joint import joint
from medseal.protection.watermark.levels import Levels
from medseal.protection.watermark.payload import MAC_BITS, encode_plain, most_likely_messages
from medseal.protection.watermark.quantisation import CANDIDATES, STEPS, candidates
from medseal.protection.watermark.residual import differences
from tests.protection.pictures import KEY, PAYLOAD, grey, loud, picture

# 45 dB, and what the embedder keeps of similarity.
LIMITS = Limits(error=255**2 * 10**-4.5, similarity=0.9901)
# So many are tried before the quantised mark is looked for.
UPRIGHT = (MAX_HYPOTHESES - 2 * (CANDIDATES + 20)) // 8


def both(cover, *, limits=LIMITS, shares=(1.0,), payload=PAYLOAD):
    """Return what `joint` makes of the only frame of a cover image, and the marked image."""
    made = joint(
        cover.stored_values[0], Levels.of(cover), payload, KEY, shares=shares, limits=limits
    )
    return made, None if made is None else cover.with_stored_values(made.marked[None])


@lru_cache(maxsize=1)
def pair():
    cover = loud()
    return cover, both(cover)[1]


def check_limits(cover, marked):
    levels = Levels.of(cover)
    before, after = cover.stored_values[0], marked.stored_values[0]
    assert after.dtype == before.dtype
    least, most = cover.storable_range
    assert least <= after.min() <= after.max() <= most
    assert psnr(before, after, data_range=levels.high - levels.low) >= 45
    shifted = (values.astype(np.float64) - levels.low for values in (before, after))
    assert ssim(*shifted, data_range=levels.high - levels.low) >= 0.99


def test_both_limits_are_kept_and_one_is_used():
    cover, marked = pair()
    check_limits(cover, marked)
    before, after = cover.stored_values[0], marked.stored_values[0]
    assert psnr(before, after, data_range=255) < 46 or ssim(before, after, data_range=255) < 0.991


KINDS = {
    "12 bit": lambda: picture(loud(384, 400).stored_values.astype(np.uint16) * 16, bits=12),
    "signed": lambda: picture(loud(400, 384).stored_values.astype(np.int16) * 8 - 1000, bits=12),
    "float": lambda: picture(loud(400, 384).stored_values.astype(np.float32) / 50 - 1),
    "elongated": lambda: loud(150, 900),
    "larger than what is shaped": lambda: loud(1040, 613),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_frame(kind):
    cover = KINDS[kind]()
    _, marked = both(cover)
    check_limits(cover, marked)
    assert extract(marked, KEY).payload == PAYLOAD


def test_colour():
    grey_values = loud(400, 384).stored_values
    cover = picture(np.concatenate([grey_values] * 3, axis=3), photometric="RGB")
    shares = (1.2, 0.9, 0.98)
    made, marked = both(cover, shares=shares)
    check_limits(cover, marked)
    assert extract(marked, KEY).payload == PAYLOAD
    # Each sample takes its share.
    assert np.allclose(np.array(made.residual.scales) / made.residual.scales[0] * 1.2, shares)


def test_the_residual_is_what_was_added():
    cover, _ = pair()
    made, _ = both(cover)
    added = np.concatenate([rows for _, rows in differences(made.residual, (512, 512))])
    wanted = np.clip(cover.stored_values[0].astype(int) + added, 0, 255)
    assert np.array_equal(made.marked, wanted)


def test_the_same_input_gives_the_same_frame_and_another_payload_another():
    cover, marked = pair()
    assert np.array_equal(both(cover)[1].stored_values, marked.stored_values)
    other = both(cover, payload=b"release2")[1]
    assert not np.array_equal(other.stored_values, marked.stored_values)
    assert extract(other, KEY).payload == b"release2"


@pytest.mark.parametrize(
    ("cover", "limits"),
    [
        (lambda: picture(np.full((256, 256), 90, np.uint8)), LIMITS),
        (lambda: picture(np.zeros((256, 256), np.uint8)), LIMITS),
        (lambda: loud(256, 256), Limits(error=1e-4, similarity=0.99)),
        (lambda: loud(256, 256), Limits(error=2, similarity=1 - 1e-7)),
    ],
    ids=["even", "black", "no error is allowed", "no dissimilarity is allowed"],
)
def test_where_there_is_no_room_there_is_no_mark(cover, limits):
    assert both(cover(), limits=limits)[0] is None


ATTACKS = {
    "none": lambda i, _: i,
    "JPEG 50": lambda i, _: distortions.jpeg(i, quality=50),
    "noise 10": lambda i, rng: distortions.gaussian_noise(i, sigma=10, rng=rng),
    "salt and pepper": lambda i, rng: distortions.salt_and_pepper(i, share=0.01, rng=rng),
    "darker": lambda i, _: distortions.brightness(i, share=-0.2),
    "more contrast": lambda i, _: distortions.contrast(i, factor=1.2),
    "blur": lambda i, _: distortions.blur(i, sigma=1.0),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_the_quantised_mark_outlives(attack):
    copy = ATTACKS[attack](pair()[1], np.random.default_rng(3))
    found = extract(copy, KEY)
    assert found.payload == PAYLOAD
    # It was the quantised one that was read.
    count = round(found.false_positive_rate * 2**MAC_BITS)
    assert UPRIGHT < count <= MAX_HYPOTHESES


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirrored", [False, True])
def test_all_eight_orientations(turns, mirrored):
    copy = distortions.quarter_turn(pair()[1], turns=turns)
    if mirrored:
        copy = distortions.flip(copy, axis="columns")
    found = extract(copy, KEY)
    assert found.payload == PAYLOAD
    assert found.evidence.cells.sum() > 0


@pytest.mark.parametrize("attack", ["none", "JPEG 50", "darker"])
def test_probabilities_and_evidence_of_what_was_read(attack):
    copy = ATTACKS[attack](pair()[1], np.random.default_rng(3))
    found = extract(copy, KEY)
    assert found.detected
    assert bit_accuracy(PAYLOAD, found.bit_probabilities) == 1.0
    assert np.abs(found.bit_probabilities - 0.5).mean() > 0.4
    assert found.evidence.cells.shape == (32, 32)
    assert found.evidence.cells.sum() > 0
    # Twice the size of the working frame, and nothing moved.
    assert np.allclose(found.evidence.placement, [[2, 0, 0.5], [0, 2, 0.5]])


def test_the_spread_mark_is_added_over_it(monkeypatch):
    cover, marked = pair()
    choose, made = spread.codeword, []

    def codeword(*arguments):
        made.append(choose(*arguments))
        return made[-1]

    monkeypatch.setattr(spread, "codeword", codeword)
    assert np.array_equal(both(cover)[1].stored_values, marked.stored_values)
    (coded,) = made
    before, after = (
        spread.Heard.of(Levels.of(cover).plane(image.stored_values[0]), coded, KEY).margin
        for image in (cover, marked)
    )
    assert after > before + 0.03


def test_unmarked_and_wrong_key():
    cover, marked = pair()
    for image, key in ((cover, KEY), (marked, bytes(32))):
        found = extract(image, key)
        assert not found.detected
        assert found.payload is None
        assert found.evidence is None
        assert found.false_positive_rate <= MAX_HYPOTHESES * 2.0**-MAC_BITS
        assert np.abs(found.bit_probabilities - 0.5).mean() < 0.2


def test_the_mark_is_taken_out_to_the_bit():
    cover, _ = pair()
    made = embed_removable(cover, PAYLOAD, KEY)
    assert np.array_equal(made.image.stored_values, embed(cover, PAYLOAD, KEY).stored_values)
    assert extract(made.image, KEY).payload == PAYLOAD
    restored = remove(made.image, made.side_information)
    assert restored.stored_values.tobytes() == cover.stored_values.tobytes()


def test_a_frame_that_is_not_loud_has_the_spread_mark_alone():
    cover = grey(400, 400)
    coded = encode_plain(PAYLOAD, KEY) * 2.0 - 1.0
    rows = candidates(Levels.of(cover).plane(embed(cover, PAYLOAD, KEY).stored_values[0]), KEY)
    assert np.abs((rows * coded).mean(axis=1)).max() < 0.3
    rows = candidates(Levels.of(cover).plane(both(cover)[1].stored_values[0]), KEY)
    assert (rows * coded).mean(axis=1).max() > 0.5
    assert PAYLOAD in {message[:8] for message in most_likely_messages(rows[: len(STEPS)])}


@given(rows=st.integers(64, 1400), columns=st.integers(64, 1400))
@example(rows=1040, columns=613)
@example(rows=2048, columns=1367)
@settings(max_examples=15, deadline=None)
def test_a_smaller_copy_has_the_working_frame_of_the_whole(rows, columns):
    frame = np.zeros((rows, columns, 1), np.uint8)
    small = module._smaller(frame)
    assert working_shape(*small.shape[:2]) == working_shape(rows, columns)
    assert small.size <= frame.size
    assert small is frame or small.size < frame.size
    if max(rows, columns) <= 1024:
        assert small is frame


def test_a_smaller_copy_is_the_same_picture():
    frame = np.full((2000, 1500, 3), (10, 4000, 65535), np.uint16)
    frame[:1000] = 0
    small = module._smaller(frame)
    assert small.shape == (1024, 768, 3)
    assert small.dtype == np.uint16
    assert not small[:500].any()
    assert np.all(small[520:] == (10, 4000, 65535))


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint32, np.int64, np.uint64])
def test_a_smaller_copy_of_the_largest_and_least_values(dtype):
    frame = np.full((1100, 1201, 1), np.iinfo(dtype).max, dtype)
    frame[600:] = np.iinfo(dtype).min
    with np.errstate(invalid="raise"):
        small = module._smaller(frame)
    span = float(np.iinfo(dtype).max) - float(np.iinfo(dtype).min)
    assert np.iinfo(dtype).max - small[:500].astype(float).min() < 2e-3 * span
    assert small[600:].astype(float).max() - np.iinfo(dtype).min < 2e-3 * span
