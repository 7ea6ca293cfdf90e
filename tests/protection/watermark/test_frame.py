import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseal.protection.watermark.frame import (
    FRAME_SIDE,
    SMALL_FRAME_SIDE,
    box_mean,
    copy_maps,
    frame_side,
    host_maps,
    host_views,
    resample,
    visibility,
    working_shape,
)
from tests.protection.pictures import texture


def levels(rows, columns, *, seed=0):
    return (texture(rows, columns, seed=seed) * 255).astype(np.float32)


@given(rows=st.integers(64, 8192), columns=st.integers(64, 8192))
def test_the_frame_has_even_sides_and_the_proportions_of_the_image(rows, columns):
    side = frame_side(rows, columns)
    assert side == (FRAME_SIDE if max(rows, columns) >= 320 else SMALL_FRAME_SIDE)
    assert working_shape(rows, columns) == working_shape(rows, columns, side=side)
    for side in (FRAME_SIDE, SMALL_FRAME_SIDE):
        shape = working_shape(rows, columns, side=side)
        assert shape[0] % 2 == shape[1] % 2 == 0
        assert max(shape) >= side
        assert min(shape) >= 128
        assert min(shape) == 128 or max(shape) == side
        scale = shape[0] / rows
        assert abs(columns * scale - shape[1]) <= 1 + columns / rows


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((512, 512), (256, 256)),
        ((100, 900), (128, 1152)),
        ((900, 100), (1152, 128)),
        ((300, 400), (192, 256)),
        ((320, 200), (256, 160)),
        ((319, 300), (160, 150)),
        ((64, 64), (160, 160)),
        ((1, 1), (160, 160)),
        ((1, 40), (128, 5120)),
    ],
)
def test_sizes_of_the_frame(size, shape):
    assert working_shape(*size) == shape


def test_means_of_areas_shrink_and_cubics_enlarge():
    plane = np.arange(64, dtype=np.float32).reshape(8, 8)
    assert resample(plane, (8, 8)) is plane
    assert np.array_equal(resample(plane, (4, 4)), plane.reshape(4, 2, 4, 2).mean((1, 3)))
    larger = resample(plane, (32, 32))
    assert larger.shape == (32, 32)
    assert np.abs(resample(larger, (8, 8)) - plane)[2:-2, 2:-2].max() < 0.1


def test_box_means_repeat_the_edge():
    plane = np.zeros((9, 9), np.float32)
    plane[0, 0] = 9
    # The corner stands for itself and the three beyond the edge.
    assert box_mean(plane, 3)[0, 0] == pytest.approx(4)
    assert box_mean(plane, 3)[1, 1] == pytest.approx(1)


def test_what_the_reader_is_shown():
    frame = levels(128, 130)
    maps = copy_maps(frame)
    assert maps.shape == (4, 128, 130)
    assert maps.dtype == np.float32
    mean = box_mean(frame, 9)
    assert np.allclose(maps[2], mean / 128 - 1, atol=1e-5)
    assert np.array_equal(np.sign(maps[0]), np.sign(frame - mean))
    air = copy_maps(np.full((64, 64), 17, np.float32))
    assert np.array_equal(air[0], np.zeros((64, 64)))
    assert np.array_equal(air[3], np.zeros((64, 64)))


def test_what_an_inverted_copy_shows_has_the_opposite_detail():
    frame = levels(64, 64)
    one, other = copy_maps(frame), copy_maps(255 - frame)
    assert np.allclose(one[[0, 3]], -other[[0, 3]], atol=1e-4)
    assert np.allclose(one[1], other[1], atol=1e-3)


@pytest.mark.parametrize("size", [(200, 180), (300, 420), (96, 96)])
def test_there_is_no_room_in_flat_air(size):
    plane = levels(*size)
    maps = host_maps(plane, working_shape(*size))
    assert maps.shape == (6, *working_shape(*size))
    assert np.isfinite(maps).all()
    rows, columns = maps.shape[1:]
    row, column = np.ogrid[-1 : 1 : rows * 1j, -1 : 1 : columns * 1j]
    distance = np.hypot(row, column)
    # The window of the deviation reaches 3 places further than the disc.
    assert maps[-1][distance > 0.9 + 16 / min(size)].max() == 0
    assert maps[-1][distance < 0.8].min() > 0


def test_the_rough_view_is_a_compressed_copy_of_more_contrast():
    frame = levels(128, 128)
    plain, rough = host_views(frame)
    assert plain is frame
    assert rough.shape == frame.shape
    inner = (frame > 60) & (frame < 190)
    assert 1.1 < rough[inner].std() / frame[inner].std() < 1.2
    assert np.corrcoef(rough.ravel(), frame.ravel())[0, 1] > 0.99
    assert 0 <= rough.min() <= rough.max() <= 255


def test_a_constant_image_has_no_room_at_all():
    maps = host_maps(np.full((128, 128), 90, np.float32), (256, 256))
    assert np.isfinite(maps).all()
    assert maps[-1].max() == 0


def test_texture_has_more_room_than_a_slope():
    plane = np.tile(np.arange(256, dtype=np.float32) / 2, (256, 1))
    rng = np.random.default_rng(1)
    plane[:, 128:] += rng.normal(0, 12, (256, 128)).astype(np.float32)
    room = host_maps(plane, (256, 256))[-1]
    assert room[:, 140:].mean() > 3 * room[:, :116].mean()


def test_deviation_and_cost_of_a_place():
    rng = np.random.default_rng(2)
    plane = np.zeros((40, 80), np.float32)
    plane[:, 40:] = rng.normal(128, 10, (40, 40))
    deviation, cost = visibility(plane)
    assert deviation[:, :36].max() < 0.02
    assert deviation[10:30, 50:70].mean() == pytest.approx(10, rel=0.1)
    assert cost[:, :36] == pytest.approx(np.full((40, 36), 1 / 29.26), rel=1e-3)
    assert np.allclose(cost, 1 / (deviation**2 + 29.26), rtol=1e-4)
