import cv2
import numpy as np
import pytest

from medseal.protection.encryption.cnn.analog_residual import (
    code_of_factor,
    factor_of_code,
    gain_code_of,
    heard,
    restored,
    shifts,
)


def test_a_factor_is_written_to_a_twelfth() -> None:
    for factor in (2.0**-15, 0.01, 0.5, 1.0, 3.3, 1000.0):
        written = factor_of_code(code_of_factor(factor))
        assert factor / 1.0906 <= written <= factor * 1.0001


def test_codes_keep_to_a_byte() -> None:
    assert code_of_factor(1e-9) == 0
    assert code_of_factor(1e9) == 255


@pytest.mark.parametrize("deviation", [0.4, 2.0, 7.0, 11.0])
def test_levels_come_home_exactly_without_a_channel(deviation: float) -> None:
    rng = np.random.default_rng(1)
    coarse = rng.integers(60, 190, (50, 40))
    residual = np.clip(np.rint(rng.normal(0, deviation, coarse.shape)), -40, 40).astype(int)
    gain = factor_of_code(gain_code_of(residual))
    shift = shifts(residual, gain)
    assert np.abs(shift).max() <= 127
    assert np.array_equal(restored(coarse, shift, gain, white=255), coarse + residual)


def test_a_loud_residual_is_sent_softly() -> None:
    residual = np.rint(np.random.default_rng(1).normal(0, 500, (60, 60)))
    spread = shifts(residual, factor_of_code(gain_code_of(residual))).std()
    assert 7 < spread < 8.1


def test_no_residual_has_gain_one() -> None:
    assert factor_of_code(gain_code_of(np.zeros((4, 4)))) == 1.0


def damaged(quality: int) -> tuple[np.ndarray, np.ndarray]:
    """Return shifts of spread 8 under a random mask, and what JPEG leaves of them."""
    rng = np.random.default_rng(3)
    shift = rng.normal(0, 8, (256, 256)).astype(np.float32)
    mask = rng.uniform(40, 215, shift.shape)
    sent = np.rint(mask + shift).astype(np.uint8)
    coded = cv2.imencode(".jpg", sent, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return shift, cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE) - mask.astype(np.float32)


def test_weighting_frequencies_hears_more_than_weighting_places() -> None:
    shift, distance = damaged(70)
    whole = np.ones_like(distance)
    found = heard(distance, whole, 64.0)
    plain = float(np.sqrt(np.mean((distance - shift) ** 2)))
    assert found.noise < 0.9 * plain
    # It is unbiased, and its noise is what it says.
    assert np.mean(found.shift * shift) / np.mean(shift * shift) == pytest.approx(1, abs=0.05)
    off = float(np.sqrt(np.mean((found.shift - shift) ** 2)))
    assert found.noise == pytest.approx(off, rel=0.05)


def test_nothing_is_changed_where_nothing_is_wrong() -> None:
    shift = np.random.default_rng(1).normal(0, 8, (64, 64)).astype(np.float32)
    power = float(np.mean(shift.astype(np.float64) ** 2))
    found = heard(shift, np.ones_like(shift), power)
    assert found.noise == 0
    assert np.array_equal(found.shift, shift)


def test_places_that_were_lost_count_for_nothing() -> None:
    rng = np.random.default_rng(2)
    shift = rng.normal(0, 8, (64, 64)).astype(np.float32)
    lost = rng.random(shift.shape) < 0.3
    distance = np.where(lost, rng.uniform(-128, 128, shift.shape), shift).astype(np.float32)
    found = heard(distance, (~lost).astype(np.float32), 64.0)
    assert found.noise < 1.5


def test_a_frame_that_is_lost_altogether_is_deaf() -> None:
    plane = np.zeros((16, 16), np.float32)
    assert heard(plane, plane, 64.0).noise > 100
