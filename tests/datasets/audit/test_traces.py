import io

import cv2
import numpy as np
import pytest
from PIL import Image

from medseal.datasets.audit import traces


def noise(shape=(64, 80), seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def encoded(array, **settings):
    file = io.BytesIO()
    Image.fromarray(array).save(file, **settings)
    return file.getvalue()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"format": "JPEG", "quality": 50}, {"format": "JPEG", "quality": 90}),
        ({"format": "JPEG"}, {"format": "JPEG", "progressive": True}),
        ({"format": "JPEG"}, {"format": "PNG"}),
        ({"format": "JPEG"}, {"format": "JPEG", "dpi": (300, 300)}),
        ({"format": "JPEG", "subsampling": 0}, {"format": "JPEG", "subsampling": 2}),
    ],
)
def test_header_shows_how_a_file_was_written(first, second):
    array = noise((64, 80, 3))
    headers = [traces.file_header(encoded(array, **kind), (64, 80)) for kind in (first, second)]
    assert headers[0].shape == headers[1].shape
    assert not np.array_equal(*headers)


def test_header_does_not_depend_on_what_is_shown():
    headers = [
        traces.file_header(encoded(noise(seed=seed), format="JPEG", quality=80), (64, 80))
        for seed in range(2)
    ]
    assert np.array_equal(*headers)


def test_header_of_other_files():
    nothing, unknown = (traces.file_header(data, (8, 8)) for data in (None, b"no image"))
    assert np.array_equal(nothing, unknown)
    assert nothing.dtype == np.float32


def test_size_is_compared_with_the_same_picture():
    array = noise()
    small, large = (
        traces.file_size(encoded(array, format="JPEG", quality=quality), array)
        for quality in (40, 95)
    )
    assert (large > small).all()
    assert traces.file_size(None, array).tolist() == [0, 0, 0]


@pytest.mark.parametrize("shape", [(40, 60), (40, 60, 3)])
def test_border_sees_the_border_only(shape):
    image = np.full(shape, 90, np.uint8)
    other = image.copy()
    other[14:26, 20:40] = 255
    assert np.array_equal(traces.border(image)[:66], traces.border(other)[:66])
    other[:2] = 255
    assert not np.array_equal(traces.border(image), traces.border(other))


def test_texture_sees_blur_and_blocks():
    image = noise((96, 96))
    blurred = cv2.GaussianBlur(image, (0, 0), 2)
    sharp, soft = traces.texture(image), traces.texture(blurred)
    assert soft[15] < sharp[15] - 1
    blocky = cv2.imdecode(cv2.imencode(".jpg", blurred, [cv2.IMWRITE_JPEG_QUALITY, 5])[1], 0)
    assert max(traces.block_edges(blocky)) > 0.5 > max(traces.block_edges(blurred))


def test_unused_levels():
    assert traces.unused_levels(np.arange(256, dtype=np.uint8).reshape(16, 16)) == 0
    assert traces.unused_levels(np.array([[0, 4]], np.uint8)) == pytest.approx(3 / 5)


def test_histogram_does_not_see_places():
    image = noise((64, 64))
    mirrored = np.ascontiguousarray(image[::-1, ::-1])
    assert np.allclose(traces.histogram(image), traces.histogram(mirrored))
    assert not np.allclose(traces.histogram(image), traces.histogram(image // 2))
    tinted = np.stack([image, image // 2, image], axis=2)
    assert not np.allclose(
        traces.histogram(tinted), traces.histogram(np.stack([image] * 3, axis=2))
    )


def test_tiny_and_flat_pictures_have_finite_features():
    for image in (np.zeros((1, 1), np.uint8), np.full((9, 3, 3), 7, np.uint8)):
        for feature in (traces.border, traces.texture, traces.histogram):
            assert np.isfinite(feature(image)).all()
