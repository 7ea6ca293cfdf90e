import hashlib

import numpy as np
import pytest
import torch

from medseal.classification.augment import AugmentConfig, augment, augment_labelled
from medseal.errors import ImageMismatchError


def images(count=4, rows=20, columns=30):
    return torch.rand(count, 1, rows, columns, generator=torch.Generator().manual_seed(1))


STILL = {"share": 0.0, "rotation_degrees": 0.0, "zoom": 0.0, "flip": False}
# One strength within the range of each operation on one image or its neighbours.
STRENGTHS = {
    "translation": 0.2,
    "shear": 0.2,
    "resized_crop": 0.4,
    "elastic": 0.05,
    "sequence": 0.8,
    "fourier_mix": 0.8,
    "histogram_match": 0.8,
    "bias_field": 0.5,
    "vignette": 0.7,
    "blur": 0.05,
    "sharpen": 2.0,
    "resolution": 0.3,
    "noise": 0.2,
    "gamma": 0.8,
    "brightness": 0.3,
    "contrast": 0.5,
    "curve": 0.9,
    "white_balance": 0.4,
    "channel_gamma": 0.4,
    "saturation": 0.6,
    "hue": 0.2,
    "disc_mask": 0.4,
    "crop_margin": 0.3,
    "border": 0.3,
    "marks": 0.25,
    "jpeg": 0.8,
    "erase": 0.4,
}
COLOUR = ("white_balance", "channel_gamma", "saturation", "hue")


def coloured(count=6):
    return torch.rand(count, 3, 24, 32, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("name", STRENGTHS)
@pytest.mark.parametrize("channels", [1, 3])
def test_each_operation_changes_some_images_and_keeps_the_rest(name, channels):
    if channels == 1 and name in COLOUR:
        return
    before = coloured(40)[:, :channels]
    kept = before.clone()
    config = AugmentConfig(**STILL, **{name: (0.5, STRENGTHS[name])})
    after, again, other = (
        augment(before, config=config, generator=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(before, kept)
    assert torch.equal(after, again)
    assert not torch.equal(after, other)
    assert after.shape == before.shape
    assert after.dtype == torch.float32
    assert 0 <= after.min() <= after.max() <= 1
    same = sum(torch.equal(a, b) for a, b in zip(after, before, strict=True))
    assert 8 <= same <= 32


@pytest.mark.parametrize("setting", ["vertical_flip", "turn", "invert"])
def test_each_operation_without_a_strength_changes_some_images(setting):
    before = coloured(40)
    after = augment(
        before, config=AugmentConfig(**STILL, **{setting: 0.5}), generator=np.random.default_rng(1)
    )
    assert 8 <= sum(torch.equal(a, b) for a, b in zip(after, before, strict=True)) <= 32


def test_all_operations_together_on_a_batch_of_one_and_on_none():
    config = AugmentConfig(**{name: (1.0, strength) for name, strength in STRENGTHS.items()})
    for batch in (coloured(1), coloured(0)):
        after = augment(batch, config=config, generator=np.random.default_rng(1))
        assert after.shape == batch.shape
        assert after.isfinite().all()


def test_the_first_four_settings_give_what_earlier_models_were_trained_with():
    """Golden values; one more draw and the later batches of an epoch would change as well."""
    before = torch.from_numpy(np.random.default_rng(0).random((12, 1, 40, 56), dtype=np.float32))
    generator = np.random.default_rng(5)
    after = augment(before, config=AugmentConfig(), generator=generator)
    assert after.sum().item() == pytest.approx(12793.367, abs=0.01)
    assert generator.random() == 0.01453628036381327
    levels = (after * 255).round().to(torch.uint8).numpy().tobytes()
    assert hashlib.sha256(levels).hexdigest() == (
        "b33dbff4d1d937050a45f7a056091cdacdf7537e97807f1fc401e0fe1bcae9d2"
    )


def test_other_batches_are_refused():
    config = AugmentConfig(hue=(0.5, 0.1))
    with pytest.raises(ImageMismatchError, match="need images of three channels"):
        augment(images(), config=config, generator=np.random.default_rng(1))
    for wrong in (images().double(), images()[0]):
        with pytest.raises(ImageMismatchError, match="must be float32 of shape"):
            augment(wrong, config=AugmentConfig(), generator=np.random.default_rng(1))


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


def test_lesions_change_labels_and_blends_take_the_masks_away() -> None:
    images = torch.zeros(4, 1, 64, 64)
    images[:, :, 8:56, 8:56] = 0.5
    targets = torch.tensor([[1.0, 0.0]] * 4)
    config = AugmentConfig(lesion=1.0)
    changed, labels, masks = augment_labelled(
        images, targets, config=config, generator=np.random.default_rng(1)
    )
    assert changed.shape == images.shape
    assert labels[:, 1].tolist() == [1.0] * 4
    assert masks is not None
    assert masks.amax(dim=(1, 2, 3)).min() > 0.3
    blended = AugmentConfig(lesion=1.0, mixup=(1.0, 0.4))
    assert (
        augment_labelled(images, targets, config=blended, generator=np.random.default_rng(1))[2]
        is None
    )


def test_without_label_changes_both_forms_are_the_same() -> None:
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[1.0, 0.0]] * 3)
    config = AugmentConfig(noise=(1.0, 0.1))
    plain = augment(images, config=config, generator=np.random.default_rng(2))
    changed, labels, masks = augment_labelled(
        images, targets, config=config, generator=np.random.default_rng(2)
    )
    assert torch.equal(plain, changed)
    assert torch.equal(labels, targets)
    assert masks is None


def test_retinopathy_is_drawn_into_images_of_the_second_class_too() -> None:
    images = torch.zeros(4, 3, 64, 64)
    images[:, :, 4:60, 4:60] = 0.5
    targets = torch.tensor([[1.0, 0.0], [0.0, 1.0]] * 2)
    changed, labels, masks = augment_labelled(
        images,
        targets,
        config=AugmentConfig(retinopathy=(0.0, 1.0)),
        generator=np.random.default_rng(1),
    )
    assert changed.shape == images.shape
    assert torch.equal(labels, targets)
    assert masks is not None
    assert masks.amax(dim=(1, 2, 3)).tolist() == [0.0, 1.0, 0.0, 1.0]
