import numpy as np
import pytest

from medseal.datasets.duplicates import near_duplicate_groups


def picture(seed, rows=64, columns=64):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8)).astype(np.uint8)
    return np.repeat(np.repeat(coarse, rows // 8, axis=0), columns // 8, axis=1)


def test_different_pictures_stay_apart():
    groups = near_duplicate_groups([picture(seed) for seed in range(20)])
    assert len(set(groups)) == 20


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image[:, ::-1],
        lambda image: image[::-1],
        lambda image: image[::-1, ::-1],
        lambda image: (image * 0.5 + 20).astype(np.uint8),
        lambda image: np.repeat(image, 2, axis=0),
        lambda image: np.clip(
            image + np.random.default_rng(0).normal(0, 8, image.shape), 0, 255
        ).astype(np.uint8),
    ],
)
def test_changed_copies_are_found(change):
    groups = near_duplicate_groups([picture(1), picture(2), change(picture(1))])
    assert groups == ["cluster-0", "cluster-1", "cluster-0"]


def test_chains_become_one_cluster():
    a, b = picture(1).astype(float), picture(2).astype(float)
    chain = [(a * (1 - t) + b * t).astype(np.uint8) for t in np.linspace(0, 0.6, 9)]
    assert len(set(near_duplicate_groups(chain))) == 1
    assert len(set(near_duplicate_groups([chain[0], chain[-1]]))) == 2


def test_flat_images_are_copies_of_their_equals_only():
    assert near_duplicate_groups([]) == []
    flat = [np.full((40, 40), value, np.uint8) for value in (9, 9, 10)]
    assert near_duplicate_groups([flat[0], picture(1), *flat[1:]]) == [
        "cluster-0", "cluster-1", "cluster-0", "cluster-3"
    ]  # fmt: skip


def test_an_aperture_makes_no_copies():
    y, x = np.mgrid[:96, :96]
    inside = (y - 48) ** 2 + (x - 48) ** 2 < 44**2
    generator = np.random.default_rng(0)
    images = [
        np.where(inside, 150 + generator.normal(0, 5, (96, 96)), 0).astype(np.uint8)
        for _ in range(12)
    ]
    thumbnails = [image.reshape(32, 3, 32, 3).mean(axis=(1, 3)).ravel() for image in images]
    assert np.corrcoef(thumbnails[:2])[0, 1] > 0.985
    assert len(set(near_duplicate_groups(images))) == 12
