import pytest
import torch

from medseal.classification.places import place_loss


def mask_with_lesion():
    masks = torch.zeros(1, 1, 32, 32)
    masks[:, :, :16, :16] = 1.0
    return masks


def test_the_right_place_costs_less_than_the_wrong_one():
    right, wrong = torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2, 2)
    right[0, 1] = torch.tensor([[5.0, -5.0], [-5.0, -5.0]])
    wrong[0, 1] = torch.tensor([[-5.0, -5.0], [-5.0, 5.0]])
    assert place_loss(right, mask_with_lesion()) < 0.02
    assert place_loss(wrong, mask_with_lesion()) > 1


def test_only_the_difference_to_the_first_class_counts():
    places = torch.randn(1, 2, 2, 2, generator=torch.Generator().manual_seed(1))
    moved = places + 3.0
    assert place_loss(moved, mask_with_lesion()).item() == pytest.approx(
        place_loss(places, mask_with_lesion()).item(), rel=1e-5
    )


def test_images_of_unknown_place_cost_nothing():
    places = torch.ones(1, 2, 2, 2)
    assert place_loss(places, -torch.ones(1, 1, 32, 32)) == 0
    both = torch.cat([mask_with_lesion(), -torch.ones(1, 1, 32, 32)])
    assert place_loss(torch.cat([places, 9 * places]), both).item() == pytest.approx(
        place_loss(places, mask_with_lesion()).item()
    )
