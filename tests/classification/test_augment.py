import numpy as np
import pytest
import torch

from medseal.classification.augment import AugmentConfig, augment
from medseal.errors import ConfigurationError


def images(count=4, rows=20, columns=30):
    return torch.rand(count, 1, rows, columns, generator=torch.Generator().manual_seed(1))


def test_nothing_asked_changes_nothing():
    config = AugmentConfig(rotation_degrees=0, zoom=0, flip=False)
    before = images()
    after = augment(before, config=config, generator=np.random.default_rng(1))
    torch.testing.assert_close(after, before, atol=1e-5, rtol=0)


def test_images_outside_the_share_stay_sharp():
    before = images(200)
    config = AugmentConfig(share=0.25, flip=False)
    after = augment(before, config=config, generator=np.random.default_rng(1))
    same = [torch.equal(a, b) for a, b in zip(after, before, strict=True)]
    assert 0.65 < np.mean(same) < 0.85


def test_flip_is_left_to_right_for_about_half():
    config = AugmentConfig(rotation_degrees=0, zoom=0, flip=True)
    before = images(100)
    after = augment(before, config=config, generator=np.random.default_rng(1))
    mirrored = [torch.allclose(a, b.flip(2), atol=1e-5) for a, b in zip(after, before, strict=True)]
    same = [torch.allclose(a, b, atol=1e-5) for a, b in zip(after, before, strict=True)]
    assert all(m or s for m, s in zip(mirrored, same, strict=True))
    assert 30 < sum(mirrored) < 70


def test_rotation_keeps_shapes_on_an_oblong_image():
    """A disc stays a disc: the rotation is one of pixels, not of the stretched square."""
    y, x = np.mgrid[:40, :80]
    disc = torch.tensor((np.hypot(y - 19.5, x - 39.5) < 12).astype(np.float32))[None, None]
    config = AugmentConfig(share=1, rotation_degrees=90, zoom=0, flip=False)
    turned = augment(disc, config=config, generator=np.random.default_rng(4))
    assert (turned - disc).abs().mean() < 0.01


def test_zoom_changes_the_area():
    square = torch.zeros(200, 1, 40, 40)
    square[:, :, 10:30, 10:30] = 1
    config = AugmentConfig(share=1, rotation_degrees=0, zoom=0.2, flip=False)
    area = augment(square, config=config, generator=np.random.default_rng(2)).sum(dim=(1, 2, 3))
    assert 400 * 0.8**2 * 0.97 < area.min() < 400 * 0.85**2
    assert 400 * 1.15**2 < area.max() < 400 * 1.2**2 * 1.03


def test_same_generator_same_result_and_values_stay_in_range():
    first, second, other = (
        augment(images(), config=AugmentConfig(), generator=np.random.default_rng(seed))
        for seed in (3, 3, 4)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert 0 <= first.min() <= first.max() <= 1


@pytest.mark.parametrize("wrong", [{"rotation_degrees": -1}, {"zoom": 1.0}, {"share": 2}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ConfigurationError, match="must lie in"):
        AugmentConfig(**wrong)
