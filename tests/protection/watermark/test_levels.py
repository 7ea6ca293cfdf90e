import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.errors import UnsupportedImageError
from medseal.protection.watermark.levels import LUMA, Levels
from tests.protection.pictures import picture


def ramp(low, high, dtype, *, rows=16, columns=32):
    return np.linspace(low, high, rows * columns).reshape(rows, columns).astype(dtype)


@pytest.mark.parametrize(
    ("values", "bits"),
    [
        (ramp(0, 255, np.uint8), 8),
        (ramp(0, 4095, np.uint16), 12),
        (ramp(-2048, 2047, np.int16), 12),
        (ramp(0, 2**32 - 1, np.uint32), 32),
    ],
)
def test_levels_run_from_0_to_255_over_the_value_range(values, bits):
    image = picture(values, bits=bits)
    levels = Levels.of(image)
    plane = levels.plane(image.stored_values[0])
    assert plane.dtype == np.float32
    assert plane.min() == pytest.approx(0, abs=0.2)
    assert plane.max() == pytest.approx(255, abs=0.2)
    assert levels.level == pytest.approx((levels.high - levels.low) / 255)
    assert (levels.marked_samples, levels.counted_samples) == (1, 1)
    assert np.allclose(
        np.clip(levels.sample_planes(image.stored_values[0])[0], 0, 255), plane, atol=0.01
    )


def test_brightness_of_colour_is_its_luma():
    rng = np.random.default_rng(1)
    values = rng.integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    levels = Levels.of(picture(values, photometric="RGB"))
    assert (levels.marked_samples, levels.counted_samples) == (3, 3)
    wanted = values[0].astype(float) @ np.array(LUMA)
    assert np.allclose(levels.plane(values[0]), wanted, atol=0.01)
    red, green, blue = levels.sample_planes(values[0])
    assert np.allclose(np.stack([red, green, blue], -1), values[0], atol=0.01)


@pytest.mark.parametrize(
    ("photometric", "samples", "marked", "counted"),
    [("YBR_FULL", 3, 1, 3), ("RGBA", 4, 3, 3), ("MONOCHROME2", 1, 1, 1)],
)
def test_which_samples_bear_the_mark(photometric, samples, marked, counted):
    rng = np.random.default_rng(2)
    values = rng.integers(0, 256, (1, 8, 8, samples), dtype=np.uint8)
    levels = Levels.of(picture(values, photometric=photometric))
    assert (levels.marked_samples, levels.counted_samples) == (marked, counted)


def test_what_is_no_number_counts_as_air():
    values = ramp(0, 1, np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    image = picture(values)
    plane = Levels.of(image).plane(image.stored_values[0])
    assert plane[0, :3].tolist() == [0, 255, 0]
    assert np.isfinite(plane).all()


@given(
    value=st.integers(-(2**15), 2**15 - 1),
    added=st.integers(-(2**40), 2**40),
    bits=st.integers(8, 16),
)
def test_sums_stay_in_the_storable_range(value, added, bits):
    image = picture(ramp(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1, np.int16), bits=bits)
    levels = Levels.of(image)
    least, most = image.storable_range
    result = levels.add(np.array([[[value]]], np.int16), np.array([[[added]]], np.int64))
    assert result.dtype == np.int16
    if least <= value <= most:
        assert result.item() == min(max(value + added, least), most)
    else:
        assert result.item() == value


def test_floating_values_take_any_finite_sum():
    image = picture(ramp(-1, 1, np.float64))
    values = np.array([[[0.5], [np.nan], [np.inf]]])
    result = Levels.of(image).add(values, np.array([[[0.25], [1.0], [1.0]]]))
    assert np.array_equal(result, [[[0.75], [np.nan], [np.inf]]], equal_nan=True)


def test_changes_are_in_levels():
    image = picture(ramp(0, 4095, np.uint16), bits=12)
    levels = Levels.of(image)
    frame = image.stored_values[0]
    other = frame.copy()
    other[3, 4] += 16
    other[5, 6] -= 8
    (change,) = levels.changes(frame, other)
    assert change[3, 4] == pytest.approx(16 / levels.level)
    assert change[5, 6] == pytest.approx(-8 / levels.level)
    assert np.count_nonzero(change) == 2


def test_what_was_never_a_number_has_not_changed():
    values = ramp(0, 1, np.float32)
    values[0, :2] = np.nan, np.inf
    image = picture(values)
    frame = image.stored_values[0]
    (change,) = Levels.of(image).changes(frame, frame)
    assert not change.any()


@pytest.mark.parametrize("value", [0.0, 7.0, 1e300, np.nan, np.inf])
def test_a_constant_image_has_one_level(value):
    image = picture(np.full((8, 8), value))
    levels = Levels.of(image)
    assert levels.level > 0
    assert len(np.unique(levels.plane(image.stored_values[0]))) == 1


def test_what_has_no_levels_is_refused():
    with pytest.raises(UnsupportedImageError, match="palette indices cannot carry"):
        Levels.of(picture(ramp(0, 255, np.uint8), photometric="PALETTE COLOR"))
