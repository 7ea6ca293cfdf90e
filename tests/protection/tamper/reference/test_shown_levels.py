"""Levels of a copy are those of its record again, and a forgery among them stays one."""

import cv2
import numpy as np
import pytest

from medseal.protection.attacks import grey_values
from medseal.protection.tamper.canonical import limited
from medseal.protection.tamper.grey_curve import ENTRIES, GreyCurve
from medseal.protection.tamper.reference.picture import CoarsePicture
from medseal.protection.tamper.reference.shown_levels import record_levels
from tests.protection.pictures import texture

SEEN = np.ones((64, 64), np.bool_)
SIDE = 256
WHOLE = np.ones((SIDE, SIDE), np.bool_)
LEVELS = np.linspace(0, 255, ENTRIES)
# Fitted to something else: what is brought back is so without it.
WRONG = 80 + 0.3 * LEVELS


def plane() -> np.ndarray:
    rng = np.random.default_rng(1)
    ramp = np.linspace(20, 200, 64)[None] + rng.normal(0, 2, (64, 64))
    return np.clip(ramp, 0, 255).astype(np.float32)


def curve(table: np.ndarray) -> GreyCurve:
    return GreyCurve(table=table.astype(np.float32), rising=True)


def kept(record: np.ndarray) -> CoarsePicture:
    return CoarsePicture.of(record)


def test_a_copy_with_the_same_levels_keeps_them_whatever_the_curve() -> None:
    wild = curve(np.linspace(255, 0, ENTRIES))
    levels, lost = record_levels(plane(), wild, kept(plane()), SEEN)
    assert np.array_equal(levels, plane())
    assert not lost.any()


def test_a_brighter_copy_is_brought_back() -> None:
    darker = curve(np.linspace(0, 255, ENTRIES) - 40)
    copy = plane() + 40
    levels, lost = record_levels(copy, darker, kept(plane()), SEEN)
    assert np.abs(levels - plane()).max() < 1
    assert not lost.any()


def test_beyond_all_tile_means_the_curve_goes_on_straight() -> None:
    copy = plane() + 40
    copy[3, 3] = 250
    table = np.linspace(0, 255, ENTRIES) - 40
    table[-90:] = 255
    levels, _ = record_levels(copy, curve(table), kept(plane()), SEEN)
    assert abs(float(levels[3, 3]) - 210) < 12


def test_what_a_window_clipped_says_nothing() -> None:
    record = plane()
    copy = np.clip((record - 60) * 2, 0, 255).astype(np.float32)
    back = np.linspace(0, 255, ENTRIES) / 2 + 60
    _, lost = record_levels(copy, curve(back), kept(record), SEEN)
    assert lost[copy >= 255].all()
    assert lost[copy <= 0].mean() > 0.9
    assert not lost[(copy > 1) & (copy < 254)].any()


def organ() -> np.ndarray:
    """Return a disc of about 50 to 200 levels on black air: (256, 256)."""
    return np.asarray(255 * texture(SIDE, SIDE, seed=2), np.float32)


def dark() -> np.ndarray:
    """Return a small bright spot in a field that is nearly black: (256, 256)."""
    row, column = np.ogrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    spot = np.exp(-(row**2 + column**2) * 12.5)
    return np.asarray(4 + 100 * spot * (0.5 + texture(SIDE, SIDE, seed=3)), np.float32)


def clipped(levels: np.ndarray) -> np.ndarray:
    return np.clip(levels, 0, 255).astype(np.float32)


def gamma(levels: np.ndarray, exponent: float) -> np.ndarray:
    return grey_values.gamma(levels, exponent=exponent)


@pytest.mark.parametrize("exponent", [0.6, 1.4])
def test_a_power_is_undone_where_most_places_are_dark(exponent: float) -> None:
    record = dark()
    copy = gamma(record, exponent)
    assert np.abs(copy - record).mean() > 5
    levels, lost = record_levels(copy, curve(WRONG), kept(record), WHOLE)
    assert np.abs(levels - record).max() < 1
    assert not lost.any()


@pytest.mark.parametrize(
    "copied",
    [
        lambda levels: grey_values.brightness(levels, share=-0.1),
        lambda levels: grey_values.brightness(levels, share=0.1),
        lambda levels: grey_values.contrast(levels, factor=1.3),
        lambda levels: grey_values.contrast(levels, factor=0.8),
    ],
    ids=["darker", "brighter", "more contrast", "less contrast"],
)
def test_a_line_is_undone_though_black_was_clipped(copied) -> None:
    record = organ()
    copy = clipped(copied(record))
    levels, lost = record_levels(copy, curve(WRONG), kept(record), WHOLE)
    assert np.abs(levels - record).max() < 1
    # Only air was clipped, and the record knows that all of it was black.
    assert not lost.any()


def test_black_that_hides_several_levels_says_nothing() -> None:
    record = organ() + np.float32(10)
    record[:40] = np.linspace(0, 24, SIDE)
    copy = clipped(record - 25)
    levels, lost = record_levels(copy, curve(WRONG), kept(record), WHOLE)
    assert np.abs(levels - record)[~lost].mean() < 1
    assert lost[:32].mean() > 0.9
    assert not lost[copy > 1].any()


@pytest.mark.parametrize("level", [220, 255])
@pytest.mark.parametrize(
    "copied",
    [
        lambda levels: gamma(levels, 0.7),
        lambda levels: gamma(levels, 1.3),
        lambda levels: clipped(levels + 25),
        lambda levels: 255 - gamma(levels, 0.7),
    ],
    ids=["power below 1", "power above 1", "brighter", "negative"],
)
def test_a_bright_patch_of_a_dark_image_stays_far_above_it(copied, level: int) -> None:
    """It is .5 % of the area, so that it has the highest ranks of all."""
    record = dark()
    forged = record.copy()
    forged[40:58, 200:218] = level
    copy = copied(forged)
    rising = copy[0, 0] < copy[50, 210]
    found = GreyCurve(table=np.asarray(WRONG if rising else WRONG[::-1], np.float32), rising=rising)
    levels, lost = record_levels(copy, found, kept(record), WHOLE)
    assert record.max() < 120
    assert levels[40:58, 200:218].min() > 190
    assert not lost.any()
    rest = np.abs(levels - record)
    rest[40:58, 200:218] = 0
    assert rest.mean() < 1


@pytest.mark.parametrize("exponent", [1.0, 0.7])
def test_a_negative_is_brought_back(exponent: float) -> None:
    record = organ()
    copy = 255 - gamma(record, exponent)
    falling = GreyCurve(table=np.asarray(WRONG[::-1], np.float32), rising=False)
    levels, lost = record_levels(copy, falling, kept(record), WHOLE)
    assert np.abs(levels - record).max() < 1
    assert not lost.any()


def test_a_copy_that_shows_less_goes_by_tile_means() -> None:
    """An eighth is missing, all of it bright: the rest has other quantiles, and none is asked."""
    record = organ()
    record[:, :32] = 230 + 20 * texture(SIDE, 32, seed=5)
    seen = WHOLE.copy()
    seen[:, :32] = False
    copy = np.where(seen, gamma(record, 0.7), 0).astype(np.float32)
    levels, _ = record_levels(copy, curve(WRONG), kept(record), seen)
    assert np.abs(levels - record)[seen].mean() < 2
    picture = kept(record)
    other = CoarsePicture(
        book=picture.book, places=picture.places, ranked=np.arange(64, dtype=np.uint8)
    )
    again, _ = record_levels(copy, curve(WRONG), other, seen)
    assert np.array_equal(again, levels)


def test_where_nothing_is_seen_nothing_is_changed() -> None:
    copy = gamma(organ(), 0.5)
    levels, lost = record_levels(copy, curve(WRONG), kept(organ()), ~WHOLE)
    assert np.array_equal(levels, copy)
    assert not lost.any()


def test_clipped_ends_have_the_mean_level_of_their_ranks() -> None:
    record = organ() + np.float32(30)
    record[record > 150] = 180
    record[record < 40] = 35
    copy = clipped((record - 50) * 2.3)
    assert (copy == 0).any()
    assert (copy == 255).any()
    levels, _ = record_levels(copy, curve(WRONG), kept(record), WHOLE)
    for end, level in ((0, 35), (255, 180)):
        assert np.abs(levels[copy == end] - level).max() < 3


def test_another_window_that_cut_nothing_off_is_undone_exactly() -> None:
    """A copy with more than 8 bits goes on beyond what its window shows."""
    rng = np.random.default_rng(4)
    grey = cv2.GaussianBlur(rng.uniform(-40, 330, (256, 256)).astype(np.float32), (0, 0), 3)
    grey = 140 + 4 * (grey - grey.mean())
    assert grey.min() < -5
    assert grey.max() > 260
    picture = CoarsePicture.of(limited(grey))
    shown = limited(1.3 * grey - 20)
    seen = np.ones(grey.shape, np.bool_)
    seen[:48] = False
    levels, lost = record_levels(shown, curve(LEVELS), picture, seen)
    assert not lost.any()
    assert np.abs(levels - limited(grey))[seen].max() < 1
