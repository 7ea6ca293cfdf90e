import numpy as np
import pytest

from medseal.classification.gan.memorisation import (
    check_memorisation,
    nearest_distances,
    picture_vectors,
)
from medseal.errors import InputError


def pictures(count, seed):
    """Smooth random images, so that a thumbnail keeps what they show."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 8, 8)).astype(np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)


def test_nearest_by_hand():
    targets = np.array([[0, 0], [3, 4]], np.float32)
    distances, places = nearest_distances(np.array([[0, 1], [3, 3.5]], np.float32), targets)
    np.testing.assert_allclose(distances, [1, 0.5], atol=1e-5)
    assert places.tolist() == [0, 1]


def test_pictures_are_compared_without_brightness_and_contrast():
    image = pictures(1, 1)
    darker = (image // 2 + 20).astype(np.uint8)
    first, second = picture_vectors(image), picture_vectors(darker)
    assert np.linalg.norm(first - second) < 0.02
    assert picture_vectors(np.zeros((1, 64, 64, 3), np.uint8)).shape == (1, 3072)


def test_copies_are_flagged_also_when_mirrored():
    training, held_out = pictures(30, 1), pictures(200, 2)
    noise = np.random.default_rng(3).integers(0, 9, (10, 64, 64)).astype(np.uint8)
    copies = np.concatenate([training[:5] // 2, training[5:10, :, ::-1] // 2]) + noise
    found = check_memorisation(copies, training=training, held_out=held_out)
    assert found.flagged_share == 1
    assert found.copied_share == pytest.approx(10 / 30)
    assert found.ratio < 0.3


def test_new_images_are_hardly_flagged():
    found = check_memorisation(
        pictures(300, 4), training=pictures(30, 1), held_out=pictures(300, 2)
    )
    assert found.flagged_share < 0.04
    assert 0.95 < found.ratio < 1.05


def test_another_measure_may_be_given():
    def brightness(images):
        return images.reshape(len(images), -1).mean(axis=1, keepdims=True).astype(np.float32)

    flat = np.arange(0, 200, 10, dtype=np.uint8).reshape(-1, 1, 1).repeat(64, 1).repeat(64, 2)
    found = check_memorisation(flat, training=flat, held_out=flat + 5, features=brightness)
    assert found.generated_median == 0
    assert found.held_out_median == pytest.approx(5)


@pytest.mark.parametrize("empty", ["generated", "training", "held_out"])
def test_nothing_to_compare_with_is_refused(empty):
    parts = {"generated": pictures(2, 1), "training": pictures(2, 2), "held_out": pictures(2, 3)}
    parts[empty] = parts[empty][:0]
    with pytest.raises(InputError, match="needs generated, training and held-out images"):
        check_memorisation(parts.pop("generated"), **parts)
