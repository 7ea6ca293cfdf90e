import cv2
import numpy as np
import pytest

from medseal.datasets.copies import SIDE, find_copies, thumbnail


def scene(seed, side=192):
    """Return a dark picture with soft blobs, larger than what is cut out of it."""
    generator = np.random.default_rng(seed)
    image = np.zeros((side, side), np.float32)
    for _ in range(25):
        centre = generator.integers(20, side - 20, 2).tolist()
        axes = generator.integers(4, 24, 2).tolist()
        cv2.ellipse(image, centre, axes, float(generator.uniform(0, 180)), 0, 360,
                    float(generator.uniform(40, 250)), -1)  # fmt: skip
    return cv2.GaussianBlur(image, (0, 0), 2).astype(np.uint8)


def cut(image, row=16, column=16, side=160):
    return image[row : row + side, column : column + side]


def search(images):
    digests = [f"{image.shape}{image.tobytes()!r}" for image in images]
    return find_copies(np.stack([thumbnail(image) for image in images]), digests)


def test_different_pictures_are_no_copies():
    assert search([cut(scene(seed)) for seed in range(60)]) == []


def jpeg(image):
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], 0)


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (lambda image: image.copy(), "equal"),
        (jpeg, "near"),
        (lambda image: (image * 0.6 + 30).astype(np.uint8), "near"),
        (lambda image: cv2.resize(image, (100, 130)), "near"),
        (lambda image: image[:, ::-1], "mirrored"),
        (lambda image: image[::-1], "mirrored"),
        (lambda image: image[::-1, ::-1], "mirrored"),
    ],
)
def test_changed_copies_are_found(change, kind):
    images = [cut(scene(seed)) for seed in range(20)]
    [copy] = search([*images, np.ascontiguousarray(change(images[7]))])
    assert (copy.first, copy.second, copy.kind) == (7, 20, kind)
    assert copy.correlation > 0.985


@pytest.mark.parametrize(("row", "column"), [(8, 22), (26, 12), (16, 27)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_shifted_copies_are_found(row, column, mirrored):
    scenes = [scene(seed) for seed in range(20)]
    other = cut(scenes[7], row, column)
    [copy] = search([*map(cut, scenes), other[:, ::-1].copy() if mirrored else other])
    assert (copy.first, copy.second, copy.kind) == (7, 20, "shifted")


def test_equal_images_stand_with_the_first_only():
    image = cut(scene(1))
    pairs = [(copy.first, copy.second) for copy in search([image, cut(scene(2)), image, image])]
    assert pairs == [(0, 2), (0, 3)]


def test_flat_pictures_are_copies_of_their_equals_only():
    flat = [np.full((SIDE, SIDE), value, np.uint8) for value in (0, 9, 9)]
    assert [(copy.first, copy.second) for copy in search(flat)] == [(1, 2)]
    assert search(flat[:1]) == []
