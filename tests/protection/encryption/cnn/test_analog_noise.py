import numpy as np
import pytest

from medseal.protection.encryption.cnn.analog_noise import (
    blank_areas,
    kept_of,
    loud_channel,
    point_densities,
    read_channel,
)

SHAPE = (160, 160)


def sent(seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return frame, mask and points: random levels that carry four points and small shifts."""
    rng = np.random.default_rng(seed)
    mask = rng.integers(0, 256, SHAPE)
    points = 64 * rng.integers(0, 4, SHAPE)
    shift = np.rint(rng.laplace(0, 4, SHAPE))
    return ((mask + points + shift) % 256).astype(np.uint8), mask, points


def content(frame: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (frame.astype(int) - mask).astype(np.uint8)


EVERYWHERE = np.ones(SHAPE, np.bool_)


@pytest.mark.parametrize("sigma", [3.0, 8.0, 14.0])
@pytest.mark.parametrize("known", [False, True])
def test_the_spread_of_noise_is_read(sigma: float, known: bool) -> None:
    frame, mask, points = sent()
    noise = np.random.default_rng(2).normal(0, sigma, SHAPE)
    noisy = np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)
    shown = content(noisy, mask + points if known else mask)
    channel = read_channel(noisy, shown, period=256 if known else 64, known=EVERYWHERE)
    assert channel.spread == pytest.approx(np.hypot(sigma, 5.0), rel=0.3)
    assert channel.lost.mean() < (0.03 if known else 0.12)


def test_an_area_that_shows_something_else_is_lost_and_nothing_else() -> None:
    frame, mask, _ = sent()
    frame[40:100, 30:120] = np.random.default_rng(3).integers(0, 256, (60, 90))
    channel = read_channel(frame, content(frame, mask), period=64, known=EVERYWHERE)
    inside = np.zeros(SHAPE, np.bool_)
    inside[46:94, 36:114] = True
    outside = np.ones(SHAPE, np.bool_)
    outside[32:108, 22:128] = False
    assert channel.lost[inside].mean() > 0.9
    assert channel.lost[outside].mean() < 0.05


@pytest.mark.parametrize("level", [0, 128, 255])
def test_blank_areas_are_seen(level: int) -> None:
    frame, _, _ = sent()
    frame[:60, :60] = level
    found = blank_areas(frame)
    assert found[5:50, 5:50].all()
    assert not found[70:, 70:].any()


def test_salt_and_pepper_are_lost_at_the_ends_of_the_scale_alone() -> None:
    frame, mask, points = sent()
    rng = np.random.default_rng(4)
    hit = rng.random(SHAPE) < 0.1
    frame = np.where(hit, 255 * rng.integers(0, 2, SHAPE), frame).astype(np.uint8)
    shown = content(frame, mask + points)
    channel = read_channel(frame, shown, period=256, known=EVERYWHERE)
    assert channel.kept[hit].mean() < 0.25
    assert channel.kept[~hit].mean() > 0.95


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 9.0), (0.85, 19.0), (1.1, -12.0)])
def test_a_tone_curve_is_followed(gain: float, offset: float) -> None:
    frame, mask, _ = sent()
    toned = np.clip(np.rint(frame * gain + offset), 0, 255).astype(np.uint8)
    channel = read_channel(toned, content(toned, mask), period=64, known=EVERYWHERE)
    levels = np.arange(45, 210)
    true = levels - (levels - offset) / gain
    assert np.abs(channel.offsets[levels] - true).max() < 4


def test_densities_are_highest_at_the_point_and_flat_where_all_is_lost() -> None:
    near = np.array([2.0, 130.0, 250.0], np.float32)
    found = point_densities(near, np.zeros(3, np.float32), 6.0)
    assert found.argmax(0).tolist() == [0, 2, 0]
    lost = point_densities(near, np.ones(3, np.float32), 6.0)
    assert np.allclose(lost, lost[0, 0])


def test_the_loud_channel_loses_flat_areas_only() -> None:
    frame, _, _ = sent()
    frame[:50] = 7
    channel = loud_channel(frame)
    assert channel.lost[5:40].min() > 0.9
    assert channel.lost[60:].max() < 0.1


def test_large_shifts_are_kept_where_their_neighbours_are_large() -> None:
    rng = np.random.default_rng(5)
    shift = np.zeros(SHAPE, np.float32)
    shift[:, 80:] = rng.laplace(0, 25, (160, 80))
    hit = rng.random(SHAPE) < 0.05
    heard = np.where(hit, rng.uniform(-128, 128, SHAPE), shift).astype(np.float32)
    lost = np.full(SHAPE, 0.05, np.float32)
    first = np.where(np.abs(heard) < 30, 0.95, 0.1).astype(np.float32)
    kept = kept_of(heard, first, lost)
    large = ~hit & (np.abs(shift) > 40)
    assert kept[large].mean() > 0.6
    assert kept[large].mean() > first[large].mean() + 0.4
    alone = hit & (np.abs(heard) > 30)
    alone[:, 70:] = False
    assert kept[alone].mean() < 0.2


def test_less_than_a_level_is_no_tone_curve() -> None:
    frame, mask, points = sent()
    channel = read_channel(frame, content(frame, mask + points), period=256, known=EVERYWHERE)
    assert not channel.offsets[5:250].any()
