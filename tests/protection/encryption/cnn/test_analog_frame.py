import cv2
import numpy as np
import pytest

from medseal.protection.encryption.cnn.analog_frame import (
    FrameKeys,
    Opened,
    coarse_pictures,
    open_frame,
    seal_frame,
)
from medseal.protection.encryption.cnn.analog_shape import Shape
from tests.protection.pictures import texture

KEY, NONCE = bytes(range(32)), bytes(16)


def made(rows: int, columns: int, bits: int = 8) -> tuple[np.ndarray, Shape, FrameKeys]:
    shape = Shape(rows=rows, columns=columns, samples=1, bits=bits)
    stack = np.rint(texture(rows, columns) * shape.white).astype(np.int64)
    return stack, shape, FrameKeys.of(KEY, NONCE, frame=0, cells=shape.cells)


def jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    coded = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)


def off(opened: Opened, stack: np.ndarray) -> float:
    return float(np.sqrt(np.mean((opened.picture - stack) ** 2)))


@pytest.fixture(scope="module")
def sealed() -> tuple[np.ndarray, Shape, FrameKeys, np.ndarray]:
    stack, shape, keys = made(128, 120)
    return stack, shape, keys, seal_frame(stack, shape, keys)


def test_an_untouched_frame_comes_back_exactly(sealed) -> None:
    stack, shape, keys, frame = sealed
    opened = open_frame(frame, shape, keys)
    assert (opened.layer, opened.error, opened.lost_share) == ("clean", 0.0, 0.0)
    assert np.array_equal(opened.picture, stack)


def test_sixteen_bits_come_back_to_a_few_levels_and_say_how_far() -> None:
    stack, shape, keys = made(100, 90, bits=16)
    opened = open_frame(seal_frame(stack, shape, keys), shape, keys)
    assert opened.layer == "clean"
    assert 0 < off(opened, stack) < 64
    assert opened.error == pytest.approx(off(opened, stack), rel=0.1)


@pytest.mark.parametrize("quality", [90, 70, 50])
def test_jpeg_leaves_the_coarse_picture_and_some_of_the_residual(sealed, quality: int) -> None:
    stack, shape, keys, frame = sealed
    opened = open_frame(jpeg(frame, quality), shape, keys)
    assert opened.layer == "detail"
    assert opened.error == pytest.approx(off(opened, stack), rel=0.05)
    before = opened.picture - stack
    assert np.mean(before * opened.residual) < 0
    assert np.std(before + opened.residual) == pytest.approx(opened.noise, rel=0.25)


def test_a_lost_area_is_told_and_does_not_harm_the_coarse_picture(sealed) -> None:
    stack, shape, keys, frame = sealed
    cropped = frame.copy()
    cropped[:64, :60] = 0
    opened = open_frame(cropped, shape, keys)
    assert opened.layer == "detail"
    assert opened.lost_share == pytest.approx(0.25, abs=0.05)
    kept = opened.weight > 0.5
    assert np.mean(np.abs((opened.picture + opened.residual - stack)[kept]) > 1) < 0.01
    assert np.mean(kept) > 0.7


@pytest.mark.parametrize("offset", [25, -40, 44])
def test_a_frame_may_be_made_brighter_or_darker(sealed, offset: int) -> None:
    _, shape, keys, frame = sealed
    toned = np.clip(frame.astype(int) + offset, 0, 255).astype(np.uint8)
    opened = open_frame(toned, shape, keys)
    assert opened.layer == "detail"
    assert opened.lost_share < 0.3


def test_half_a_frame_leaves_the_base(sealed) -> None:
    stack, shape, keys, frame = sealed
    cropped = frame.copy()
    cropped[:, :60] = 255
    opened = open_frame(cropped, shape, keys)
    assert opened.layer == "base"
    assert off(opened, stack) == pytest.approx(opened.error, rel=0.1)
    assert not opened.weight.any()


@pytest.mark.parametrize("frame", ["random", "black", "other mask"])
def test_nothing_is_read_from_something_else(sealed, frame: str) -> None:
    _, shape, keys, own = sealed
    other = FrameKeys.of(KEY, b"\x01" * 16, frame=0, cells=shape.cells)
    frames = {
        "random": np.random.default_rng(1).integers(0, 256, own.shape).astype(np.uint8),
        "black": np.zeros_like(own),
        "other mask": own,
    }
    used = other if frame == "other mask" else keys
    assert open_frame(frames[frame], shape, used).layer == "none"


@pytest.mark.parametrize(
    ("rows", "columns", "layer"), [(2, 2, "plain"), (17, 23, "plain"), (30, 30, "clean")]
)
def test_small_frames_come_back(rows: int, columns: int, layer: str) -> None:
    stack, shape, keys = made(rows, columns)
    opened = open_frame(seal_frame(stack, shape, keys), shape, keys)
    assert opened.layer == layer
    assert off(opened, stack) < 1
    assert opened.error == 0 or layer == "clean"


def test_noise_and_flat_images_are_carried_too() -> None:
    for stack in (
        np.random.default_rng(1).integers(0, 256, (80, 80)),
        np.full((80, 80), 77),
    ):
        shape = Shape(rows=80, columns=80, samples=1, bits=8)
        keys = FrameKeys.of(KEY, NONCE, frame=0, cells=shape.cells)
        opened = open_frame(seal_frame(stack, shape, keys), shape, keys)
        assert opened.layer == "clean"
        assert off(opened, stack) < 3


def test_coarse_pictures_are_those_that_a_reader_gets(sealed) -> None:
    stack, shape, keys, frame = sealed
    pictures = coarse_pictures(stack, shape)
    assert pictures is not None
    assert np.array_equal(open_frame(jpeg(frame, 60), shape, keys).picture, pictures[1])
    small, small_shape, _ = made(20, 20)
    assert coarse_pictures(small, small_shape) is None
