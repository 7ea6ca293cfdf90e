"""A lesion changes the head alone, and the label with it."""

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from medseal.classification.augment.lesion import (
    UNKNOWN,
    draw_lesion,
    draw_spots,
    head_mask,
    insert_lesions,
)
from medseal.errors import ImageMismatchError

SIDE = 96


def head(*, tissue: float = 0.4) -> np.ndarray:
    """Return a bright ring (skull) round even tissue, float32."""
    picture = np.zeros((SIDE, SIDE), np.float32)
    cv2.ellipse(picture, (48, 48), (38, 44), 0, 0, 360, 0.9, -1)
    cv2.ellipse(picture, (48, 48), (34, 40), 0, 0, 360, tissue, -1)
    return picture


def batch(count: int) -> tuple[Tensor, Tensor]:
    """Return heads, the first half healthy, the others of the second class."""
    images = torch.from_numpy(np.stack([head()] * count))[:, None]
    labels = torch.arange(count) >= count // 2
    return images, torch.nn.functional.one_hot(labels.long(), 2).float()


def test_the_mask_fills_the_head_and_leaves_the_air() -> None:
    mask = head_mask(head(tissue=0.0))
    assert mask[48, 48] == 1
    assert mask[2, 2] == 0
    assert mask.mean() == pytest.approx(np.pi * 38 * 44 / SIDE**2, rel=0.2)


def test_a_lesion_lies_inside_the_head_and_can_be_seen() -> None:
    generator = np.random.default_rng(1)
    picture, inside = head(), head_mask(head()) > 0
    far = cv2.dilate(inside.astype(np.uint8), np.ones((5, 5))) == 0
    contrasts = []
    for _ in range(30):
        drawn = draw_lesion(picture, generator=generator)
        assert drawn is not None
        changed, opacity = drawn
        assert changed.dtype == opacity.dtype == np.float32
        assert 0 <= changed.min() <= changed.max() <= 1
        assert opacity[~inside].max() < 0.05
        assert changed[far].max() < 1e-6
        assert opacity.max() > 0.3
        contrasts.append(np.abs(changed - picture)[opacity > 0.5].mean())
    assert np.median(contrasts) > 0.04


def test_an_image_without_a_head_gets_no_lesion() -> None:
    assert (
        draw_lesion(np.zeros((SIDE, SIDE), np.float32), generator=np.random.default_rng(1)) is None
    )


def test_spots_are_small() -> None:
    changed = draw_spots(head(), generator=np.random.default_rng(2))
    different = np.abs(changed - head()) > 0.05
    assert 0 < different.mean() < 0.05


def test_healthy_images_alone_get_a_lesion_and_the_other_label() -> None:
    images, targets = batch(8)
    result, labels, masks = insert_lesions(
        images, targets, probability=1.0, generator=np.random.default_rng(3)
    )
    assert labels[:, 1].tolist() == [1.0] * 8
    assert torch.equal(result[4:], images[4:])
    assert (masks[4:] == UNKNOWN).all()
    assert (masks[:4].amax(dim=(1, 2, 3)) > 0.3).all()
    assert all(not torch.equal(a, b) for a, b in zip(result[:4], images[:4], strict=True))
    assert torch.equal(images, batch(8)[0])
    assert targets[:4, 0].eq(1).all()


def test_spots_keep_the_label() -> None:
    images, targets = batch(8)
    result, labels, masks = insert_lesions(
        images, targets, probability=0.0, spots=1.0, generator=np.random.default_rng(4)
    )
    assert torch.equal(labels, targets)
    assert (masks[:4] == 0).all()
    assert not torch.equal(result[:4], images[:4])


def test_the_same_generator_gives_the_same_lesions() -> None:
    images, targets = batch(4)
    first, second = (
        insert_lesions(images, targets, probability=0.5, generator=np.random.default_rng(5))[0]
        for _ in range(2)
    )
    assert torch.equal(first, second)


def test_colour_is_refused() -> None:
    images, targets = batch(2)
    with pytest.raises(ImageMismatchError, match="square grey"):
        insert_lesions(
            images.expand(-1, 3, -1, -1),
            targets,
            probability=1.0,
            generator=np.random.default_rng(6),
        )
