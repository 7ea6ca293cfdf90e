import numpy as np
import pytest
import torch

from medseal.classification.augment.draws import (
    change_chosen,
    draw_chosen,
    draw_factors,
    draw_partners,
    each_image,
    per_image,
)


def test_chosen_are_about_the_probability():
    generator = np.random.default_rng(1)
    assert len(draw_chosen(1000, 0.0, generator)) == 0
    assert draw_chosen(5, 1.0, generator).tolist() == [0, 1, 2, 3, 4]
    assert 250 < len(draw_chosen(1000, 0.3, generator)) < 350


def test_factors_lie_round_one_on_a_logarithmic_scale():
    factors = draw_factors((2000, 3), 0.5, np.random.default_rng(1))
    assert factors.dtype == np.float32
    assert np.exp(-0.5) <= factors.min() < 0.62
    assert 1.63 < factors.max() <= np.exp(0.5)
    assert abs(np.median(np.log(factors))) < 0.02


def test_a_partner_is_never_the_image_itself_but_in_a_batch_of_one():
    chosen = np.arange(7).repeat(50)
    partners = draw_partners(7, chosen, np.random.default_rng(1))
    assert (partners != chosen).all()
    assert set(partners) == set(range(7))
    assert draw_partners(1, np.zeros(1, int), np.random.default_rng(1)).tolist() == [0]


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2,), (2, 3)])
def test_numbers_per_image_broadcast(shape):
    tensor = per_image(np.ones(shape, np.float32))
    assert tensor.shape == (shape[0], *(shape[1:] or (1,)), 1, 1)


def test_changed_images_are_clipped_and_the_others_kept():
    images = torch.full((3, 1, 2, 2), 0.5)
    after = change_chosen(images, np.array([1]), torch.full((1, 1, 2, 2), 7.0))
    assert after[:, 0, 0, 0].tolist() == [0.5, 1.0, 0.5]
    assert images.max() == 0.5


@pytest.mark.parametrize(("channels", "shape"), [(1, (4, 6)), (3, (4, 6, 3))])
def test_each_image_is_changed_as_a_picture(channels, shape):
    images = torch.rand(2, channels, 4, 6)
    seen = []

    def change(picture):
        seen.append(picture.shape)
        return picture[::-1] * 2

    after = each_image(images, probability=1.0, generator=np.random.default_rng(1), change=change)
    assert seen == [shape, shape]
    torch.testing.assert_close(after, (images.flip(2) * 2).clamp(0, 1))
