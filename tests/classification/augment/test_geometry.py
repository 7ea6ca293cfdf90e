import numpy as np
import pytest
import torch

from medseal.classification.augment.geometry import Geometry, flip_vertically, warp


def square(count=1, rows=40, columns=40):
    """A white square in rows 12 to 28 on grey."""
    images = torch.full((count, 1, rows, columns), 0.2)
    images[:, :, 12:28, 12:28] = 1
    return images


def warped(images, seed=1, **settings):
    return warp(images, geometry=Geometry(**settings), generator=np.random.default_rng(seed))


def test_vertical_flip():
    images = torch.rand(3, 1, 4, 5)
    after = flip_vertically(images, probability=1.0, generator=np.random.default_rng(1))
    assert torch.equal(after, images.flip(2))


def test_nothing_asked_draws_nothing():
    generator = np.random.default_rng(1)
    images = square()
    assert warp(images, geometry=Geometry(), generator=generator) is images
    assert generator.random() == np.random.default_rng(1).random()


def test_turn_reaches_every_angle_and_keeps_a_disc():
    y, x = np.mgrid[:40, :80]
    disc = torch.tensor((np.hypot(y - 19.5, x - 39.5) < 12).astype(np.float32))[None, None]
    bar = torch.zeros(200, 1, 40, 40)
    bar[:, :, 2:8, 18:22] = 1  # above the centre
    assert (warped(disc, turn=1.0) - disc).abs().mean() < 0.01
    turned = warped(bar, turn=1.0)
    for half in (turned[:, :, :20], turned[:, :, 20:], turned[..., :20], turned[..., 20:]):
        assert 0.35 < (half.sum(dim=(1, 2, 3)) > 12).float().mean() < 0.65


def test_translation_moves_by_up_to_its_share():
    moved = warped(square(300), translation=(1.0, 0.25))
    rows = torch.arange(40.0)
    white = (moved > 0.9).float()
    centre = (white.sum(dim=3) * rows).sum(dim=(1, 2)) / white.sum(dim=(1, 2, 3))
    shift = centre - 19.5
    assert 8.5 < shift.max() <= 10.6
    assert -10.6 <= shift.min() < -8.5
    assert abs(shift.mean()) < 1


def test_resized_crop_enlarges_within_the_image():
    images = torch.rand(50, 1, 40, 40) * 0.5 + 0.5
    after = warped(images, resized_crop=(1.0, 0.3))
    assert after.min() > 0.25  # nothing from outside but half a pixel
    area = (warped(square(300), resized_crop=(1.0, 0.25)) > 0.6).sum(dim=(1, 2, 3)) / 256
    assert area.max() > 2.5
    assert area.min() >= 0


def test_shear_keeps_the_area_roughly_and_moves_the_edges():
    after = warped(square(100), shear=(1.0, 0.3))
    area = (after > 0.6).sum(dim=(1, 2, 3)) / 256
    assert 0.85 < area.min() < area.max() < 1.15
    assert ((after > 0.6) != (square() > 0.6)).sum(dim=(1, 2, 3)).float().mean() > 15


def test_elastic_bends_a_line_smoothly():
    line = torch.zeros(20, 1, 64, 64)
    line[:, :, 30:34] = 1
    bent = warped(line, elastic=(1.0, 0.04))
    rows = torch.arange(64.0)[None, :, None]
    course = (bent[:, 0] * rows).sum(dim=1) / bent[:, 0].sum(dim=1)  # (20, 64)
    course = course[:, 8:-8]  # at the ends the line may have left the image
    assert course.std(dim=1).mean() > 0.5
    assert course.diff(dim=1).abs().max() < 1.5


@pytest.mark.parametrize(("fill", "corner"), [("black", 0.0), ("edge", 0.2), ("mirror", 0.2)])
def test_fill_decides_what_stands_outside(fill, corner):
    turned = warped(square(20), turn=1.0, fill=fill)
    assert turned[:, 0, 0, 0].sort().values[2] == pytest.approx(corner, abs=0.05)
