"""Drawn retinopathy changes the label, the field of view alone, and the pixels of its mask."""

import numpy as np
import pytest
import torch

from medseal.classification.augment.draws import Picture
from medseal.classification.augment.lesion import UNKNOWN
from medseal.classification.augment.retina import (
    draw_artefacts,
    draw_retinopathy,
    insert_retinopathy,
)
from medseal.errors import ImageMismatchError

_SIDE = 96


def _retina() -> Picture:
    rows, columns = np.mgrid[:_SIDE, :_SIDE] - _SIDE / 2
    inside = (np.hypot(rows, columns) < _SIDE * 0.48).astype(np.float32)
    texture = np.random.default_rng(3).normal(0.5, 0.05, (_SIDE, _SIDE, 3))
    return np.asarray(np.clip(texture, 0.1, 0.9) * inside[:, :, None], np.float32)


def _batch(count: int) -> torch.Tensor:
    return torch.from_numpy(_retina()).permute(2, 0, 1).repeat(count, 1, 1, 1)


def test_lesions_change_only_the_surroundings_of_their_mask() -> None:
    retina = _retina()
    drawn = draw_retinopathy(retina, generator=np.random.default_rng(1))
    assert drawn is not None
    changed, mask = drawn
    difference = np.abs(changed - retina).max(axis=2)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert difference[mask > 0].mean() > 10 * difference[mask == 0].mean()
    assert changed.min() >= 0
    assert changed.max() <= 1


def test_lesions_stay_in_the_field_of_view() -> None:
    retina = _retina()
    outside = retina.max(axis=2) == 0
    for seed in range(10):
        drawn = draw_retinopathy(retina, generator=np.random.default_rng(seed))
        assert drawn is not None
        assert not drawn[0][outside].any()
        assert not drawn[1][outside].any()


def test_there_are_bright_and_dark_lesions() -> None:
    retina = _retina()
    changes = []
    for seed in range(12):
        drawn = draw_retinopathy(retina, generator=np.random.default_rng(seed))
        assert drawn is not None
        changes.append((drawn[0] - retina)[:, :, 1])
    assert min(change.min() for change in changes) < -0.1
    assert max(change.max() for change in changes) > 0.1


def test_no_lesion_without_a_field_of_view() -> None:
    black = np.zeros((_SIDE, _SIDE, 3), np.float32)
    assert draw_retinopathy(black, generator=np.random.default_rng(1)) is None


def test_artefacts_stay_in_the_field_and_keep_the_range() -> None:
    retina = _retina()
    results = [draw_artefacts(retina, generator=np.random.default_rng(seed)) for seed in range(8)]
    assert any(not np.array_equal(result, retina) for result in results)
    for result in results:
        assert not result[retina.max(axis=2) == 0].any()
        assert result.min() >= 0
        assert result.max() <= 1


def test_label_and_mask_follow_the_lesion() -> None:
    images = _batch(3)
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    result, labels, masks = insert_retinopathy(
        images, targets, probability=1.0, replaced=0.0, generator=np.random.default_rng(1)
    )
    assert labels.tolist() == [[0.0, 1.0]] * 3
    assert torch.equal(masks[1], torch.full_like(masks[1], UNKNOWN))
    assert masks[0].max() == 1
    assert not torch.equal(result[0], images[0])
    assert targets[0].tolist() == [1.0, 0.0]


def test_never_without_probability() -> None:
    images, targets = _batch(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    result, labels, masks = insert_retinopathy(
        images, targets, probability=0.0, replaced=0.0, generator=np.random.default_rng(1)
    )
    assert result.shape == images.shape
    assert torch.equal(labels, targets)
    assert not masks.any()


def test_an_image_of_the_other_class_is_replaced_by_a_drawn_one() -> None:
    images = _batch(2)
    images[1] = 0.25
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    result, labels, masks = insert_retinopathy(
        images, targets, probability=0.0, replaced=1.0, generator=np.random.default_rng(1)
    )
    assert labels.tolist() == targets.tolist()
    assert masks[1].max() == 1
    assert (result[1, :, 0, 0] == 0).all()


def test_the_mask_fills_the_squares_of_the_network() -> None:
    _, _, masks = insert_retinopathy(
        _batch(1),
        torch.tensor([[1.0, 0.0]]),
        probability=1.0,
        replaced=0.0,
        generator=np.random.default_rng(1),
    )
    squares = masks[0, 0].reshape(6, 16, 6, 16).permute(0, 2, 1, 3).flatten(2)
    assert torch.equal(squares.amin(dim=2), squares.amax(dim=2))


def test_same_seed_same_lesions() -> None:
    first, second = (
        draw_retinopathy(_retina(), generator=np.random.default_rng(5)) for _ in range(2)
    )
    assert first is not None
    assert second is not None
    assert np.array_equal(first[0], second[0])


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((1, 1, 32, 32), "square images of colour"),
        ((1, 3, 32, 48), "square images of colour"),
        ((3, 32, 32), "square images of colour"),
        ((1, 3, 40, 40), "multiple of 16"),
    ],
)
def test_images_that_do_not_fit_are_refused(shape: tuple[int, ...], reason: str) -> None:
    with pytest.raises(ImageMismatchError, match=reason):
        insert_retinopathy(
            torch.zeros(shape),
            torch.tensor([[1.0, 0.0]]),
            probability=1.0,
            replaced=0.0,
            generator=np.random.default_rng(1),
        )
