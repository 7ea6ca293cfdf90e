import numpy as np
import pytest

from medseal.errors import InputError
from medseal.protection.attacks import grey_values
from tests.protection.pictures import texture


def rng():
    return np.random.default_rng(5)


def plane(*, colour=False):
    layers = [texture(96, 80, seed=s) * 255 for s in range(3)]
    return (np.stack(layers, axis=2) if colour else layers[0]).astype(np.float32)


GREY_VALUES = {
    "brightness": lambda p: grey_values.brightness(p, share=0.1),
    "contrast": lambda p: grey_values.contrast(p, factor=0.8),
    "gamma": lambda p: grey_values.gamma(p, exponent=0.7),
    "clahe": grey_values.clahe,
    "window": lambda p: grey_values.window(p, low=0.1, high=0.8),
    "window_percentiles": grey_values.window_percentiles,
    "twelve_to_8_bits": lambda p: grey_values.twelve_to_8_bits(p, rng=rng()),
    "invert": grey_values.invert,
    "posterise": lambda p: grey_values.posterise(p, count=8),
}


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize("name", GREY_VALUES)
def test_shape_type_and_the_same_result_again(name, colour):
    levels = plane(colour=colour)
    before = levels.copy()
    one, two = GREY_VALUES[name](levels), GREY_VALUES[name](levels)
    assert one.dtype == np.float32
    assert one.shape == levels.shape
    assert np.array_equal(one, two)
    assert np.array_equal(levels, before)
    assert not np.array_equal(one, levels)


def test_what_each_curve_does():
    levels = np.array([[0, 51, 127.5, 204, 255]], np.float32)
    expected = {
        "brightness": levels + 25.5,
        "contrast": [25.5, 66.3, 127.5, 188.7, 229.5],
        "gamma": 255 * (levels[0] / 255) ** 0.7,
        "window": [0, 36.4286, 145.7143, 255, 255],
        "invert": [255, 204, 127.5, 51, 0],
        "posterise": [0, 36.4286, 145.7143, 218.5714, 255],
    }
    for name, row in expected.items():
        assert GREY_VALUES[name](levels)[0] == pytest.approx(np.ravel(row), abs=1e-3), name


def test_gamma_clips_first():
    outside = np.array([[-9, 300]], np.float32)
    assert grey_values.gamma(outside, exponent=0.5).tolist() == [[0, 255]]


def test_percentiles_become_black_and_white():
    levels = plane() * 0.5 + 30
    stretched = grey_values.window_percentiles(levels, low=5, high=95)
    assert np.mean(stretched == 255) == pytest.approx(0.05, abs=0.002)
    assert np.mean(stretched == 0) >= 0.05
    inside = (stretched > 0) & (stretched < 255)
    slope, _ = np.polyfit(levels[inside], stretched[inside], 1)
    low, high = np.percentile(levels, (5, 95))
    assert slope == pytest.approx(255 / (high - low), rel=1e-3)


def test_equal_percentiles_leave_the_levels():
    flat = np.full((20, 20), 77, np.float32)
    flat[3, 3] = 200
    assert np.array_equal(grey_values.window_percentiles(flat), flat)


def test_an_inverted_window_is_refused():
    with pytest.raises(InputError, match="from a lower to a higher share"):
        grey_values.window(plane(), low=0.5, high=0.5)


def test_clahe_raises_local_contrast_and_keeps_chroma():
    flat = plane() * 0.2 + 100
    assert grey_values.clahe(flat).std() > 1.3 * flat.std()
    colour = plane(colour=True) * 0.2 + 100
    change = grey_values.clahe(colour) - colour
    assert np.ptp(change, axis=2).max() <= 1.01  # rounded


def test_twelve_bits_dither_within_one_level():
    levels = np.full((200, 200), 100, np.float32)
    result = grey_values.twelve_to_8_bits(levels, rng=rng())
    expected = (100 / 255 - 0.03) / 0.94 * 255
    assert result.mean() == pytest.approx(expected, abs=0.1)
    assert set(np.unique(result)) <= {99, 100, 98}
    assert len(np.unique(result)) > 1


def test_posterising_leaves_as_many_levels():
    ramp = np.arange(-20, 280, dtype=np.float32)[None]
    assert len(np.unique(grey_values.posterise(ramp, count=8))) == 8
