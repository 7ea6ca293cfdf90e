import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseal.metrics.image_quality import psnr, ssim
from medseal.protection.watermark.cover import Cover, Limits, distortion, settled
from medseal.protection.watermark.levels import LUMA, Levels
from medseal.protection.watermark.residual import differences
from tests.protection.pictures import grey, picture, texture

LIMITS = Limits(error=255**2 * 10**-4.5, similarity=0.99)


def waves(rows=256, columns=230, *, seed=0):
    """Return a residual in the working frame."""
    return np.random.default_rng(seed).normal(0, 1, (rows, columns)).astype(np.float32)


def cover_of(image, residual=None, **options):
    levels = Levels.of(image)
    return Cover.of(
        image.stored_values[0], levels, waves() if residual is None else residual, **options
    )


def colour():
    planes = [texture(320, 288, seed=seed) * 255 for seed in range(2)]
    even = np.where(planes[0] > 0, 60, 0) + np.arange(288) / 20
    return picture(np.stack([*planes, even], axis=2)[None].astype(np.uint8), photometric="RGB")


KINDS = {
    "8 bit": lambda: grey(320, 288),
    "12 bit": lambda: picture((texture(320, 288) * 4095).astype(np.uint16), bits=12),
    "signed": lambda: picture((texture(320, 288) * 3000 - 1000).astype(np.int16)),
    "float": lambda: picture((texture(320, 288) * 7 - 3).astype(np.float32)),
    "colour": colour,
}


def test_the_map_is_the_residual_in_whole_numbers_up_to_a_factor():
    residual = waves() * np.float32(37)
    cover = cover_of(grey(320, 288), residual)
    assert cover.map.dtype == np.int8
    assert np.corrcoef(cover.map.ravel(), residual.ravel())[0, 1] > 0.99
    assert np.array_equal(cover_of(grey(320, 288), residual * np.float32(0.01)).map, cover.map)
    assert cover.unit.shape == (320, 288)
    assert cover.shares == (1.0,)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("amplitude", [0.2, 1.5])
def test_what_is_added_is_the_residual(kind, amplitude):
    image = KINDS[kind]()
    cover = cover_of(image)
    marked = cover.marked(amplitude)
    frame, levels = image.stored_values[0], Levels.of(image)
    assert marked.dtype == frame.dtype
    changes = levels.changes(frame, marked)
    about = cover.approximate(amplitude)
    # Away from the limits of the storable range.
    least, most = image.storable_range
    inner = np.all((marked > least) & (marked < most) & (frame > least) & (frame < most), axis=2)
    for change, near in zip(changes, about, strict=True):
        assert np.abs(change - near)[inner].max() <= 1.01 / levels.level
    if frame.dtype.kind != "f":
        added = np.concatenate(
            [rows for _, rows in differences(cover.residual(amplitude), frame.shape[:2])]
        )
        assert np.array_equal(marked, np.clip(frame + added, least, most))


def test_colour_samples_bear_what_they_hide_and_brightness_stays_one():
    cover = cover_of(colour())
    red, green, blue = cover.shares
    assert min(red, green) > 3 * blue
    assert np.dot(cover.shares, LUMA) == pytest.approx(1)
    assert cover_of(colour(), shares=(1.0, 2.0, 0.5)).shares == (1.0, 2.0, 0.5)


@pytest.mark.parametrize("kind", ["8 bit", "signed", "colour"])
def test_distortion_is_what_the_metrics_say(kind):
    image = KINDS[kind]()
    cover = cover_of(image)
    frame, levels = image.stored_values[0], Levels.of(image)
    marked = cover.marked(1.0)
    planes, changes = levels.sample_planes(frame), levels.changes(frame, marked)
    error, alike = distortion(cover, planes, changes, is_estimate=False)
    span = levels.high - levels.low
    wanted = psnr(frame, marked, data_range=span)
    assert 10 * np.log10(255**2 / error) == pytest.approx(wanted, abs=0.01)
    # The least of several definitions, the one of Wang et al. among them.
    pair = [values.astype(np.float64) - levels.low for values in (frame, marked)]
    assert alike <= ssim(*pair, data_range=span) + 1e-3
    assert alike > 0.8
    _, about = distortion(cover, planes, changes, is_estimate=True)
    assert 1 - about == pytest.approx(1 - alike, rel=0.3)


def test_similarity_of_signed_values_counts_as_they_are_stored():
    image = KINDS["signed"]()
    cover = cover_of(image)
    levels = Levels.of(image)
    marked = cover.marked(1.0)
    changes = levels.changes(cover.frame, marked)
    _, alike = distortion(cover, levels.sample_planes(cover.frame), changes, is_estimate=False)
    plain = ssim(cover.frame, marked, data_range=levels.high - levels.low)
    assert levels.low < 0
    assert alike <= plain + 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_settled_amplitude_keeps_both_limits_and_uses_one(kind):
    image = KINDS[kind]()
    cover = cover_of(image)
    amplitude, marked = settled(cover, LIMITS)
    assert amplitude > 0
    assert np.array_equal(marked, cover.marked(amplitude), equal_nan=True)
    levels = Levels.of(image)
    planes = levels.sample_planes(cover.frame)

    def cost(values):
        return distortion(cover, planes, levels.changes(cover.frame, values), is_estimate=False)

    assert LIMITS.are_kept(*cost(marked))
    assert not LIMITS.are_kept(*cost(cover.marked(1.25 * amplitude)))


def test_a_wider_limit_gives_a_louder_mark():
    cover = cover_of(grey(320, 288))
    amplitudes = [
        settled(cover, Limits(error=LIMITS.error, similarity=similarity))[0]
        for similarity in (0.995, 0.99, 0.97)
    ]
    assert amplitudes == sorted(amplitudes)
    assert amplitudes[0] < amplitudes[-1]
    assert settled(cover, Limits(error=0.01, similarity=0.99))[0] < 0.2 * amplitudes[0]


def test_a_residual_of_nothing_leaves_the_frame():
    image = grey(320, 288)
    amplitude, marked = settled(cover_of(image, np.zeros((256, 230), np.float32)), LIMITS)
    assert amplitude == 0
    assert np.array_equal(marked, image.stored_values[0])


@given(error=st.floats(1e-3, 10), dissimilarity=st.floats(1e-4, 0.2))
@settings(max_examples=50, deadline=None)
def test_room_tells_whether_limits_are_kept(error, dissimilarity):
    alike = 1 - dissimilarity
    room = LIMITS.room(error, alike)
    assert (room >= 1) == LIMITS.are_kept(error, alike) or room == pytest.approx(1)
    # Both costs grow with the energy: at the room that is left one limit is reached.
    at_the_limit = LIMITS.room(error * room, 1 - dissimilarity * room)
    assert at_the_limit == pytest.approx(1)
    assert LIMITS.room(0, 1) > 1e6
