import numpy as np
import torch

from medseal.classification.augment.framing import border, crop_margin, disc_mask, erase, marks


def changed(operation, images, strength, seed=1):
    generator = np.random.default_rng(seed)
    return operation(images, probability=1.0, strength=strength, generator=generator)


def content(count=100, rows=50, columns=60):
    """A bright bar near the left edge on grey."""
    images = torch.full((count, 1, rows, columns), 0.4)
    images[..., 3:9] = 0.9
    return images


def test_border_keeps_all_content_in_a_plain_frame():
    after = changed(border, content(), 0.3)
    assert ((after - 0.9).abs() < 0.15).flatten(1).any(dim=1).all()
    black = (after == 0).flatten(1).float().mean(dim=1)
    assert 0.5 < (black > 0.02).float().mean() < 0.85
    assert black.max() < 0.85
    bars = (after[:, 0, :, 30] == 0).any(dim=1) & (after[:, 0, 25] != 0).all(dim=1)
    assert 0.05 < bars.float().mean() < 0.35


def test_crop_margin_brings_no_new_value_and_loses_the_edge():
    after = changed(crop_margin, content(), 0.3)
    assert after.min() > 0.39
    assert 0.2 < ((after > 0.8).flatten(1).sum(dim=1) == 0).float().mean() < 0.7


def test_disc_mask_is_black_outside_a_round_field():
    after = changed(disc_mask, torch.ones(60, 1, 51, 51), 0.3)
    assert set(after.unique().tolist()) == {0.0, 1.0}
    assert after[:, 0, 25, 25].min() == 1
    assert after[:, 0, 0, 0].max() == 0
    radius = (after.sum(dim=(1, 2, 3)) / np.pi).sqrt() / 25.5
    assert 0.69 < radius.min() < 0.78
    assert radius.max() <= 1.13  # the rest of the disc lies outside the frame


def test_marks_lie_at_the_edge_and_are_bright():
    after = changed(marks, torch.zeros(60, 3, 100, 120), 0.08)
    assert torch.equal(after[:, 0], after[:, 1])
    assert after.flatten(1).max(dim=1).values.min() > 0.3
    rows = (after[:, 0] > 0.1).any(dim=2).float().mean(dim=0)
    assert rows[30:70].max() == 0
    assert rows[:30].max() > 0.1
    assert rows[70:].max() > 0.1


def test_erase_makes_one_rectangle_of_one_value():
    images = torch.rand(60, 1, 40, 40)
    after = changed(erase, images, 0.3)
    gone = after != images
    share = gone.flatten(1).float().mean(dim=1)
    assert 0.2 < share.max() < 0.36
    for image, mask in zip(after, gone, strict=True):
        assert image[mask].unique().numel() == 1
        rows, columns = mask[0].any(dim=1), mask[0].any(dim=0)
        assert mask[0][rows][:, columns].float().mean() > 0.95
