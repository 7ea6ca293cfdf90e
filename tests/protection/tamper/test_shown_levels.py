import numpy as np

from medseal.protection.tamper.grey_curve import ENTRIES, GreyCurve
from medseal.protection.tamper.reference.picture import CoarsePicture
from medseal.protection.tamper.shown_levels import record_levels

SEEN = np.ones((64, 64), np.bool_)


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
