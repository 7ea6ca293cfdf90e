import io

import numpy as np
import pytest
from PIL import Image

from medseal.protection.attacks import compression
from tests.protection.pictures import texture


def plane(*, colour=False, rows=120, columns=104):
    layers = [texture(rows, columns, seed=s) * 255 for s in range(3)]
    return (np.stack(layers, axis=2) if colour else layers[0]).astype(np.float32)


def error(one, two):
    return float(np.sqrt(np.mean((one - two) ** 2)))


@pytest.mark.parametrize("colour", [False, True])
@pytest.mark.parametrize(
    "compress",
    [
        compression.to_8_bits,
        lambda p: compression.jpeg(p, quality=70),
        lambda p: compression.jpeg2000(p, ratio=10),
    ],
)
def test_shape_type_and_whole_levels(compress, colour):
    levels = plane(colour=colour) * 1.2 - 20
    before = levels.copy()
    result = compress(levels)
    assert result.dtype == np.float32
    assert result.shape == levels.shape
    assert np.array_equal(result, np.rint(result))
    assert result.min() >= 0
    assert result.max() <= 255
    assert np.array_equal(levels, before)


def test_eight_bits_round_and_clip():
    levels = np.array([[-3, 0.4, 0.6, 254.6, 300]], np.float32)
    assert compression.to_8_bits(levels).tolist() == [[0, 0, 1, 255, 255]]


@pytest.mark.parametrize("colour", [False, True])
def test_jpeg_is_what_common_programs_write(colour):
    levels = compression.to_8_bits(plane(colour=colour))
    buffer = io.BytesIO()
    Image.fromarray(levels.astype(np.uint8)).save(buffer, "JPEG", quality=60)
    expected = np.asarray(Image.open(buffer), np.float32)
    assert np.array_equal(compression.jpeg(levels, quality=60), expected)


def test_jpeg_halves_the_chroma():
    rows = np.arange(64)[:, None, None] % 2
    red_and_blue = np.where(rows, [200, 60, 60], [60, 60, 200]) * np.ones((64, 64, 1))
    result = compression.jpeg(red_and_blue.astype(np.float32), quality=95)
    difference = result[:, :, 0] - result[:, :, 2]
    assert np.abs(difference).mean() < 70  # of 140


@pytest.mark.parametrize("colour", [False, True])
def test_harder_compression_is_worse(colour):
    levels = plane(colour=colour)
    by_quality = [error(levels, compression.jpeg(levels, quality=q)) for q in (90, 70, 50, 30)]
    assert by_quality == sorted(by_quality)
    by_ratio = [error(levels, compression.jpeg2000(levels, ratio=r)) for r in (4, 10, 25, 50)]
    assert by_ratio == sorted(by_ratio)
    assert 0.3 < by_quality[0] < 8
    assert by_ratio[-1] > by_ratio[0] + 1


@pytest.mark.parametrize("side", [1, 7, 16])
def test_small_planes_pass(side):
    levels = np.full((side, side), 90, np.float32)
    assert compression.jpeg(levels, quality=50) == pytest.approx(levels, abs=3)
    assert compression.jpeg2000(levels, ratio=10) == pytest.approx(levels, abs=3)
